"""The demo's verdict: it passes on what was published, and fails on anything lost, doubled, stale or left undone."""

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cli.demo import report
from cli.demo.course import Killed, Result
from cli.demo.day import ONE_MORE, PRODUCER, TENANT, Day, one_more, the_day
from cli.demo.expected import Expected, Line, Quote, expected
from cli.demo.goods import CUSTOMERS
from cli.demo.log_side import Backlog, Ledger
from cli.demo.sandbox_side import QUOTE_STATUS_LOOKUP, State
from cli.demo.verify import Check, Halo, verify
from schemas.commands import Basis, UpsertQuote
from schemas.envelope import Envelope, from_structured
from schemas.faults import DataInvalid, decode_source
from schemas.outcomes import DeadLetter, DuplicateSuspected, Outcome
from schemas.targets import Target

NOW = dt.datetime(2026, 11, 2, 17, 0, tzinfo=dt.UTC)
NOTHING_LEFT = Backlog(events=0, commands=0, waiting=0, unpublished=0)
STATUSES = ("Draft", "Sent", "Accepted", "Rejected", "Expired")
CREATED_TABLES = {"Opportunities": "Faults"}


@pytest.fixture(scope="module")
def day() -> Day:
    return the_day(NOW)


@pytest.fixture(scope="module")
def wanted(day: Day) -> Expected:
    return expected(day)


class World:
    """What a hub that does all right leaves behind; a test then spoils it."""

    def __init__(self, wanted: Expected) -> None:
        self.wanted = wanted
        self.before = _before()
        self.after = _after(wanted, self.before)
        self.left = NOTHING_LEFT
        self.ledger = _ledger(wanted)
        self.requests = [_created(table, row["id"]) for table, row in self.new_rows()]

    def new_rows(self) -> list[tuple[str, dict[str, Any]]]:
        return [
            (CREATED_TABLES.get(name, name), row)
            for name, rows in self.after.items()
            for row in rows
            if row not in self.before[name]
        ]

    def quote(self, number: str) -> dict[str, Any]:
        return next(row for row in self.after["Quotation"] if row["title"].startswith(number))

    def judged(self) -> tuple[Check, ...]:
        halo = Halo(self.before, self.after)
        return verify(self.wanted, halo, self.requests, self.ledger, self.left)

    def faults(self) -> str:
        return "\n".join(fault for check in self.judged() if not check.ok for fault in check.faults)


def test_a_hub_that_did_all_right_passes(wanted: Expected) -> None:
    assert [check for check in World(wanted).judged() if not check.ok] == []


def test_the_counts_that_are_compared_are_those_of_the_day(wanted: Expected) -> None:
    counts = {check.about: check.expected for check in World(wanted).judged()}

    assert counts["quotes, each in Halo once"] == 42
    assert counts["opportunities, those of refused quotes too"] == 44
    assert counts["new clients"] == 7
    assert counts["events, each brought to an end"] == 56


def _double(table: str, **changes: Any) -> Callable[[World], None]:
    def spoil(world: World) -> None:
        rows = world.after[table]
        rows.append({**copy.deepcopy(rows[-1]), "id": 9_999, **changes})
        world.requests.append(_created(CREATED_TABLES.get(table, table), 9_999))

    return spoil


def _lose(table: str) -> Callable[[World], None]:
    return lambda world: world.after[table].remove(world.after[table][-1])


def _change(number: str, **fields: Any) -> Callable[[World], None]:
    return lambda world: world.quote(number).update(fields)


def _change_line(number: str, place: int, **fields: Any) -> Callable[[World], None]:
    return lambda world: world.quote(number)["lines"][place].update(fields)


def _set(**fields: Any) -> Callable[[World], None]:
    def spoil(world: World) -> None:
        for name, value in fields.items():
            setattr(world, name, value)

    return spoil


def _without_outcome(world: World) -> None:
    world.ledger = replace(world.ledger, outcomes=world.ledger.outcomes[1:])


def _without_command(world: World) -> None:
    world.ledger = replace(world.ledger, commands=world.ledger.commands[1:])


def _without_event(world: World) -> None:
    world.ledger = replace(world.ledger, events=world.ledger.events[1:])


def _suspected(world: World) -> None:
    target = Target(tenant=TENANT, instance="halo", source=PRODUCER, kind="quote", id="Q-2001")
    suspicion = DuplicateSuspected(target=target, halo_ids=(1, 2), why="a look-up found several")
    world.ledger = replace(world.ledger, suspected=(suspicion,))


def _made_twice_and_tidied(world: World) -> None:
    world.requests.append(_created("Quotation", 9_999))
    world.requests.append(
        {**_created("Quotation", 0), "created": [], "deleted": [_touched("Quotation", 9_999)]}
    )


