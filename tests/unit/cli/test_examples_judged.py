"""The judge of an example sees what is lost, doubled, strange or other than expected; and when the hub is at rest."""

from __future__ import annotations

import copy
import datetime as dt
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from cli.demo.like.compare import Compared, Said, compare, differences
from cli.demo.like.course import Played, Result
from cli.demo.like.example import Example, example
from cli.demo.like.facts import Halo, of_quote
from cli.demo.like.log import only_people_help, said_of
from cli.demo.like.report import document, sent
from cli.demo.log_side import Ledger
from cli.main import run
from hub.store.pending import Pending
from schemas.commands import Basis, Notice, UpsertQuote
from schemas.control import DecisionRequested
from schemas.envelope import Envelope
from schemas.outcomes import DeadLetter, Outcome
from schemas.targets import Target

State = dict[str, list[dict[str, Any]]]
TENANT = "example-quoter"
LOOKUPS = [
    {"id": 1, "lookupid": 11, "id_in_lookup": 63, "name": "Quote status"},
    {"id": 2, "lookupid": 63, "id_in_lookup": 2, "name": "Sent"},
    {"id": 3, "lookupid": 27, "id_in_lookup": 2, "name": "Monthly"},
]
BEFORE: State = {
    "Client": [{"id": 12, "name": "Brightwater"}],
    "Item": [{"id": 51, "name": "Laptop"}],
    "Faults": [],
    "Quotation": [],
    "SalesOrder": [],
    "Lookup": LOOKUPS,
    "Status": [{"id": 20, "name": "Qualified"}],
}
LINES = [
    {"item_id": 51, "name": "Laptop 14", "quantity": 2, "price": 854.1, "baseprice": 949},
    {"item_id": 90, "name": "Seat", "quantity": 3, "price": 3.75, "baseprice": 3.75, "billingperiod": 2},
]
AFTER: State = {
    **BEFORE,
    "Item": [*BEFORE["Item"], {"id": 90, "name": "Seat"}],
    "Faults": [{"id": 1001, "summary": "Q-1 Laptops", "client_id": 12, "status_id": 20, "oppvalue": 1719.45}],
    "Quotation": [
        {
            "id": 2001,
            "title": "Q-1 Laptops",
            "ticket_id": 1001,
            "client_id": 12,
            "status": 2,
            "lines": LINES,
            "revenue": 1719.45,
        }
    ],
}
WANTED = {
    "quotes": {
        "Q-1": {
            "shows": "a quote",
            "client": "Brightwater",
            "opportunity": {"status": "Qualified", "value": "1719.45"},
            "quotes": [
                {
                    "status": "Sent",
                    "net": "1719.45",
                    "lines": ["2 x Laptop 14 (Laptop) at 854.10 instead of 949.00", "3 x Seat at 3.75, Monthly"],
                }
            ],
        }
    },
    "in_all": {"clients": {}, "contacts": [], "items": {"Seat": {"group": None}}, "groups": []},
}  # fmt: skip
EXAMPLE = Example("quoter", TENANT, "", "", {}, WANTED)


def judged(after: State = AFTER, said: Said | None = None) -> str:
    """Every fault that is found, a line each."""
    found = compare(EXAMPLE, Halo(BEFORE, after), {} if said is None else {"Q-1": said})
    return "\n".join(f"{one.name}: {fault}" for one in found for fault in one.faults)


def test_what_is_as_expected_passes() -> None:
    assert judged() == ""


def _change(table: str, **fields: Any) -> Callable[[State], None]:
    return lambda state: state[table][-1].update(fields)


def _double(table: str, **fields: Any) -> Callable[[State], None]:
    return lambda state: state[table].append({**copy.deepcopy(state[table][-1]), "id": 9999, **fields})


