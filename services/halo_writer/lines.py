"""Which line in Halo is which line of the source quote. Pure.

A line is found by our line key where Halo gives it back, else by position and product code among those left. An
id that is known from the last settled answer wins over both, as long as the line still exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class LineMark(msgspec.Struct, frozen=True):
    """How one source line can be recognised: its id at the source, our key for it, its place and code."""

    id: str
    key: str
    position: int
    product_code: str | None


def match_lines(
    marks: Sequence[LineMark], actual: Sequence[Mapping[str, Any]], remembered: Mapping[str, int]
) -> dict[str, int]:
    """Source line id to Halo line id. Each Halo line is given to at most one source line.

    `actual` is Halo's `lines` array, in its order; lines that match nothing are left out.
    """
    free = {int(line["id"]): line for line in actual if line.get("id")}
    found: dict[str, int] = {}

    def take(mark: LineMark, halo_id: int) -> None:
        found[mark.id] = halo_id
        del free[halo_id]

    by_key = {key: halo_id for halo_id, line in free.items() for key in _keys(line)}
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
            if _keys(line) or places[halo_id] != mark.position:
                continue
            if (line.get("productcode") or None) == mark.product_code:
                take(mark, halo_id)
                break
    return found


def _keys(line: Mapping[str, Any]) -> tuple[str, ...]:
    links = [line.get("external_link"), *(line.get("external_links") or ())]
    return tuple(str(link["third_party_id"]) for link in links if link and link.get("third_party_id"))
