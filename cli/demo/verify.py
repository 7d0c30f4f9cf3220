"""Compares what is in the sandbox with what was published: nothing lost, nothing doubled, nothing stale. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cli.demo.day import cents
from cli.demo.expected import Expected, Line, Quote
from cli.demo.log_side import Backlog, Ledger
from cli.demo.sandbox_side import QUOTE_STATUS_LOOKUP, State

Row = Mapping[str, Any]
_TABLES = ("Client", "Site", "Users", "Item", "Faults", "Quotation")
_SHOWN_AS = {"Opportunities": "Faults"}


@dataclass(frozen=True)
class Check:
    """One comparison: what it is about, how many were expected and found, and every difference."""

    about: str
    expected: int
    found: int
    faults: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.faults and self.expected == self.found


class Halo:
    """Rows of the sandbox after the day; `new` ones were not there before it."""

    def __init__(self, before: State, after: State) -> None:
        self._known = {
            _SHOWN_AS.get(name, name): {row["id"] for row in rows} for name, rows in before.items()
        }
        self._after = {_SHOWN_AS.get(name, name): rows for name, rows in after.items()}
        self.statuses = {
            row["id_in_lookup"]: row["name"]
            for row in after["Lookup"]
            if row["lookupid"] == QUOTE_STATUS_LOOKUP
        }

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self._after[table]

    def new(self, table: str) -> list[dict[str, Any]]:
        return [row for row in self._after[table] if row["id"] not in self._known[table]]

    def by_id(self, table: str) -> dict[int, dict[str, Any]]:
        return {int(row["id"]): row for row in self._after[table]}


def verify(
    wanted: Expected,
    halo: Halo,
    requests: Sequence[Row],
    ledger: Ledger,
    left: Backlog,
) -> tuple[Check, ...]:
    """All comparisons. `requests` is the sandbox's log of the day, `left` what the hub has not finished."""
    return (
        _quotes(wanted, halo),
        _contents(wanted, halo),
        _opportunities(wanted, halo),
        _set("new clients", wanted.clients, halo, "Client", "name"),
        _sites(wanted, halo),
        _set("new contacts", wanted.contacts, halo, "Users", "emailaddress", within="client_id"),
        _set("new items", wanted.items, halo, "Item", "name"),
        _created_once(halo, requests),
        _ended(wanted, ledger, left),
    )


def number_of(title: str) -> str:
    """The quote's number, with which each title of the day begins."""
    return title.split(" ", 1)[0]


def _quotes(wanted: Expected, halo: Halo) -> Check:
    found = Counter(number_of(str(row.get("title"))) for row in halo.new("Quotation"))
    faults = _differences(set(wanted.quotes), found)
    return Check("quotes, each in Halo once", len(wanted.quotes), found.total(), faults)


def _contents(wanted: Expected, halo: Halo) -> Check:
    faults: list[str] = []
    right: set[str] = set()
    for row in halo.new("Quotation"):
        number = number_of(str(row.get("title")))
        quote = wanted.quotes.get(number)
        if quote is None:
            continue
        wrong = _wrong_in(quote, row, halo)
        faults += (f"{number} (Halo quote {row['id']}): {fault}" for fault in wrong)
        if not wrong:
            right.add(number)
    return Check("quotes in their newest revision", len(wanted.quotes), len(right), tuple(faults))


def _wrong_in(quote: Quote, row: Row, halo: Halo) -> list[str]:
    client = halo.by_id("Client").get(int(row.get("client_id") or 0), {})
    user = halo.by_id("Users").get(int(row.get("user_id") or 0), {})
    found: list[tuple[str, object, object]] = [
        ("title", quote.title, row.get("title")),
        ("client", quote.client, client.get("name")),
        ("contact", quote.contact, user.get("emailaddress")),
        ("status", quote.status, halo.statuses.get(row.get("status"))),
        ("net", quote.net, money(row.get("revenue"))),
        ("lines", len(quote.lines), len(row.get("lines") or ())),
    ]
    if quote.tax is not None:
        found.append(("tax", quote.tax, money(row.get("tax_total"))))
    wrong = [f"{what} is {there!s}, not {due!s}" for what, due, there in found if due != there]
    for place, (line, there) in enumerate(zip(quote.lines, row.get("lines") or (), strict=False), 1):
        wrong += (f"line {place}: {fault}" for fault in _wrong_in_line(line, there))
    return wrong


