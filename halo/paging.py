"""Reads Halo's lists, wrapped or bare, and decides when a paged one is whole. Pure.

Without `pageinate=true` (Halo's spelling) page numbers are ignored and long lists are cut without an error.
"""

from typing import Any

from halo.resources import Resource

Row = dict[str, Any]


def page_query(page_no: int, page_size: int) -> dict[str, str]:
    """The parameters of one page; pages count from 1."""
    return {"pageinate": "true", "page_size": str(page_size), "page_no": str(page_no)}


def rows_of(resource: Resource, body: Any) -> list[Row] | None:
    """The rows of a list answer, or None when it is no list.

    Takes a bare array or a wrapper for any resource: the key that the resource has, else the only array there
    is (Agent has been seen both ways). A wrapper that counts 0 records may leave its array out.
    """
    rows = body
    if isinstance(body, dict):
        arrays = [value for value in body.values() if isinstance(value, list)]
        if resource.list_key in body:
            rows = body[resource.list_key]
        elif len(arrays) == 1:
            rows = arrays[0]
        elif not arrays and record_count(body) == 0:
            rows = []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    return rows


def record_count(body: Any) -> int | None:
    """How many records match in all, when the wrapper says so."""
    count = body.get("record_count") if isinstance(body, dict) else None
    return count if isinstance(count, int) and not isinstance(count, bool) and count >= 0 else None


def is_last_page(*, rows: int, seen: int, page_size: int, total: int | None) -> bool:
    """Whether a list is whole after a page of `rows`, `seen` rows in all.

    Halo's own count decides where it gives one: a page shorter than asked for may only mean that Halo caps
    the page size. Without a count a page that isn't exactly full is the last.
    """
    if rows == 0:
        return True
    return rows != page_size if total is None else seen >= total