def _without_line(state: State) -> None:
    state["Quotation"][0]["lines"].pop()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (_change("Quotation", status=0), "Q-1: quotes[1].status is nothing, not Sent"),
        (_change("Quotation", revenue=1719.46), "Q-1: quotes[1].net is 1719.46, not 1719.45"),
        (_without_line, "Q-1: quotes[1].lines has 1 entries, not 2"),
        (_double("Quotation"), "Q-1: quotes has 2 entries, not 1"),
        (_double("Quotation", title="Q-1 Laptops", ticket_id=5), "Q-1: quotes has 2 entries, not 1"),
        (_double("Quotation", title="Q-2 Other"), "in all: Quotation 9999 (Q-2 Other) is no quote's"),
        (_double("Faults"), "in all: Faults 9999 (Q-1 Laptops) is no quote's"),
        (_change("Faults", oppvalue=0), "Q-1: opportunity.value is 0.00, not 1719.45"),
        (_change("Faults", id=5), "Q-1: opportunity.status is nothing, not Qualified"),
        (_double("SalesOrder", quotation_id=2001), "Q-1: orders has 1 entries, not 0"),
        (_double("Client", name="Bright Water"), "in all: clients: Bright Water should not be there"),
        (_double("Item", name="Seats"), "in all: items: Seats should not be there"),
    ],
)
def test_each_difference_is_named(spoil: Callable[[State], None], told: str) -> None:
    after = copy.deepcopy(AFTER)
    after["SalesOrder"] = after["SalesOrder"] or []
    if not after["SalesOrder"] and "orders" in told:
        after["SalesOrder"].append({"id": 1, "quotation_id": 0})
    spoil(after)
    assert told in judged(after)


@pytest.mark.parametrize("what", ["asked", "rejected", "told"])
def test_what_the_hub_says_of_a_quote_must_be_expected(what: str) -> None:
    assert (
        judged(said=Said(**{what: ("match.several",)}))
        == f"Q-1: {what} has 1 entries, not 0: ['match.several']"
    )


def test_a_value_that_is_to_be_absent_is_compared_too() -> None:
    assert differences({"a": None}, {"a": 5}) == ("a is 5, not nothing",)
    assert differences({"a": {"b": "1"}}, {"a": None}) == ("a.b is nothing, not 1",)
    assert differences(["1"], "1") == (" is 1, not ['1']",)


def test_a_quote_that_has_nothing_in_halo_is_told_as_such() -> None:
    found = of_quote("Q-7", Halo(BEFORE, AFTER))
    assert (found["client"], found["opportunity"], found["quotes"], found["orders"]) == (None, None, [], [])


# When it is at rest ---------------------------------------------------------------------------------------


def row(key: str, reason: str = "dependency", waits_for: str | None = None) -> Pending:
    return Pending(
        tenant=TENANT,
        stage="writer",
        target_key=key,
        message_id="m",
        message_type="upsert_quote.v1",
        headers=b"{}",
        value=b"{}",
        reason=reason,
        waits_for=waits_for,
        not_before=0.0,
        since=0.0,
    )


def test_what_waits_for_an_answer_or_behind_what_does_is_at_rest() -> None:
    rows = [
        row("quote", waits_for="opportunity"),
        row("opportunity", waits_for="client"),
        row("client", "decision"),
    ]
    assert only_people_help(rows, ())


def test_what_waits_for_a_rejected_record_is_at_rest_until_that_is_tried_again() -> None:
    rows = [row("quote", waits_for="client")]
    assert only_people_help(rows, ["client"])
    assert not only_people_help([*rows, row("client", "unreachable")], ["client"])


def test_what_was_answered_goes_on_by_itself_as_does_all_behind_it() -> None:
    rows = [row("quote", waits_for="client"), row("client", "decision")]
    assert only_people_help(rows, (), ())
    assert not only_people_help(rows, (), ["client"])


@pytest.mark.parametrize("waiting", [row("quote", "unreachable"), row("quote", waits_for="client")])
def test_what_goes_on_by_itself_is_not_at_rest(waiting: Pending) -> None:
    assert not only_people_help([waiting, row("other", "decision")], ())


