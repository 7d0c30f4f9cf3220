"""A Halo that is down, slow, hanging, or has stopped to let us in: its tenant's work waits, visibly, and goes on by
itself; no other tenant notices.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import pytest

from tests.faults.conftest import all_commands_ended, quotes_titled, warm_hub
from tests.faults.on_the_log import letters, outcomes
from tests.faults.tenants import (
    PATIENCE_S,
    backlog,
    each_once,
    errors,
    partition,
    posts,
    publish_quotes,
    summary,
)
from tests.support.hub import Hub, eventually
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.timeout(600)
_FAST = "fast"
_SLOW = next(name for n in itertools.count() if partition(name := f"slow-{n}") == partition(_FAST))
_TROUBLED = "troubled"
_STRICT = "strict"
_TENANTS = (_TROUBLED, _STRICT, "rotated", _SLOW, _FAST)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Hub]:
    with warm_hub(tmp_path_factory.mktemp("hub"), postgres, *_TENANTS) as running:
        running.environment["ROTATED_SECRET"] = _NEW_SECRET
        # Nobody is killed here: whoever leaves the group was made to.
        running.environment["HUB_KAFKA_SESSION_TIMEOUT_S"] = "30"
        running.start("writer")
        running.wait_ready("writer")
        yield running


_NEW_SECRET = "a-secret-after-rotation"


@pytest.fixture(autouse=True)
def no_faults_left(hub: Hub) -> Iterator[None]:
    yield
    hub.sandbox.disarm()
    for tenant in (_TROUBLED, _STRICT):
        hub.halo(tenant).configure(login="good", denied=[])


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def reasons(hub: Hub, tenant: str) -> dict[str, int]:
    """How many rows of the tenant's backlog wait for which reason."""
    found: dict[str, int] = {}
    for row in backlog(hub, tenant):
        found[row["reason"]] = found.get(row["reason"], 0) + 1
    return found


def others_are_served(hub: Hub, prefix: str) -> None:
    """Another tenant's quotes, published now, come through."""
    quotes = publish_quotes(hub, _FAST, names(prefix, 3))
    each_once(hub, _FAST, quotes)


# Down -------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F18")
@pytest.mark.parametrize("status", [None, 503])
def test_a_halo_that_is_down_is_a_backlog_of_its_tenant_that_drains_by_itself(
    hub: Hub, status: int | None
) -> None:
    assignments = len(eventually(lambda: _assignments(hub), PATIENCE_S, what="an assignment"))
    fault, since = hub.halo(_TROUBLED).down(status), time.monotonic()
    quotes = publish_quotes(hub, _TROUBLED, names(f"down-{status}", 8))
    eventually(lambda: len(backlog(hub, _TROUBLED)) == 2 * len(quotes), PATIENCE_S, what="a backlog")
    others_are_served(hub, f"beside-down-{status}")
    eventually(lambda: all_commands_ended(hub), PATIENCE_S, what="every offset committed")
    waiting = reasons(hub, _TROUBLED)
    assert waiting.keys() <= {"unreachable", "ambiguous"}
    assert waiting.get("ambiguous", 0) <= 1, "one command found it out"
    told = summary(hub, _TROUBLED)
    assert told["waiting"] == 2 * len(quotes)
    assert told["oldest_s"] > 0
    assert told["drain_s"] > 0
    assert [hold["reason"] for hold in told["holds"]] == ["unreachable"]
    # One probe at a time, later and later: after 0.05 s, 0.1 s and so on up to 3 s, at this scale.
    met = sum(hub.halo(_TROUBLED).met(fault).values())
    assert 1 <= met <= 10 + (time.monotonic() - since) / 2, "more requests than one probe at a time"
    assert _titled(hub, _TROUBLED, quotes) == []
    hub.sandbox.disarm(fault)
    each_once(hub, _TROUBLED, quotes)
    assert letters(hub, tenant=_TROUBLED) == []
    assert len(_assignments(hub)) == assignments, "the writer left its group meanwhile"


def _assignments(hub: Hub) -> list[dict[str, Any]]:
    lines = hub.processes["writer"].lines()
    return [line for line in lines if line["event"] == "bus.assigned" and line["group"] == "hub-writer"]


# Not let in -------------------------------------------------------------------------------------------------


