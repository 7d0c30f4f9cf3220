"""Compares what Halo holds, and what it was asked, with what was published: the verdicts of a soak. Pure.

Nothing of the hub's own is looked at: `Seen` is the sandbox's final state and its request log. Each difference is a
`Finding` under one verdict:

    lost          a record that must be there isn't, or isn't in its newest state
    doubled       a record is there twice, or more were made than are left
    out of order  a write brought an older state of a quote after a newer one
    cross-tenant  a record or a request carries another tenant's data
    unasked       a record that no event speaks of
    429 caused    the tenant with a small budget was asked for more
    edit undone   what a person changed in a field that the hub doesn't own was changed back
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from tests.soak.expected import Expected, Lines, LineShape, Wanted

Row = Mapping[str, Any]
Verdict = Literal["lost", "doubled", "out of order", "cross-tenant", "unasked", "429 caused", "edit undone"]
VERDICTS: tuple[Verdict, ...] = (
    "lost",
    "doubled",
    "out of order",
    "cross-tenant",
    "unasked",
    "429 caused",
    "edit undone",
)
QUOTE_STATUS_LOOKUP = 63
TABLES = ("Client", "Site", "Users", "Item", "Faults", "Quotation")
_OF_QUOTE = re.compile(r"^(t\d\d)-(Q\d+) ")
_MARK = re.compile(r"\b(t\d\d)-")


@dataclass(frozen=True)
class Finding:
    """One difference. `rows` are the ids of the Halo records that it is about, `at` when the last of them was made."""

    verdict: Verdict
    tenant: str
    text: str
    table: str = ""
    rows: tuple[int, ...] = ()
    at: str = ""


@dataclass(frozen=True)
class Edit:
    """A person's change of one field."""

    table: str
    row: int
    field: str
    value: str


@dataclass(frozen=True)
class Seen:
    """One tenant's sandbox: rows by table, ids that were there before the run, and the log's API requests in order.

    `late_s` says of some actions how long after its arrival a request that met one was applied.
    """

    tables: Mapping[str, Sequence[Row]]
    known: Mapping[str, frozenset[int]]
    requests: Sequence[Row]
    late_s: Mapping[str, float] = field(default_factory=dict)

    def rows(self, table: str) -> Sequence[Row]:
        return self.tables.get(table, ())

    def new(self, table: str) -> list[Row]:
        return [row for row in self.rows(table) if row["id"] not in self.known.get(table, ())]

    def by_id(self, table: str) -> dict[int, Row]:
        return {int(row["id"]): row for row in self.rows(table)}

    def statuses(self) -> dict[int, str]:
        return {
            int(row["id_in_lookup"]): str(row["name"])
            for row in self.rows("Lookup")
            if row["lookupid"] == QUOTE_STATUS_LOOKUP
        }


def check(
    wanted: Expected, seen: Seen, edits: Sequence[Edit] = (), *, limited: bool = False
) -> list[Finding]:
    """All differences of one tenant. `limited`: its sandbox counts requests, and may never have had to refuse one."""
    return [
        *_quotes(wanted, seen),
        *_opportunities(wanted, seen),
        *_once(wanted.tenant, seen),
        *_there(wanted, seen),
        *_unasked(wanted, seen),
        *_created(wanted.tenant, seen),
        *_order(wanted, seen),
        *_foreign(wanted.tenant, seen),
        *_edits(wanted.tenant, seen, edits),
        *(_refused(wanted.tenant, seen) if limited else ()),
    ]


def _quotes(wanted: Expected, seen: Seen) -> Iterator[Finding]:
    by_quote: dict[str, list[Row]] = defaultdict(list)
    for row in seen.new("Quotation"):
        by_quote[_quote_of(row.get("title"))].append(row)
    for quote, want in wanted.quotes.items():
        rows = by_quote.get(quote, [])
        if not rows:
            yield Finding("lost", wanted.tenant, f"{quote} is not there", "Quotation")
        for row in rows[:1]:
            for fault in _wrong_in(want, row, seen):
                yield Finding(fault[0], wanted.tenant, f"{quote}: {fault[1]}", "Quotation", (int(row["id"]),))


