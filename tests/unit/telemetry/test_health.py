import httpx
import pytest
from starlette.applications import Starlette

from hub.telemetry.health import Health, make_app
from hub.telemetry.metrics import Metrics


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def test_a_loop_that_hangs_is_not_alive(health: Health, clock: Clock) -> None:
    poll = health.progress("poll", max_age_s=10)
    clock.now_s += 10
    assert health.live().ok
    clock.now_s += 0.1
    assert health.live() == (False, {"poll": "no progress for 10 s (limit 10 s)"})

    poll.tick()
    assert health.live().ok


def test_one_hanging_loop_is_enough(health: Health, clock: Clock) -> None:
    poll = health.progress("poll", max_age_s=10)
    health.progress("outbox", max_age_s=10)
    clock.now_s += 11
    poll.tick()

    verdict = health.live()
    assert not verdict.ok
    assert verdict.checks["poll"] == "ok"


def test_ready_means_every_condition_holds(health: Health) -> None:
    assigned, caught_up = health.condition("assigned"), health.condition("caught_up")
    assert not health.ready().ok
    assigned.holds()
    assert health.ready() == (False, {"assigned": "ok", "caught_up": "not yet"})
    caught_up.holds()
    assert health.ready().ok
    assigned.fails("draining")
    assert health.ready() == (False, {"assigned": "draining", "caught_up": "ok"})


def test_a_service_without_conditions_is_never_ready(health: Health) -> None:
    assert not health.ready().ok


def test_a_service_that_hangs_is_not_ready(health: Health, clock: Clock) -> None:
    health.condition("assigned").holds()
    health.progress("poll", max_age_s=1)
    clock.now_s += 2

    assert not health.ready().ok


def test_a_check_has_one_owner(health: Health) -> None:
    health.condition("poll")
    with pytest.raises(ValueError, match="registered already"):
        health.progress("poll", max_age_s=1)


def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://health")


async def test_probes_answer_200_or_503_and_name_each_check(health: Health, clock: Clock) -> None:
    health.progress("poll", max_age_s=1)
    assigned = health.condition("assigned")
    async with client(make_app(health, Metrics())) as http:
        assert (await http.get("/health/live")).status_code == 200
        not_ready = await http.get("/health/ready")
        assigned.holds()
        assert (await http.get("/health/ready")).status_code == 200
        clock.now_s += 5
        dead = await http.get("/health/live")

    assert not_ready.status_code == 503
    assert not_ready.json() == {"status": "failing", "checks": {"poll": "ok", "assigned": "not yet"}}
    assert dead.status_code == 503


@pytest.mark.parametrize("accept", ["", "application/openmetrics-text; version=1.0.0"])
async def test_metrics_are_exposed_in_the_form_that_is_asked_for(health: Health, accept: str) -> None:
    metrics = Metrics()
    metrics.mapper_commands.labels(type="upsert_quote").inc()
    async with client(make_app(health, metrics)) as http:
        answer = await http.get("/metrics", headers={"accept": accept})

    assert 'hub_mapper_commands_total{type="upsert_quote"} 1.0' in answer.text
    assert ("openmetrics" in answer.headers["content-type"]) is bool(accept)