@pytest.mark.feature("gotcha.client_id", part="writer")
@pytest.mark.fault("F19")
def test_a_lost_login_halts_its_tenant_is_told_once_and_resumes_by_itself(hub: Hub) -> None:
    """One Halo refuses the credentials, the other each call with the token that it issues."""
    writer = hub.processes["writer"]
    states: dict[str, Literal["revoked", "refused"]] = {_TROUBLED: "revoked", _STRICT: "refused"}
    before = {tenant: len(errors(writer, tenant)) for tenant in states}
    began = hub.sandbox.last_request()
    quotes = names("halted", 6)
    for tenant, state in states.items():
        hub.halo(tenant).login(state)
        publish_quotes(hub, tenant, quotes)
    for tenant in states:
        until_halted(hub, tenant, 2 * len(quotes))
    quotes += names("halted-more", 3)
    for tenant in states:
        publish_quotes(hub, tenant, quotes[6:])
    others_are_served(hub, "beside-halted")
    for tenant, state in states.items():
        until_halted(hub, tenant, 2 * len(quotes))
        (line,) = errors(writer, tenant)[before[tenant] :]
        assert line["event"] == "halo.login_lost"
        assert "client_id" in line["fix"]
        assert "application in Halo" in line["fix"]
        if state == "revoked":
            assert "Halo can change the client id unexpectedly" in line["halo_says"]
        assert len(posts(hub, tenant, since=began)) <= 2, "one command found it out"
        assert letters(hub, tenant=tenant) == []
    hub.wait_ready("writer")
    for tenant in states:
        hub.halo(tenant).login("good")
    for tenant in states:
        each_once(hub, tenant, quotes)
        assert len(errors(writer, tenant)) == before[tenant] + 1, "one line for the whole halt"


def until_halted(hub: Hub, tenant: str, commands: int) -> None:
    """Wait until so many commands of the tenant wait for its login."""
    halted = {"unauthorised": commands}
    eventually(lambda: reasons(hub, tenant) == halted, PATIENCE_S, what=f"{commands} commands that wait")


@pytest.mark.feature("gotcha.client_id", part="writer")
@pytest.mark.fault("F19")
def test_a_corrected_tenant_file_ends_a_halt_at_once(hub: Hub) -> None:
    """By itself the next try would come half a minute later, or a minute."""
    assert hub.processes["writer"].stop() == 0
    hub.start("writer", HUB_SETTLE_S="180")
    hub.wait_ready("writer")
    halo = hub.halo("rotated")
    halo.configure(clients=[{"client_id": "sandbox-client", "client_secret": _NEW_SECRET}])
    halo.revoke_tokens()
    quotes = publish_quotes(hub, "rotated", names("rotated", 3))
    waiting = {"unauthorised": 2 * len(quotes)}
    eventually(lambda: reasons(hub, "rotated") == waiting, PATIENCE_S, what="a halt")
    next_try_s = eventually(lambda: _far_off(hub, "rotated"), PATIENCE_S, what="a next try that is far off")
    path = hub.directory / "tenants" / "rotated.yaml"
    path.write_text(path.read_text().replace("env:SANDBOX_SECRET", "env:ROTATED_SECRET"))
    eventually(lambda: posts(hub, "rotated", "^/Quotation$"), next_try_s, what="requests before the next try")
    each_once(hub, "rotated", quotes)
    assert hub.processes["writer"].stop() == 0
    hub.start("writer")
    hub.wait_ready("writer")


def _far_off(hub: Hub, tenant: str) -> float | None:
    """In how many seconds the tenant's Halo is tried again; None when that is soon."""
    (hold,) = summary(hub, tenant)["holds"]
    return hold["again_in_s"] if hold["again_in_s"] > 15 else None


@pytest.mark.feature("perm.denied", part="writer")
def test_a_missing_right_holds_its_kind_alone_and_is_told_once(hub: Hub) -> None:
    halo = hub.halo(_TROUBLED)
    halo.deny({"resource": "Quotation", "method": "POST"})
    before = len(errors(hub.processes["writer"], _TROUBLED))
    began = hub.sandbox.last_request()
    quotes = names("denied", 4)
    for number, quote in enumerate(quotes):
        customer = {"id": f"denied-org-{number}", "name": f"Denied {number}"}
        publish_quotes(hub, _TROUBLED, [quote], customer=customer)
    eventually(
        lambda: reasons(hub, _TROUBLED) == {"denied": len(quotes)}, PATIENCE_S, what="quotes that wait"
    )
    # What waits for the right may do so before its client's turn has come.
    made = {f"Denied {number}" for number in range(len(quotes))}
    eventually(lambda: made <= {row["name"] for row in halo.state("Client")}, PATIENCE_S, what="clients")
    eventually(lambda: all_commands_ended(hub), PATIENCE_S, what="every offset committed")
    assert len(posts(hub, _TROUBLED, "^/Quotation$", since=began)) <= 8, (
        "not one try for each quote each time"
    )
    (line,) = errors(hub.processes["writer"], _TROUBLED)[before:]
    assert line["event"] == "halo.denied"
    assert line["scope"] == "edit:quotes"
    assert "Configuration > Integrations > HaloPSA API > Applications" in line["fix"]
    assert "Permissions" in line["fix"]
    assert letters(hub, tenant=_TROUBLED) == []
    halo.deny()
    each_once(hub, _TROUBLED, quotes)