def _wrong_in(want: Wanted, row: Row, seen: Seen) -> Iterator[tuple[Verdict, str]]:
    client = seen.by_id("Client").get(int(row.get("client_id") or 0), {})
    user = seen.by_id("Users").get(int(row.get("user_id") or 0), {})
    for what, due, there in (
        ("title", want.title, row.get("title")),
        ("status", want.status, seen.statuses().get(int(row.get("status") or 0))),
        ("client", want.client, client.get("name")),
        ("contact", want.email, user.get("emailaddress")),
        ("net", want.net, _amount(row.get("revenue"))),
    ):
        if due != there:
            yield "lost", f"{what} is {there!s}, not {due!s}"
    there_lines = lines_of(row.get("lines"))
    if there_lines != want.lines:
        missing, extra = (
            Counter(want.lines) - Counter(there_lines),
            Counter(there_lines) - Counter(want.lines),
        )
        twice = [line for line in extra if line in want.lines]
        if missing or not extra:
            yield "lost", f"lines are {_shown(there_lines)}, not {_shown(want.lines)}"
        if twice or (extra and not missing):
            yield "doubled", f"lines too many: {_shown(extra.elements())}"


def _opportunities(wanted: Expected, seen: Seen) -> Iterator[Finding]:
    owners = {int(row["id"]): _quote_of(row.get("summary")) for row in seen.new("Faults")}
    there = set(owners.values())
    for quote in sorted(wanted.quotes.keys() - there):
        yield Finding("lost", wanted.tenant, f"{quote} has no opportunity", "Faults")
    for row in seen.new("Quotation"):
        quote, owner = _quote_of(row.get("title")), owners.get(int(row.get("ticket_id") or 0))
        if quote in wanted.quotes and owner != quote:
            text = f"{quote} is under the opportunity of {owner}"
            yield Finding("lost", wanted.tenant, text, "Quotation", (int(row["id"]),))


def _once(tenant: str, seen: Seen) -> Iterator[Finding]:
    """No two records of one table stand for the same thing."""
    made = _made_at(seen)
    for table, what, key in (
        ("Quotation", "quote", lambda row: _quote_of(row.get("title"))),
        ("Faults", "opportunity", lambda row: _quote_of(row.get("summary"))),
        ("Client", "client", lambda row: _text(row.get("name"))),
        ("Site", "site", lambda row: _named_in(row, "client_id", "name")),
        ("Users", "contact", lambda row: _named_in(row, "client_id", "emailaddress")),
        ("Item", "item", lambda row: _text(row.get("supplier_part_code"))),
        ("Item", "item", lambda row: _text(row.get("name"))),
    ):
        groups: dict[Hashable, list[int]] = defaultdict(list)
        for row in seen.rows(table):
            if own := key(row):
                groups[own].append(int(row["id"]))
        for name, ids in groups.items():
            if len(ids) > 1:
                at = max(made.get((table, one), "") for one in ids)
                text = f"the {what} {name} is there {len(ids)} times, as {ids}"
                yield Finding("doubled", tenant, text, table, tuple(ids), at)


def _there(wanted: Expected, seen: Seen) -> Iterator[Finding]:
    for table, name_field, due in (
        ("Client", "name", wanted.clients),
        ("Users", "emailaddress", wanted.emails),
        ("Item", "name", wanted.items),
    ):
        found = {str(row.get(name_field)) for row in seen.rows(table)}
        for name in sorted(due - found):
            yield Finding("lost", wanted.tenant, f"{table} {name} is not there", table)


def _unasked(wanted: Expected, seen: Seen) -> Iterator[Finding]:
    for table, name_field, due in (
        ("Client", "name", wanted.clients),
        ("Users", "emailaddress", wanted.emails),
        ("Item", "name", wanted.possible_items | wanted.items),
    ):
        for row in seen.new(table):
            if str(row.get(name_field)) not in due:
                text = f"{table} {row.get(name_field)}"
                yield Finding("unasked", wanted.tenant, text, table, (int(row["id"]),))
    for table, name_field in (("Quotation", "title"), ("Faults", "summary")):
        for row in seen.new(table):
            if _quote_of(row.get(name_field)) not in wanted.quotes:
                text = f"{table} {row.get(name_field)}"
                yield Finding("unasked", wanted.tenant, text, table, (int(row["id"]),))


def _created(tenant: str, seen: Seen) -> Iterator[Finding]:
    """As many rows were ever created as there are now: nothing was made twice and tidied away."""
    made: Counter[str] = Counter()
    for request in seen.requests:
        made.update(touched["resource"] for touched in request.get("created") or ())
        for touched in request.get("deleted") or ():
            yield Finding("lost", tenant, f"{touched['resource']} {touched['id']} was deleted")
    for table in TABLES:
        if made[table] != len(seen.new(table)):
            text = f"{table}: {made[table]} were made, {len(seen.new(table))} are there"
            yield Finding("doubled", tenant, text, table)


