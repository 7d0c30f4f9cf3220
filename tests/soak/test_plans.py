"""What a seed settles: the events and the faults, with the interesting ones among them; and the page."""

from __future__ import annotations

import itertools
import json
from collections import Counter, defaultdict
from pathlib import Path

import msgspec

from schemas.registry import decode
from tests.soak.faults import KINDS, families
from tests.soak.histories import Event, plan
from tests.soak.nemesis import kinds_of, schedule
from tests.soak.report import add_to, page, runs_of
from tests.soak.tenants import NOISY, tenants
from tests.soak.verdict import ALL_VERDICTS, Run

ROOT = Path(__file__).parents[2]
CAST = tenants(20)
PLAN = plan(5, CAST, 300.0, 4.0)


def events() -> dict[str, Event]:
    return {sending.event.id: sending.event for sending in PLAN}


def test_a_seed_settles_the_events_and_another_gives_others() -> None:
    assert plan(5, CAST, 300.0, 4.0) == PLAN
    assert plan(6, CAST, 300.0, 4.0) != PLAN


def test_every_event_is_one_that_the_contract_knows() -> None:
    for event in events().values():
        decode(event.type, json.dumps(event.data()).encode())


def test_every_tenant_has_quotes_and_one_has_far_more_than_the_others() -> None:
    shares = Counter(event.tenant for event in events().values())
    assert set(shares) == {tenant.name for tenant in CAST}
    middle = sorted(shares.values())[len(shares) // 2]
    assert shares[NOISY] > 10 * middle


def test_revisions_are_numbered_without_a_gap_and_none_has_two_contents() -> None:
    by_quote: dict[tuple[str, str], dict[int, set[Event]]] = defaultdict(lambda: defaultdict(set))
    for sending in PLAN:
        event = sending.event
        by_quote[event.tenant, event.quote][event.revision].add(event)
    for revisions in by_quote.values():
        assert sorted(revisions) == list(range(1, len(revisions) + 1))
        assert all(len(contents) == 1 for contents in revisions.values())


def test_repeats_late_ones_statuses_and_states_that_come_back_are_each_a_good_share() -> None:
    why = Counter(sending.why for sending in PLAN)
    routes = Counter(sending.route for sending in PLAN)
    statuses = sum(event.lines is None for event in events().values())
    again = 0
    titles: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in sorted(events().values(), key=lambda event: event.revision):
        before = titles[event.tenant, event.quote]
        again += bool(event.title) and event.title in before
        before.append(event.title)
    shares = {
        "again": why["again"] / len(PLAN),
        "late": why["late"] / len(PLAN),
        "over HTTP": routes["http"] / len(PLAN),
        "status alone": statuses / len(events()),
        "came back": again / len(events()),
    }
    print(shares)
    assert min(shares.values()) > 0.04


def test_the_same_part_number_comes_under_several_ids_and_one_customer_under_two() -> None:
    ids: dict[tuple[str, str], set[str | None]] = defaultdict(set)
    customers: dict[str, set[str | None]] = defaultdict(set)
    for event in events().values():
        for line in event.lines or ():
            ids[event.tenant, line.sku].add(line.product_id)
        if event.customer is not None:
            customers[event.customer.name].add(event.customer.id)
    assert max(map(len, ids.values())) == 3
    assert max(map(len, customers.values())) == 2


def test_every_kind_of_fault_comes_at_least_once_also_in_a_short_run_and_ends_in_time() -> None:
    for duration_s in (60.0, 1200.0):
        planned = schedule(families(), 3, duration_s)
        assert {one.kind for one in planned} == set(KINDS) == set(kinds_of(families()))
        assert all(one.at_s >= 0 and one.at_s + one.lasts_s <= duration_s + 0.001 for one in planned)
        assert planned == schedule(families(), 3, duration_s)


def test_what_the_hub_stands_on_is_never_gone_twice_at_once_and_there_most_of_the_time() -> None:
    away = [one for one in schedule(families(), 3, 1200.0) if one.kind.startswith(("Kafka", "PostgreSQL"))]
    assert all(one.at_s + one.lasts_s <= after.at_s for one, after in itertools.pairwise(away))
    assert sum(one.lasts_s for one in away) < 1200.0 / 4


def test_a_run_is_added_to_the_page_and_takes_the_place_of_an_older_one_of_its_seed(tmp_path: Path) -> None:
    path = tmp_path / "soak.md"
    one = _run(seed=2, lost=0)
    for run in (one, _run(seed=1, lost=0), _run(seed=2, lost=3)):
        add_to(path, run)
    assert [(run.seed, run.verdicts["lost"]) for run in runs_of(path.read_text())] == [(1, 0), (2, 3)]
    assert "| lost | **0** | **3** |" in path.read_text()
    assert one.clean
    assert not runs_of(path.read_text())[1].clean


def test_the_page_in_docs_is_what_its_runs_come_to() -> None:
    text = (ROOT / "docs" / "soak.md").read_text()
    assert text == page(runs_of(text))


def _run(seed: int, lost: int) -> Run:
    blank = dict.fromkeys(ALL_VERDICTS, 0)
    values = {"seed": seed, "minutes": 1, "took_s": 1, "at": "", "commit": "", "machine": "", "tenants": 1}
    counts = {"rate": 1, "events": {}, "requests": {}, "faults": {}, "met": {}, "excused": 0}
    rest = {"verdicts": blank | {"lost": lost}, "starts_refused": 0}
    return msgspec.convert(values | counts | rest, Run)