SPOILT = {
    "a doubled quote": (_double("Quotation"), "is there 2 times"),
    "a lost quote": (_lose("Quotation"), "is lost"),
    "a strange quote": (_double("Quotation", title="Q-1 Strange"), "should not be there"),
    "a doubled opportunity": (_double("Opportunities"), "is there 2 times"),
    "a lost opportunity": (_lose("Opportunities"), "is lost"),
    "a doubled client": (_double("Client"), "is there 2 times"),
    "a doubled known client": (_double("Client", name="Eastgate Solicitors LLP"), "should not be there"),
    "a doubled contact": (_double("Users"), "is there 2 times"),
    "a doubled site": (_double("Site"), "is there 2 times"),
    "a doubled item": (_double("Item"), "is there 2 times"),
    "a stale title": (_change("Q-2018", title="Q-2018 Network upgrade"), "title is"),
    "a stale status": (_change("Q-2001", status=1), "status is Draft, not Accepted"),
    "a wrong net": (_change("Q-2018", revenue=5422.31), "net is 5422.31, not 5422.30"),
    "a wrong tax": (_change("Q-2018", tax_total=1), "tax is"),
    "another client": (_change("Q-2018", client_id=11), "client is"),
    "another contact": (_change("Q-2018", user_id=None), "contact is"),
    "a doubled line": (
        lambda world: world.quote("Q-2018")["lines"].append(world.quote("Q-2018")["lines"][0]),
        "lines is 6, not 5",
    ),
    "a stale quantity": (_change_line("Q-2018", 0, quantity=2), "quantity is 2, not 3"),
    "another product": (_change_line("Q-2018", 0, name="Another"), "name is Another"),
    "a line sold as one-time": (_change_line("Q-2014", 0, item_recurring=False), "recurring is False"),
    "a wrong line": (_change_line("Q-2014", 0, total_price=1), "line 1: net is"),
    "a quote under another opportunity": (_change("Q-2018", ticket_id=1_001), "its own opportunity"),
    "a duplicate that was tidied away": (_made_twice_and_tidied, "was deleted"),
    "a command without an outcome": (_without_outcome, "came to no end"),
    "an event without a command": (_without_command, "came to no end"),
    "an event that is not on the log": (_without_event, "is not on the log"),
    "a backlog": (_set(left=replace(NOTHING_LEFT, waiting=1)), "not finished"),
    "a suspected duplicate": (_suspected, "duplicate suspected"),
}


@pytest.mark.parametrize(("spoil", "told"), SPOILT.values(), ids=SPOILT.keys())
def test_the_verdict_fails_and_says_what_is_wrong(
    wanted: Expected, spoil: Callable[[World], None], told: str
) -> None:
    world = World(wanted)
    spoil(world)

    assert told in world.faults()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_set(), "Nothing was lost and nothing was doubled"),
        (_double("Quotation"), "is there 2 times"),
        (_double("Quotation"), "Something was lost, doubled or left undone"),
    ],
)
def test_the_report_says_the_verdict_and_each_difference(
    day: Day, wanted: Expected, capsys: pytest.CaptureFixture[str], spoil: Callable[[World], None], said: str
) -> None:
    world = World(wanted)
    spoil(world)
    letter = DeadLetter(stage="writer", reason="name.unknown", message="no CHF", topic="t", subject="Q-2042")
    world.ledger = replace(world.ledger, dead_letters=(letter,))
    killed = Killed(
        exit_code=-9, pid=1, subject="Q-2018", request=7, halo_id=5, answered=False, quotes_then=3
    )
    result = Result(
        day=day,
        wanted=wanted,
        halo=Halo(world.before, world.after),
        requests=(),
        ledger=world.ledger,
        left=world.left,
        checks=world.judged(),
        refusal={"status": 400, "faults": [{"at": "data.currency", "problem": "is empty"}]},
        killed=killed,
        tenant_check={},
        story=(),
        took_s=1.0,
    )

    report.show(result)

    told = capsys.readouterr().out
    assert said in told
    assert "no CHF" in told
    assert "data.currency is empty" in told
    assert result.ok is ("Nothing was lost" in told)


def test_the_newest_revision_counts_though_an_older_one_came_later(day: Day, wanted: Expected) -> None:
    arrived = [event["revision"] for event in day.valid if event["subject"] == "Q-2005"]

    assert arrived[:3] == [1, 3, 2]
    assert wanted.quotes["Q-2005"].title.endswith("revision 3")


def test_what_is_expected_adds_up_by_hand(wanted: Expected) -> None:
    """3 switches, a firewall less 100, 9 access points, 60 leads, 2 days: 5,590.00, less 3 %; tax of a fifth."""
    quote = wanted.quotes["Q-2018"]

    assert (str(quote.net), str(quote.tax)) == ("5422.30", "1084.46")
    assert [str(line.quantity) for line in quote.lines] == ["3", "1", "9", "60", "2"]


def test_the_day_is_as_rich_as_it_claims(day: Day, wanted: Expected) -> None:
    ids = [event["id"] for event in day.valid]
    statuses = {quote.status for quote in wanted.quotes.values()}
    lines = [line for quote in wanted.quotes.values() for line in quote.lines]

    assert len(wanted.opportunities) == 44
    assert len({quote.client for quote in wanted.quotes.values()}) == len(CUSTOMERS) == 12
    assert len(ids) - len(set(ids)) == 10
    assert statuses == set(STATUSES)
    assert {line.recurring for line in lines} == {True, False}
    assert any(quote.tax is None for quote in wanted.quotes.values())


