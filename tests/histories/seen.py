"""What a sandbox shows of one tenant after a case: its rows, those from before, and all that was asked of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Tables = Mapping[str, list[Row]]
TABLES = ("Client", "Site", "Users", "Item", "AssetGroup", "Faults", "Quotation", "SalesOrder")


@dataclass(frozen=True)
class Seen:
    before: Tables
    tables: Tables
    requests: list[Row]

    def rows(self, table: str) -> list[Row]:
        return self.tables.get(table, [])

    def new(self, table: str) -> list[Row]:
        known = {row["id"] for row in self.before.get(table, [])}
        return [row for row in self.rows(table) if row["id"] not in known]

    def row(self, table: str, number: Any) -> Row:
        return next((row for row in self.rows(table) if number and row["id"] == int(number)), {})

    def posted(self, path: str) -> Iterator[Row]:
        """The elements of each POST that took effect."""
        for request in self.requests:
            taken = request["status"] is not None and request["status"] < 300
            if request["method"] == "POST" and taken and request["path"].strip("/") == path:
                yield from request["body"]

    def created(self, table: str) -> set[int]:
        """The records that a caller made; Halo's own are not among them."""
        return {
            int(one["id"])
            for request in self.requests
            if request["path"].strip("/") == table
            for one in request.get("created") or ()
            if one["resource"] == table
        }


def amount(value: Any) -> Decimal:
    return Decimal(str(value or 0))
