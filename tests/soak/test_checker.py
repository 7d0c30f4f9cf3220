"""The checker reports what it is there for: a Halo that is right passes, and each wrong one is told by its verdict."""

from __future__ import annotations

import copy
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from tests.soak.checker import Edit, Finding, Seen, check
from tests.soak.expected import Expected, expected
from tests.soak.histories import Customer, Event, Line
from tests.soak.tenants import known_rows
from tests.soak.verdict import Frozen, Suspicion, split

TENANT = "t01"
CUSTOMER = Customer(name="t01-customer 9", contact="Ada", email="ada@t01-9.example", id="c9")
STATUS_IDS = {"Draft": 1, "Sent": 2, "Accepted": 3}


def line(number: int, quantity: int = 1) -> Line:
    return Line(f"l{number}", f"t01-product {number}", f"t01-SKU-{number}", quantity, Decimal("10.50"))


def whole(revision: int, status: str | None, *lines: Line) -> Event:
    return Event(TENANT, "Q1", revision, status, f"t01-Q1 revision {revision}", CUSTOMER, lines)


HISTORY = (
    whole(1, "sent", line(1)),
    Event(TENANT, "Q1", 2, "approved"),
    whole(3, None, line(1), line(2, 3)),
)


class Halo:
    """A sandbox as a right hub leaves it after HISTORY, to be spoilt by a test."""

    def __init__(self) -> None:
        self.tables: dict[str, list[dict[str, Any]]] = copy.deepcopy(known_rows(TENANT))
        self.known = {table: frozenset(int(row["id"]) for row in rows) for table, rows in self.tables.items()}
        self.tables["Lookup"] = [
            {"id": 6300 + code, "lookupid": 63, "id_in_lookup": code, "name": name}
            for name, code in STATUS_IDS.items()
        ]
        self.requests: list[dict[str, Any]] = []
        self.make("Client", {"id": 101, "name": CUSTOMER.name})
        self.make("Site", {"id": 201, "name": "Main", "client_id": 101})
        self.make("Users", {"id": 301, "client_id": 101, "emailaddress": CUSTOMER.email})
        for number in (1, 2):
            self.make("Item", {"id": 400 + number, "name": f"t01-product {number}"})
        self.make("Faults", {"id": 1001, "summary": "t01-Q1 revision 1"})
        first = {
            "title": "t01-Q1 revision 1",
            "status": 2,
            "client_id": 101,
            "user_id": 301,
            "ticket_id": 1001,
            "lines": [sent(line(1))],
        }
        self.make("Quotation", {"id": 2001, **first, "revenue": 10.5}, body=first)
        self.update(status=3)
        self.update(title="t01-Q1 revision 3", lines=[sent(line(1)), sent(line(2, 3))])
        self.quote["revenue"] = 42.0

    @property
    def quote(self) -> dict[str, Any]:
        return self.tables["Quotation"][0]

    def make(self, table: str, row: dict[str, Any], *, body: Any = None) -> None:
        self.tables.setdefault(table, []).append(row)
        self.log(table, [body or row], created=[{"resource": table, "id": row["id"]}])

    def update(self, **fields: Any) -> None:
        self.quote.update(fields)
        self.write(**fields)

    def write(self, **fields: Any) -> None:
        """A write of the quote in the log alone."""
        self.log("Quotation", [{"id": 2001, **fields}], updated=[{"resource": "Quotation", "id": 2001}])

    def log(self, table: str, body: Any, **touched: Any) -> None:
        number = len(self.requests) + 1
        entry = {"n": number, "at": f"2026-11-02T08:00:{number:02d}.000", "method": "POST", "status": 201}
        more: dict[str, Any] = {
            "path": f"/{table}",
            "query": {},
            "created": [],
            "updated": [],
            "deleted": [],
            "fault": None,
        }
        self.requests.append({**entry, **more, "body": body, "applied": True, **touched})

    def found(
        self, *edits: Edit, limited: bool = False, late_s: dict[str, float] | None = None
    ) -> list[Finding]:
        seen = Seen(self.tables, self.known, self.requests, late_s or {})
        return check(wanted(), seen, edits, limited=limited)

    def verdicts(self, *edits: Edit, limited: bool = False) -> set[str]:
        return {finding.verdict for finding in self.found(*edits, limited=limited)}