def test_every_event_of_the_day_is_one_that_the_contract_takes(day: Day) -> None:
    for event in (*day.valid, one_more(NOW)):
        envelope = _envelope(event)
        decode_source(envelope.type, _json(event["data"]))
    assert one_more(NOW)["subject"] == ONE_MORE


def test_the_faulty_events_have_four_faults_each(day: Day) -> None:
    for event in (day.refused, day.smuggled):
        with pytest.raises(DataInvalid) as caught:
            decode_source(event["type"], _json(event["data"]))
        assert len(caught.value.faults) == 4


def _before() -> State:
    known = [customer for customer in CUSTOMERS if customer.known]
    clients = [{"id": 11 + n, "name": customer.name_in_halo} for n, customer in enumerate(known)]
    users = [
        {"id": 31 + n, "emailaddress": customer.email, "client_id": 11 + n}
        for n, customer in enumerate(known)
        if customer.known_contact
    ]
    lookup = [
        {"id": n, "id_in_lookup": n, "lookupid": QUOTE_STATUS_LOOKUP, "name": name}
        for n, name in enumerate(STATUSES, 1)
    ]
    return {
        "Client": clients,
        "Users": users,
        "Site": [],
        "Item": [],
        "Opportunities": [],
        "Quotation": [],
        "Lookup": lookup,
    }


def _after(wanted: Expected, before: State) -> State:
    after = copy.deepcopy(before)
    for number, name in enumerate(sorted(wanted.clients), 101):
        after["Client"].append({"id": number, "name": name})
        after["Site"].append({"id": number, "client_id": number})
    clients = {row["name"]: row["id"] for row in after["Client"]}
    for number, customer in enumerate(CUSTOMERS, 101):
        if customer.email in wanted.contacts:
            row = {"id": number, "emailaddress": customer.email, "client_id": clients[customer.name_in_halo]}
            after["Users"].append(row)
    after["Item"] += [{"id": number, "name": name} for number, name in enumerate(sorted(wanted.items), 101)]
    for number, subject in enumerate(sorted(wanted.opportunities), 1_001):
        after["Opportunities"].append({"id": number, "summary": f"{subject} something"})
        if subject in wanted.quotes:
            users = {row["emailaddress"]: row["id"] for row in after["Users"]}
            row = _row(wanted.quotes[subject], number, clients, users)
            after["Quotation"].append(row)
    return after


def _row(quote: Quote, number: int, clients: dict[str, int], users: dict[str, int]) -> dict[str, Any]:
    return {
        "id": number + 1_000,
        "title": quote.title,
        "ticket_id": number,
        "client_id": clients[quote.client],
        "user_id": users[quote.contact],
        "status": STATUSES.index(quote.status) + 1,
        "revenue": float(quote.net),
        "tax_total": 0.0 if quote.tax is None else float(quote.tax),
        "lines": [_line_row(line) for line in quote.lines],
    }


def _line_row(line: Line) -> dict[str, Any]:
    return {
        "name": line.name,
        "quantity": float(line.quantity),
        "item_recurring": line.recurring,
        "total_price": 0.0 if line.net is None else float(line.net),
    }


def _ledger(wanted: Expected) -> Ledger:
    """Each event on the log, with one command and its outcome."""
    events = tuple(_envelope({"id": id_, "subject": id_[:6]}) for id_ in sorted(wanted.events))
    commands, outcomes = [], []
    for event in events:
        basis = Basis(
            event_id=event.id,
            event_type=event.type,
            origin="hub.quotes.v1",
            subject=event.subject,
            rule_sequence=1,
            rule_hash="",
        )
        target = Target(tenant=TENANT, instance="halo", source=PRODUCER, kind="quote", id=event.subject)
        envelope = _command_of(event, f"command-{event.id}")
        commands.append((envelope, UpsertQuote(target=target, basis=basis)))
        outcome = Outcome(
            command_id=envelope.id,
            command_type="upsert_quote.v1",
            target=target,
            status="applied",
            basis=basis,
        )
        outcomes.append((envelope, outcome))
    return Ledger(events, tuple(commands), tuple(outcomes), (), ())


def _command_of(event: Envelope, id_: str) -> Envelope:
    return Envelope(
        id=id_,
        source="/hub/mapper",
        type="upsert_quote.v1",
        subject=event.subject,
        time=event.time,
        tenant=event.tenant,
        causationid=event.id,
    )


def _envelope(event: dict[str, Any]) -> Envelope:
    whole = {
        "specversion": "1.0",
        "source": f"/{PRODUCER}",
        "type": "quote.updated.v1",
        "time": NOW.isoformat(),
        "tenant": TENANT,
        **event,
    }
    return from_structured({name: value for name, value in whole.items() if name != "data"})


def _json(data: Any) -> bytes:
    return msgspec.json.encode(data)


def _touched(table: str, id_: int) -> dict[str, Any]:
    return {"resource": table, "id": id_}


def _created(table: str, id_: int) -> dict[str, Any]:
    return {"kind": "api", "created": [_touched(table, id_)], "updated": [], "deleted": []}
