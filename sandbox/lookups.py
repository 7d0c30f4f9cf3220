"""Reads the one table that holds all code lists: rows are unique per (lookupid, id).

Lookup 11 lists the lists themselves: its row ids are the numbers of the other lookups.
"""

from collections.abc import Mapping
from typing import Any

from sandbox.state import Store

LOOKUP_TYPES = 11
QUOTE_STATUS = "Quote status"
SPAN = 100_000


def row_id(lookup_id: int, code: int) -> int:
    """The table's own id for a code; codes may be negative."""
    return lookup_id * SPAN + code % SPAN


def codes(store: Store, type_name: str) -> Mapping[int, str]:
    """Code -> name of the list called `type_name`; empty when there is none."""
    rows = [row.values for row in store.table("Lookup").values()]
    numbers = {row["id_in_lookup"] for row in rows if is_type(row, type_name)}
    return {row["id_in_lookup"]: row["name"] for row in rows if row["lookupid"] in numbers}


def is_type(row: Mapping[str, Any], type_name: str) -> bool:
    return bool(row["lookupid"] == LOOKUP_TYPES and row["name"].casefold() == type_name.casefold())