@pytest.mark.feature("perm.denied", part="writer")
def test_a_right_that_is_missing_on_one_record_makes_that_record_wait_alone(hub: Hub) -> None:
    halo = hub.halo(_TROUBLED)
    quotes = publish_quotes(hub, _TROUBLED, names("record", 3))
    each_once(hub, _TROUBLED, quotes)
    before = len(errors(hub.processes["writer"], _TROUBLED))
    (record,) = quotes_titled(hub, f"Quote {quotes[0]}", tenant=_TROUBLED)
    halo.deny({"resource": "Quotation", "method": "POST", "id": record["id"], "status": 401})
    began = hub.sandbox.last_request()
    publish_quotes(hub, _TROUBLED, quotes, revision=2, status="approved")
    eventually(
        lambda: [row["status"] for row in _titled(hub, _TROUBLED, quotes[1:])] == [3, 3],
        PATIENCE_S,
        what="its neighbours",
    )
    # It is tried again and again, and each time alone.
    eventually(lambda: len(_of(hub, _TROUBLED, record, began)) >= 2, PATIENCE_S, what="another try")
    publish_quotes(hub, _TROUBLED, quotes[1:], revision=3, status="sent")
    eventually(
        lambda: [row["status"] for row in _titled(hub, _TROUBLED, quotes[1:])] == [2, 2],
        PATIENCE_S,
        what="its neighbours, once more",
    )
    eventually(
        lambda: (
            [(row["reason"], row["target"].split("/")[-2]) for row in backlog(hub, _TROUBLED)]
            == [("denied", quotes[0])]
        ),
        PATIENCE_S,
        what="that one alone waiting",
    )
    (line,) = errors(hub.processes["writer"], _TROUBLED)[before:]
    assert f"/quote/{quotes[0]}/" in line["target"]
    halo.deny()
    each_once(hub, _TROUBLED, quotes[:1], status=3)


def _titled(hub: Hub, tenant: str, quotes: list[str]) -> list[dict[str, Any]]:
    return quotes_titled(hub, *(f"Quote {quote}" for quote in quotes), tenant=tenant)


def _of(hub: Hub, tenant: str, record: dict[str, Any], since: int) -> list[dict[str, Any]]:
    """The writes of one quote by its id."""
    sent = posts(hub, tenant, "^/Quotation$", since=since)
    return [entry for entry in sent if entry["body"][0].get("id") == record["id"]]


# Slow -------------------------------------------------------------------------------------------------------


@pytest.mark.fault("F20")
@pytest.mark.parametrize("apply", [None, "after"])
def test_an_answer_that_trickles_is_given_up_and_looked_for(hub: Hub, apply: str | None) -> None:
    """Each byte comes soon after the last, so that no single read takes long: only a total deadline ends it."""
    quote = f"trickle-{apply}"
    fault = hub.halo(_FAST).arm(
        "trickle", method="POST", path="^/Quotation$", body=f"Quote {quote}", delay_s=0.05, apply=apply
    )
    began = hub.sandbox.last_request()
    publish_quotes(hub, _FAST, [quote])
    each_once(hub, _FAST, [quote], status=2)
    assert hub.halo(_FAST).met(fault) == {"trickle": 1}
    assert len(posts(hub, _FAST, "^/Quotation$", since=began)) == 1
    assert hub.halo(_FAST).requests(since=began, method="GET", path="^/ExternalLink$") != []