def _wrong_in_line(line: Line, row: Row) -> list[str]:
    found: list[tuple[str, object, object]] = [
        ("name", line.name, row.get("name")),
        ("quantity", line.quantity, Decimal(str(row.get("quantity")))),
        ("recurring", line.recurring, bool(row.get("item_recurring"))),
    ]
    if line.net is not None:
        found.append(("net", line.net, money(row.get("total_price"))))
    return [f"{what} is {there!s}, not {due!s}" for what, due, there in found if due != there]


def _opportunities(wanted: Expected, halo: Halo) -> Check:
    rows = halo.new("Faults")
    found = Counter(number_of(str(row.get("summary"))) for row in rows)
    faults = list(_differences(set(wanted.opportunities), found))
    owners = {int(row["id"]): number_of(str(row.get("summary"))) for row in rows}
    for quote in halo.new("Quotation"):
        number = number_of(str(quote.get("title")))
        if owners.get(int(quote.get("ticket_id") or 0)) != number:
            faults.append(f"{number} (Halo quote {quote['id']}): is not under its own opportunity")
    return Check(
        "opportunities, those of refused quotes too", len(wanted.opportunities), found.total(), tuple(faults)
    )


def _sites(wanted: Expected, halo: Halo) -> Check:
    owners = Counter(int(row["client_id"]) for row in halo.new("Site"))
    names = {int(row["id"]): str(row["name"]) for row in halo.rows("Client")}
    found = Counter({names.get(owner, f"client {owner}"): count for owner, count in owners.items()})
    return Check("new sites", len(wanted.clients), found.total(), _differences(set(wanted.clients), found))


def _set(
    about: str, wanted: Iterable[str], halo: Halo, table: str, field: str, *, within: str | None = None
) -> Check:
    """New rows are exactly those wanted, and no value stands twice among all rows (of one `within`)."""
    expected = set(wanted)
    found = Counter(str(row.get(field)) for row in halo.new(table))
    faults = list(_differences(expected, found))
    all_ = Counter(
        (str(row[field]).casefold(), None if within is None else row.get(within))
        for row in halo.rows(table)
        if row.get(field)
    )
    faults += (
        f"{value} is there {n} times" for (value, _), n in all_.items() if n > 1 and value not in found
    )
    return Check(about, len(expected), found.total(), tuple(dict.fromkeys(faults)))


def _created_once(halo: Halo, requests: Sequence[Row]) -> Check:
    """As many rows were ever created as there are now: nothing was made twice and tidied away."""
    made = Counter(
        touched["resource"]
        for entry in requests
        for touched in entry["created"]
        if touched["resource"] in _TABLES
    )
    there = Counter({table: len(halo.new(table)) for table in _TABLES})
    faults = tuple(
        f"{table}: {made[table]} were created, {there[table]} are there"
        for table in _TABLES
        if made[table] != there[table]
    )
    removed = [touched for entry in requests for touched in entry["deleted"]]
    faults += tuple(f"{touched['resource']} {touched['id']} was deleted" for touched in removed)
    return Check("rows created in Halo, all still there", there.total(), made.total(), faults)


def _ended(wanted: Expected, ledger: Ledger, left: Backlog) -> Check:
    """Every accepted event is on the log, and led to commands that all have an outcome."""
    logged = {envelope.id for envelope in ledger.events}
    faults = [f"event {id_} is not on the log" for id_ in sorted(wanted.events - logged)]
    faults += sorted(f"{what} came to no end" for what in ledger.unended())
    if not left.empty:
        faults.append(f"not finished: {left}")
    faults += (f"duplicate suspected: {one.target.key} as {one.halo_ids}" for one in ledger.suspected)
    return Check(
        "events, each brought to an end", len(wanted.events), len(wanted.events & logged), tuple(faults)
    )


def _differences(expected: set[str], found: Counter[str]) -> tuple[str, ...]:
    lost = [f"{one} is lost" for one in sorted(expected - set(found))]
    doubled = [f"{one} is there {found[one]} times" for one in sorted(found) if found[one] > 1]
    strange = [f"{one} should not be there" for one in sorted(set(found) - expected)]
    return (*lost, *doubled, *strange)


def money(value: Any) -> Decimal:
    return cents(Decimal(str(value or 0)))