def sent(one: Line) -> dict[str, Any]:
    return {"name": one.product, "quantity": one.quantity, "price": float(one.price)}


def wanted() -> Expected:
    return expected(HISTORY, [TENANT])[TENANT]


@pytest.fixture
def halo() -> Halo:
    return Halo()


def test_a_halo_that_is_right_passes(halo: Halo) -> None:
    assert halo.found(limited=True) == []


def test_what_is_wanted_is_each_parts_newest_revision_whatever_the_order() -> None:
    quote = expected(reversed((*HISTORY, HISTORY[0])), [TENANT])[TENANT].quotes["Q1"]
    assert (quote.title, quote.status, quote.net) == ("t01-Q1 revision 3", "Accepted", Decimal("42.00"))
    assert [shape.quantity for shape in quote.lines] == [1, 3]


def test_a_quote_of_which_only_statuses_came_is_not_wanted() -> None:
    assert expected([HISTORY[1]], [TENANT])[TENANT].quotes == {}


def test_a_missing_quote_is_lost(halo: Halo) -> None:
    halo.tables["Quotation"].clear()
    assert "lost" in halo.verdicts()


@pytest.mark.parametrize(
    "wrong",
    [{"title": "t01-Q1 revision 1"}, {"status": 2}, {"client_id": 31}, {"user_id": 91}, {"revenue": 10.5}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_quote_that_is_not_in_its_newest_state_is_lost(halo: Halo, wrong: dict[str, Any]) -> None:
    halo.quote.update(wrong)
    assert halo.verdicts() == {"lost"}


def test_a_lost_line_a_doubled_one_and_a_wrong_order_of_lines_are_told(halo: Halo) -> None:
    right = halo.quote["lines"]
    halo.quote["lines"] = right[:1]
    assert halo.verdicts() == {"lost"}
    halo.quote["lines"] = [*right, right[0]]
    assert halo.verdicts() == {"doubled"}
    halo.quote["lines"] = right[::-1]
    assert halo.verdicts() == {"lost"}


@pytest.mark.parametrize("table", ["Quotation", "Faults", "Client", "Site", "Users", "Item"])
def test_a_doubled_record_is_told_also_when_the_known_one_was_there_before(halo: Halo, table: str) -> None:
    halo.make(table, {**halo.tables[table][0], "id": 9999})
    assert halo.verdicts() == {"doubled"}


def test_a_record_that_was_made_twice_and_tidied_away_is_doubled(halo: Halo) -> None:
    halo.log("Item", [{}], created=[{"resource": "Item", "id": 77}])
    assert halo.verdicts() == {"doubled"}


def test_a_missing_client_contact_item_and_opportunity_are_lost(halo: Halo) -> None:
    for table in ("Users", "Item", "Faults"):
        spoilt = Halo()
        spoilt.tables[table] = spoilt.tables[table][:-1]
        assert "lost" in spoilt.verdicts(), table


@pytest.mark.parametrize(
    "older",
    [{"title": "t01-Q1 revision 1"}, {"status": 2}, {"lines": [sent(line(1))]}],
    ids=lambda older: next(iter(older)),
)
def test_an_older_state_after_a_newer_is_out_of_order_though_the_end_is_right(
    halo: Halo, older: dict[str, Any]
) -> None:
    halo.write(**older)
    halo.write(title="t01-Q1 revision 3", status=3, lines=halo.quote["lines"])
    assert halo.verdicts() == {"out of order"}


def test_a_write_that_takes_effect_late_is_placed_when_it_did(halo: Halo) -> None:
    first, last = halo.requests[-3], halo.requests[-1]
    first["fault"] = "drop_then_store"
    assert halo.found() == []
    late = {"drop_then_store": 60.0}
    assert {finding.verdict for finding in halo.found(late_s=late)} == {"out of order"}
    last["fault"] = "drop_then_store"
    halo.requests[-2]["fault"] = "drop_then_store"
    assert halo.found(late_s=late) == []


def test_a_state_that_comes_back_in_a_later_revision_is_in_order() -> None:
    halo = Halo()
    history = (*HISTORY, Event(TENANT, "Q1", 4, "sent"))
    halo.update(status=2)
    seen = Seen(halo.tables, halo.known, halo.requests)
    assert check(expected(history, [TENANT])[TENANT], seen) == []


def test_a_write_that_had_no_effect_counts_for_nothing(halo: Halo) -> None:
    halo.log("Quotation", [{"id": 2001, "status": 1}])
    assert halo.found() == []


def test_the_elements_of_an_array_are_told_apart(halo: Halo) -> None:
    body = [{"id": 77, "status": 1}, {"id": 2001, "status": 2}]
    halo.log("Quotation", body, updated=[{"resource": "Quotation", "id": 2001}])
    assert halo.verdicts() == {"out of order"}
    halo.requests[-1]["updated"][0]["id"] = 77
    assert halo.found() == []


def test_another_tenants_data_in_a_record_or_a_request_is_told(halo: Halo) -> None:
    halo.log("Client", [{"name": "t02-customer 1"}])
    assert halo.verdicts() == {"cross-tenant"}
    spoilt = Halo()
    spoilt.make("Item", {"id": 500, "name": "t02-product 1"})
    assert spoilt.verdicts() == {"cross-tenant", "unasked"}


def test_a_record_that_no_event_speaks_of_is_told(halo: Halo) -> None:
    halo.make("Users", {"id": 350, "client_id": 101, "emailaddress": "nobody@t01-9.example"})
    assert halo.verdicts() == {"unasked"}


def test_a_request_over_the_budget_counts_where_there_is_one(halo: Halo) -> None:
    halo.log("Client", None, fault="budget", applied=False, status=429)
    assert halo.verdicts() == set()
    assert halo.verdicts(limited=True) == {"429 caused"}


def test_only_a_persons_newest_edit_of_a_field_must_stand(halo: Halo) -> None:
    halo.quote["note"] = "second"
    edits = [Edit("Quotation", 2001, "note", "first"), Edit("Quotation", 2001, "note", "second")]
    assert halo.verdicts(*edits) == set()
    halo.quote["note"] = ""
    assert halo.verdicts(*edits) == {"edit undone"}


# The one window that is left ---------------------------------------------------------------------------------

DOUBLED = Finding("doubled", TENANT, "twice", "Quotation", (2001, 2002), "2026-11-02T08:00:30.500")
NAMED = Suspicion(TENANT, "quote", (2002,))
STOOD = Frozen("writer-1", "2026-11-02T08:00:20.000", "2026-11-02T08:00:30.000")


def test_a_double_is_excused_only_if_it_is_named_and_came_right_after_a_long_standstill() -> None:
    assert split([DOUBLED], [NAMED], [STOOD], lease_s=4.0) == ([], [DOUBLED])


@pytest.mark.parametrize(
    ("named", "stood"),
    [
        ([], [STOOD]),
        ([Suspicion("t02", "quote", (2002,))], [STOOD]),
        ([Suspicion(TENANT, "quote", (7,))], [STOOD]),
        ([NAMED], []),
        ([NAMED], [Frozen("writer-1", "2026-11-02T08:00:28.000", "2026-11-02T08:00:30.000")]),
        ([NAMED], [Frozen("writer-1", "2026-11-02T08:00:10.000", "2026-11-02T08:00:20.000")]),
        ([NAMED], [Frozen("writer-1", "2026-11-02T08:00:20.000", "")]),
    ],
    ids=["not named", "another's", "another", "nobody stood", "too short", "too early", "not over"],
)
def test_any_other_double_counts(named: list[Suspicion], stood: list[Frozen]) -> None:
    assert split([DOUBLED], named, stood, lease_s=4.0) == ([DOUBLED], [])


def test_findings_of_one_spoilt_halo_are_counted_apart(halo: Halo) -> None:
    halo.tables["Quotation"].append({**halo.quote, "id": 2002, "ticket_id": 31})
    counts = Counter(finding.verdict for finding in halo.found())
    assert counts == {"doubled": 2, "lost": 1}