@pytest.mark.fault("F31")
@pytest.mark.fault("F42")
def test_a_tenant_whose_halo_hangs_holds_up_nobody_in_its_own_partition(hub: Hub) -> None:
    fault = hub.halo(_SLOW).arm("hang", times=0)
    slow = publish_quotes(hub, _SLOW, names("hung", 10))
    eventually(lambda: hub.halo(_SLOW).met(fault), PATIENCE_S, what="a request that hangs")
    fast = []
    for wave in range(3):
        slow += publish_quotes(hub, _SLOW, names(f"hung-{wave}", 2))
        fast += publish_quotes(hub, _FAST, names(f"fast-{wave}", 2))
        eventually(lambda: len(_titled(hub, _FAST, fast)) == len(fast), PATIENCE_S, what="the fast tenant's")  # noqa: B023
        eventually(lambda: hub.answers("writer", "live"), what="a live writer")
        assert _titled(hub, _SLOW, slow) == []
    each_once(hub, _FAST, fast)
    eventually(lambda: all_commands_ended(hub), PATIENCE_S, what="the partition at its end")
    eventually(lambda: hub.answers("writer", "live"), what="a live writer")
    assert sum(reasons(hub, _SLOW).values()) == 2 * len(slow)
    eventually(lambda: hub.halo(_SLOW).met(fault)["hang"] >= 3, PATIENCE_S, what="deadlines that fire")
    hub.sandbox.disarm(fault)
    each_once(hub, _SLOW, slow)


# One record -------------------------------------------------------------------------------------------------


@pytest.mark.feature("gotcha.main_contact", part="writer")
def test_a_client_that_lacks_the_main_contact_is_refused_with_the_fix_and_made_when_one_comes(
    hub: Hub,
) -> None:
    halo = hub.halo(_STRICT)
    halo.configure(main_contact_compulsory=True)
    customer = {"id": "org-9", "name": "Contactless Ltd"}
    publish_quotes(hub, _STRICT, ["no-contact"], customer=customer)
    (letter,) = eventually(lambda: letters(hub, tenant=_STRICT), PATIENCE_S, what="a dead letter")
    assert letter.data.target is not None
    assert (letter.data.target.kind, letter.data.target.id) == ("client", "org-9")
    assert "Please populate main contact name" in letter.data.message
    fix = letter.data.fix or ""
    assert "Configuration > Users > General Settings" in fix
    assert "Make main contact details compulsory" in fix
    assert "send a contact" in fix
    told = eventually(lambda: outcomes(hub, "client", "org-9"), PATIENCE_S, what="its outcome")
    (refused,) = told.values()
    assert (refused.status, refused.fix) == ("rejected", fix)
    eventually(
        lambda: reasons(hub, _STRICT).keys() == {"dependency"},
        PATIENCE_S,
        what="a quote that waits for its customer",
    )
    contact = {"id": "person-9", "name": "Nina Park", "email": "nina@contactless.example"}
    publish_quotes(hub, _STRICT, ["no-contact"], revision=2, customer=customer, contact=contact)
    each_once(hub, _STRICT, ["no-contact"], status=2)
    (client,) = [row for row in halo.state("Client") if row["name"] == "Contactless Ltd"]
    (person,) = [row for row in halo.state("Users") if row.get("client_id") == client["id"]]
    assert person["emailaddress"] == contact["email"]
    sent = posts(hub, _STRICT, "^/Client$", containing="Contactless Ltd")
    (created,) = [entry for entry in sent if entry["created"]]
    assert created["body"][0]["newclient_contactname"] == "Nina Park"


@pytest.mark.feature("gotcha.partial", part="writer")
def test_one_record_that_fails_is_counted_and_logged_and_the_rest_goes_on(hub: Hub) -> None:
    hub.halo(_FAST).arm(
        "error", method="POST", path="^/Quotation$", body="Quote batch-3", status=400, answer="It is refused"
    )
    quotes = publish_quotes(hub, _FAST, names("batch", 8))
    each_once(hub, _FAST, [quote for quote in quotes if quote != "batch-3"])
    assert _titled(hub, _FAST, ["batch-3"]) == []
    settled = eventually(lambda: _settled(hub, len(quotes)), PATIENCE_S, what="a line for each quote")
    assert Counter(line["outcome"] for line in settled) == {"applied": 7, "rejected": 1}
    (line,) = [line for line in settled if line["level"] == "error"]
    assert "/quote/batch-3/" in line["target"]
    (letter,) = eventually(lambda: letters(hub, tenant=_FAST), PATIENCE_S, what="the dead letter")
    assert (letter.data.reason, letter.data.message) == ("halo.rejected", "It is refused")
    publish_quotes(hub, _FAST, ["batch-3"], revision=2)
    each_once(hub, _FAST, quotes)


def _settled(hub: Hub, count: int) -> list[dict[str, Any]] | None:
    """What was logged of the end of each of the batch's quotes, once that is so many lines."""
    lines = [
        line
        for line in hub.processes["writer"].lines()
        if line["event"] == "message.settled"
        and "/quote/batch-" in line["target"]
        and line["outcome"] != "waiting"
    ]
    return lines if len(lines) >= count else None