def _order(wanted: Expected, seen: Seen) -> Iterator[Finding]:
    """Each part of a quote only ever moved on: what was written, in the order of taking effect, is a walk forward."""
    owners = {int(row["id"]): _quote_of(row.get("title")) for row in seen.new("Quotation")}
    statuses = seen.statuses()
    walks: dict[tuple[str, str], int] = {}
    for at, row_id, element in _quote_writes(seen):
        want = wanted.quotes.get(owners.get(row_id, ""))
        if want is None:
            continue
        for part, history, value in (
            ("title", want.titles, element.get("title")),
            ("status", want.statuses, statuses.get(int(element.get("status") or 0))),
            ("lines", want.every_lines, lines_of(element["lines"]) if "lines" in element else None),
        ):
            if value is None:
                continue
            now = walks.get((want.id, part), 0)
            later = next((place for place in range(now, len(history)) if history[place] == value), None)
            if later is None:
                text = f"{want.id}: {part} {_said(value)} was written after {_said(history[now])}"
                yield Finding("out of order", wanted.tenant, text, "Quotation", (row_id,), at)
            else:
                walks[want.id, part] = later


def _quote_writes(seen: Seen) -> list[tuple[str, int, Row]]:
    """(arrived at, quote, what was sent) of each write that took effect, in the order of taking effect."""
    found: list[tuple[float, int, str, int, Row]] = []
    for request in seen.requests:
        touched = [*(request.get("created") or ()), *(request.get("updated") or ())]
        if request["method"] != "POST" or not any(one["resource"] == "Quotation" for one in touched):
            continue
        created = iter(one["id"] for one in request["created"] if one["resource"] == "Quotation")
        at_s = _seconds(request["at"]) + seen.late_s.get(request.get("fault") or "", 0.0)
        for element in request["body"]:
            row_id = element.get("id") or next(created, 0)
            if any(one["resource"] == "Quotation" and one["id"] == row_id for one in touched):
                found.append((at_s, int(request["n"]), str(request["at"]), int(row_id), element))
    return [(at, row_id, element) for _, _, at, row_id, element in sorted(found, key=lambda one: one[:2])]


def _foreign(tenant: str, seen: Seen) -> Iterator[Finding]:
    for table in seen.tables:
        for row in seen.rows(table):
            for other in _others(tenant, row):
                text = f"{table} {row['id']} speaks of {other}"
                yield Finding("cross-tenant", tenant, text, table, (int(row["id"]),))
    for request in seen.requests:
        for other in _others(tenant, [request["path"], request["query"], request["body"]]):
            text = f"request {request['n']} ({request['method']} {request['path']}) speaks of {other}"
            yield Finding("cross-tenant", tenant, text)


def _others(tenant: str, value: object) -> list[str]:
    return sorted(set(_MARK.findall(json.dumps(value, default=str))) - {tenant})


def _refused(tenant: str, seen: Seen) -> Iterator[Finding]:
    for request in seen.requests:
        if request.get("fault") == "budget":
            text = f"request {request['n']} ({request['method']} {request['path']}) was over the budget"
            yield Finding("429 caused", tenant, text, at=str(request["at"]))


def _edits(tenant: str, seen: Seen, edits: Iterable[Edit]) -> Iterator[Finding]:
    newest = {(edit.table, edit.row, edit.field): edit for edit in edits}
    for edit in newest.values():
        row = seen.by_id(edit.table).get(edit.row, {})
        if row.get(edit.field) != edit.value:
            text = f"{edit.table} {edit.row}: {edit.field} is {row.get(edit.field)!r}, not {edit.value!r}"
            yield Finding("edit undone", tenant, text, edit.table, (edit.row,))


def lines_of(lines: Sequence[Row] | None) -> Lines:
    """The lines of a stored quote, or of one that was sent."""
    return tuple(
        LineShape(str(line.get("name")), _amount(line.get("quantity")), _amount(line.get("price")))
        for line in lines or ()
    )


def _made_at(seen: Seen) -> dict[tuple[str, int], str]:
    return {
        (touched["resource"], int(touched["id"])): str(request["at"])
        for request in seen.requests
        for touched in request.get("created") or ()
    }


def _quote_of(title: object) -> str:
    found = _OF_QUOTE.match(str(title))
    return found[2] if found else ""


def _text(value: object) -> str:
    return str(value or "").casefold()


def _named_in(row: Row, parent: str, field: str) -> tuple[Any, str] | None:
    name = _text(row.get(field))
    return (row.get(parent), name) if name else None


def _amount(value: object) -> Decimal:
    return Decimal(str(value or 0)).normalize()


def _seconds(at: str) -> float:
    return dt.datetime.fromisoformat(at).replace(tzinfo=dt.UTC).timestamp()


def _shown(lines: Iterable[LineShape]) -> str:
    return "[" + ", ".join(f"{line.quantity}x {line.name} at {line.price}" for line in lines) + "]"


def _said(value: object) -> str:
    return _shown(value) if isinstance(value, tuple) else repr(value)