def test_what_was_said_is_told_of_the_quote_whose_event_it_came_from() -> None:
    basis = Basis(
        event_id="Q-1-1",
        event_type="quote.published.v1",
        origin="",
        subject="Q-1",
        rule_sequence=1,
        rule_hash="",
    )
    target = Target(tenant=TENANT, instance="halo", source="quoter", kind="client", id="org-1")
    event = _envelope("Q-1-1", "quote.published.v1", "Q-1")
    command = _envelope("c-1", "upsert_quote.v1", "org-1")
    outcome = Outcome(
        command_id="c-1", command_type="", target=target, status="applied", basis=basis,
        notices=(Notice(code="tax.skipped", message=""),),
    )  # fmt: skip
    letter = DeadLetter(
        stage="writer",
        reason="client.main_contact",
        message="",
        topic="",
        tenant=TENANT,
        subject="org-1",
        basis=basis,
    )
    ledger = Ledger(
        (event,),
        ((command, UpsertQuote(target=target, basis=basis, client=UNSET)),),
        ((command, outcome),),
        (),
        (letter,),
    )
    question = DecisionRequested(target=target, question="match.several", message="")
    asked = [
        (asked_by("q-1", causationid="c-1"), question),
        (asked_by("q-2", causationid="Q-1-1"), msgspec.structs.replace(question, question="won.opp.missing")),
        (asked_by("q-3", causationid="c-1", tenant="other"), question),
    ]  # fmt: skip
    assert said_of(TENANT, ledger, asked) == {
        "Q-1": Said(("match.several", "won.opp.missing"), ("client.main_contact",), ("tax.skipped",))
    }


def _envelope(
    id_: str, type_: str, subject: str, tenant: str = TENANT, causationid: str | None = None
) -> Envelope:
    at = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
    return Envelope(
        id=id_, source="/x", type=type_, subject=subject, time=at, tenant=tenant, causationid=causationid
    )


def asked_by(id_: str, causationid: str, tenant: str = TENANT) -> Envelope:
    return _envelope(id_, "decision.requested.v1", "org-1", tenant, causationid)


# What is told ---------------------------------------------------------------------------------------------


def _result(**changes: Any) -> Result:
    one = Compared(
        "Q-3104", "won", {**of_quote("Q-1", Halo(BEFORE, AFTER)), "asked": [], "rejected": [], "told": []}, ()
    )
    beside = Compared("in all", "", {"clients": {}, "leads": [], "contacts": [], "items": {}}, ())
    result = Result(example("quoter"), (one, beside), {}, (), ())
    return replace(result, **changes)


def test_what_was_sent_of_a_quote_is_told_in_the_order_of_its_deliveries() -> None:
    assert sent("Q-3104", _result()) == ["published (1)", "updated (2)", "ordered (3)", "fulfilled (4)"]
    assert sent("Q-3110", _result()) == ["published (1)", "published (1)", "published (3)", "published (2)"]


def test_an_example_is_well_only_when_each_quote_is_and_all_came_to_its_end() -> None:
    good = _result()
    bad = replace(good.compared[0], faults=("client is X, not Y",))
    assert Played((good,), 1.0).ok
    assert not Played((good, _result(compared=(bad, good.compared[1]))), 1.0).ok
    assert not Played((_result(unended=("not finished",)),), 1.0).ok
    told = document(Played((_result(compared=(bad, good.compared[1])),), 1.0))
    assert (told["ok"], told["examples"][0]["quotes"][0]["faults"]) == (False, ("client is X, not Y",))


@pytest.mark.parametrize(("faults", "ends"), [((), 0), (("client is X, not Y",), 1)])
def test_the_command_ends_with_1_when_an_expectation_does_not_hold(
    faults: tuple[str, ...], ends: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _result()
    played = Played((_result(compared=(replace(good.compared[0], faults=faults), good.compared[1])),), 1.0)
    monkeypatch.setattr("cli.demo.place.own_environment", lambda: dict(os.environ))
    monkeypatch.setattr("cli.demo.command.signal.signal", lambda *_: None)
    monkeypatch.setattr("cli.demo.course.stage", lambda *_: nullcontext(SimpleNamespace()))
    monkeypatch.setattr("cli.demo.like.course.play", lambda *_: played)
    assert run(["demo", "--like", "quoter"]) == ends
    out = capsys.readouterr().out
    assert ("Halo does not hold" in out, "client is X, not Y" in out) == (bool(faults), bool(faults))
