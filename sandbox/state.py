"""The rows of one instance. Rows are replaced, never changed in place, so that a journal can undo them.

Invariants: an id is given once per table and never again; ids count up from the table's first id and depend
on no clock; nothing here looks for duplicates.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

Values = Mapping[str, Any]

# Tables start apart, so that an id of one kind used for another is noticed.
FIRST_IDS: Mapping[str, int] = {
    "Client": 101,
    "Site": 201,
    "Users": 301,
    "Item": 401,
    "Supplier": 501,
    "AssetGroup": 601,
    "Address": 701,
    "Attachment": 801,
    "Faults": 1001,
    "FaultItem": 6001,
    "Quotation": 2001,
    "QuotationDetail": 5001,
    "SalesOrder": 3001,
    "OrderLine": 7001,
    "ExternalLink": 9001,
}


@dataclass(frozen=True, slots=True)
class Row:
    """`values` as stored; `visible_at_s` is when lists start to show it, on the monotonic clock."""

    values: Values
    visible_at_s: float
    updated: datetime


class Change(NamedTuple):
    """One row replaced: `before` None = created, `after` None = deleted."""

    table: str
    id: int
    before: Row | None
    after: Row | None


class Clock:
    """Monotonic seconds and UTC time; tests may hand in another."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Store:
    """All tables of one instance, with a journal of the request in progress."""

    clock: Clock
    search_lag_s: float = 0.0
    _tables: dict[str, dict[int, Row]] = field(default_factory=dict)
    _next_ids: dict[str, int] = field(default_factory=dict)
    _journal: list[Change] = field(default_factory=list)

    def table(self, name: str) -> Mapping[int, Row]:
        return self._tables.get(name, {})

    def tables(self) -> Iterator[str]:
        return iter(sorted(self._tables))

    def get(self, table: str, row_id: int) -> Row | None:
        return self._tables.get(table, {}).get(row_id)

    def values(self, table: str, row_id: Any) -> Values | None:
        row = self.get(table, int(row_id)) if row_id is not None else None
        return row.values if row else None

    def new_id(self, table: str) -> int:
        row_id = self._next_ids.get(table, FIRST_IDS.get(table, 1))
        self._next_ids[table] = row_id + 1
        return row_id

    def reserve(self, table: str, row_id: int) -> None:
        """Never hand out `row_id` or anything below it again."""
        self._next_ids[table] = max(self._next_ids.get(table, FIRST_IDS.get(table, 1)), row_id + 1)

    def put(self, table: str, values: Values, *, at_once: bool = False) -> int:
        """Stores `values` under their id, or under a new one; `at_once` skips the search lag."""
        row_id = int(values.get("id") or self.new_id(table))
        before = self.get(table, row_id)
        if before is not None:
            visible_at_s = before.visible_at_s
        else:
            visible_at_s = 0.0 if at_once else self.clock.monotonic_s() + self.search_lag_s
        self._replace(table, row_id, Row({**values, "id": row_id}, visible_at_s, self.clock.now()))
        return row_id

    def remove(self, table: str, row_id: int) -> None:
        self._replace(table, row_id, None)

    def _replace(self, table: str, row_id: int, after: Row | None) -> None:
        rows = self._tables.setdefault(table, {})
        self._journal.append(Change(table, row_id, rows.get(row_id), after))
        if after is None:
            rows.pop(row_id, None)
        else:
            rows[row_id] = after

    def take_journal(self) -> list[Change]:
        """What changed since the last call; starts a new journal."""
        journal, self._journal = self._journal, []
        return journal

    def mark(self) -> int:
        return len(self._journal)

    def undo_to(self, mark: int) -> None:
        """Takes every change after `mark` back, the newest first."""
        while len(self._journal) > mark:
            change = self._journal.pop()
            rows = self._tables[change.table]
            if change.before is None:
                rows.pop(change.id, None)
            else:
                rows[change.id] = change.before

    def visible(self, table: str) -> Iterator[Row]:
        """Rows that lists and searches show now, by id."""
        now_s = self.clock.monotonic_s()
        rows = self._tables.get(table, {})
        return (row for _, row in sorted(rows.items()) if row.visible_at_s <= now_s)
