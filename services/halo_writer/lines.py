"""Which line in Halo is which line of the source document. Pure.

A line is found by our line key where Halo gives it back, else by position and product code among those left. An
id that is known from the last settled answer wins over the latter, as long as the line still exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec


class LineMark(msgspec.Struct, frozen=True):
    """How one source line can be recognised: its id at the source, our key for it, its place and code."""

    id: str
    key: str
    position: int
    product_code: str | None


def linked_keys(line: Mapping[str, Any]) -> tuple[str, ...]:
    """The outside ids that are linked to a quote's line, ours among them."""
    links = [line.get("external_link"), *(line.get("external_links") or ())]
    return tuple(str(link["third_party_id"]) for link in links if link and link.get("third_party_id"))


def match_lines(
    marks: Sequence[LineMark],
    actual: Sequence[Mapping[str, Any]],
    remembered: Mapping[str, int],
    *,
    keys_of: Callable[[Mapping[str, Any]], tuple[str, ...]] = linked_keys,
    code_field: str = "productcode",
) -> dict[str, int]:
    """Source line id to Halo line id. Each Halo line is given to at most one source line.

    `actual` is Halo's array of lines, in its order; lines that match nothing are left out. `keys_of` reads the keys
    that a line carries, `code_field` is where its product code stands.
    """
    free = {int(line["id"]): line for line in actual if line.get("id")}
    found: dict[str, int] = {}

    def take(mark: LineMark, halo_id: int) -> None:
        found[mark.id] = halo_id
        del free[halo_id]

    by_key = {key: halo_id for halo_id, line in free.items() for key in keys_of(line)}
    for mark in marks:
        halo_id = by_key.get(mark.key)
        if halo_id in free:
            take(mark, halo_id)
    for mark in marks:
        halo_id = remembered.get(mark.id)
        if mark.id not in found and halo_id in free:
            take(mark, halo_id)
    places = {int(line["id"]): place for place, line in enumerate(actual) if line.get("id")}
    for mark in marks:
        if mark.id in found:
            continue
        for halo_id, line in list(free.items()):
            # A line that carries another source line's key is that line, wherever it stands.
            if keys_of(line) or places[halo_id] != mark.position:
                continue
            if (line.get(code_field) or None) == mark.product_code:
                take(mark, halo_id)
                break
    return found
