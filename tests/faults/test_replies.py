"""Lost, late and lying replies, redeliveries and disorder, with the whole hub and the sandbox as the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.conftest import all_commands_ended, quotes_titled
from tests.faults.operating import change_rules
from tests.support.hub import PATIENT, SETTLE_S, Hub, eventually, quote_event

pytestmark = pytest.mark.timeout(600)
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0
ENVIRONMENT = PATIENT


@pytest.fixture(scope="module", autouse=True)
def writer(hub: Hub) -> Iterator[None]:
    """One writer for the module: nothing here kills it."""
    hub.start("writer")
    hub.wait_ready("writer")
    yield
    assert hub.processes["writer"].stop() == 0


def quote_in_halo(hub: Hub, title: str, **expected: Any) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        rows = quotes_titled(hub, title)
        return (
            rows[0] if rows and all(rows[0].get(name) == value for name, value in expected.items()) else None
        )

    row: dict[str, Any] = eventually(found, _PATIENCE_S, what=f"{title} with {expected}")
    return row


def posts(hub: Hub, path: str, *, containing: str) -> list[dict[str, Any]]:
    """The writes to a resource whose body has this text, in order."""
    return [row for row in hub.sandbox.requests(method="POST", path=path) if containing in str(row["body"])]


@pytest.mark.fault("F4")
@pytest.mark.parametrize("path", ["/Opportunities", "/Quotation"])
def test_a_reply_lost_after_halo_applied_doubles_nothing(hub: Hub, path: str) -> None:
    quote = f"lost-reply-{path[1:]}"
    hub.sandbox.arm("store_then_drop", method="POST", path=path, body=f"Quote {quote}")
    hub.publish(quote_event(quote, 1, customer=_KNOWN))
    quote_in_halo(hub, f"Quote {quote}", status=2)
    assert len(quotes_titled(hub, f"Quote {quote}")) == 1
    assert len([row for row in hub.sandbox.state("Opportunities") if row["summary"] == f"Quote {quote}"]) == 1
    # What was applied is adopted as it is: it is found, not written again.
    assert len(posts(hub, path, containing=f"Quote {quote}")) == 1


@pytest.mark.fault("F5")
def test_a_500_that_was_applied_doubles_nothing(hub: Hub) -> None:
    hub.sandbox.arm("error_after_store", method="POST", path="/Quotation", body="Quote lying-500")
    hub.publish(quote_event("lying-500", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote lying-500", status=2)
    assert len(posts(hub, "/Quotation", containing="Quote lying-500")) == 1


@pytest.mark.fault("F6")
def test_absence_is_not_believed_while_the_search_lags(hub: Hub) -> None:
    hub.sandbox.configure(search_lag_s=SETTLE_S * 0.5)
    try:
        hub.sandbox.arm("store_then_drop", method="POST", path="/Quotation", body="Quote laggard")
        hub.publish(quote_event("laggard", 1, customer=_KNOWN))
        eventually(lambda: hub.sandbox.requests(method="GET", path="/ExternalLink"), what="a look-up")
        quote_in_halo(hub, "Quote laggard", status=2)
        hub.publish(quote_event("laggard", 2, customer=_KNOWN, status="approved"))
        quote_in_halo(hub, "Quote laggard", status=3)
        assert len(quotes_titled(hub, "Quote laggard")) == 1
    finally:
        hub.sandbox.configure(search_lag_s=0.0)


@pytest.mark.fault("F35")
def test_a_record_that_halo_stores_late_is_not_created_again(hub: Hub) -> None:
    hub.sandbox.arm(
        "drop_then_store",
        method="POST",
        path="/Quotation",
        body="Quote late-store",
        delay_s=SETTLE_S * 0.5,
    )
    hub.publish(quote_event("late-store", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote late-store", status=2)
    hub.publish(quote_event("late-store", 2, customer=_KNOWN, status="approved"))
    quote_in_halo(hub, "Quote late-store", status=3)
    assert len(quotes_titled(hub, "Quote late-store")) == 1
    writes = posts(hub, "/Quotation", containing="Quote late-store")
    assert len([row for row in writes if "id" not in row["body"][0]]) == 1
    # The first look-up found nothing and was not believed.
    assert len(hub.sandbox.requests(method="GET", path="/ExternalLink")) >= 2


@pytest.mark.fault("F36")
def test_an_update_overtaken_by_a_newer_revision_ends_at_the_newest_lines(hub: Hub) -> None:
    first = [_line("a", "FW-100")]
    hub.publish(quote_event("overtaken", 1, customer=_KNOWN, lines=first))
    quote_in_halo(hub, "Quote overtaken", status=2)
    before = hub.sandbox.last_request()
    hub.sandbox.arm("drop_then_store", method="POST", path="/Quotation", delay_s=SETTLE_S * 0.5)
    hub.publish(quote_event("overtaken", 2, customer=_KNOWN, lines=[*first, _line("b", "AP-W6")]))
    eventually(lambda: _dropped(hub, before), what="the drop")
    newest = [*first, _line("b", "AP-W6"), _line("c", "KM-SET")]
    hub.publish(quote_event("overtaken", 3, customer=_KNOWN, lines=newest, status="approved"))
    found = quote_in_halo(hub, "Quote overtaken", status=3)
    assert [row["productcode"] for row in found["lines"]] == ["FW-100", "AP-W6", "KM-SET"]


@pytest.mark.fault("F7")
def test_the_same_event_twice_is_one_quote_and_no_further_request(hub: Hub) -> None:
    event = quote_event("twice", 1, customer=_KNOWN)
    hub.publish(event)
    quote_in_halo(hub, "Quote twice", status=2)
    before = len(hub.sandbox.requests())
    hub.publish(event, event)
    hub.publish(quote_event("twice-marker", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote twice-marker", status=2)
    after = hub.sandbox.requests()[before:]
    assert [(row["method"], row["path"]) for row in after] == [
        ("POST", "/Opportunities"),
        ("POST", "/Quotation"),
    ]
    assert len(quotes_titled(hub, "Quote twice")) == 1


@pytest.mark.fault("F8")
def test_revisions_that_arrive_3_1_2_end_at_3(hub: Hub) -> None:
    for revision in (3, 1, 2):
        hub.publish(quote_event("disorder", revision, customer=_KNOWN, title=f"Disorder {revision}"))
    hub.publish(quote_event("disorder-marker", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote disorder-marker", status=2)
    # The marker may be through first: it lies in another partition.
    quote_in_halo(hub, "Disorder 3", status=2)
    eventually(lambda: all_commands_ended(hub), _PATIENCE_S, what="every command at its end")
    titles = [f"Disorder {revision}" for revision in (1, 2, 3)]
    assert [row["title"] for row in quotes_titled(hub, *titles)] == ["Disorder 3"]
    assert len([row for row in hub.sandbox.state("Opportunities") if row["summary"] in titles]) == 1


@pytest.mark.fault("F38")
def test_a_state_that_goes_a_b_a_ends_at_a(hub: Hub) -> None:
    for revision, status in enumerate(("sent", "approved", "sent"), start=1):
        if revision == 1:
            hub.publish(quote_event("aba", revision, customer=_KNOWN, status=status))
        else:
            hub.publish(quote_event("aba", revision, event_type="quote.status_changed.v1", status=status))
        quote_in_halo(hub, "Quote aba", status={"sent": 2, "approved": 3}[status])
    writes = posts(hub, "/Quotation", containing=str(quotes_titled(hub, "Quote aba")[0]["id"]))
    assert [row["body"][0]["status"] for row in writes][-2:] == [3, 2]


@pytest.mark.fault("F38")
@pytest.mark.feature("hub.rules.version", part="mapper")
def test_rules_that_go_a_b_a_act_on_later_events_each(hub: Hub) -> None:
    hub.publish(quote_event("rules", 1, customer=_KNOWN))
    quote_in_halo(hub, "Quote rules", status=2)
    drafts, sent = "sent: Draft", "sent: Sent"
    for revision, old, new, status in ((2, sent, drafts, 1), (3, drafts, sent, 2)):
        change_rules(hub, old, new)
        hub.publish(quote_event("rules", revision, event_type="quote.status_changed.v1", status="sent"))
        quote_in_halo(hub, "Quote rules", status=status)


def _dropped(hub: Hub, since: int) -> bool:
    writes = hub.sandbox.requests(since=since, method="POST", path="/Quotation")
    return any(row["status"] is None for row in writes)


def _line(line_id: str, code: str) -> dict[str, Any]:
    product = {"name": f"Product {code}", "manufacturer_part_number": code}
    return {"id": line_id, "product": product, "quantity": 1, "price": "10.00"}
