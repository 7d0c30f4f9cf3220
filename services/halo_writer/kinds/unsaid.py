"""Optional fields of Halo's that a later state no longer says: what this hub wrote is cleared, nothing else is. Pure.

What a request leaves out, Halo keeps. So the target's row remembers which of these fields the last write gave, and the
next one gives back those that it lacks. A field that the hub never wrote is a person's, or Halo's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Unsaid:
    """The optional fields of a record or a line, each with its value where nobody says it.

    A row keeps them as one number, a bit for each in this order: a new one goes to the end. `assumed` are those that
    count as written where a row knows nothing, since an earlier release wrote it.
    """

    fields: Mapping[str, Any]
    assumed: frozenset[str] = frozenset()

    def said(self, element: Mapping[str, Any]) -> int:
        """The fields to which an element gives more than nothing, as a row keeps them."""
        return sum(
            1 << place
            for place, (name, nothing) in enumerate(self.fields.items())
            if element.get(name, nothing) != nothing
        )

    def known(self, remembered: int | None) -> int:
        """What a row remembers, or what is to be assumed."""
        return self._bits(self.assumed) if remembered is None else remembered

    def of(self, names: Collection[str], said: int, otherwise: int) -> int:
        """Of these fields what `said` has, of the others what `otherwise` has."""
        bits = self._bits(names)
        return said & bits | otherwise & ~bits

    def _bits(self, names: Collection[str]) -> int:
        return sum(1 << place for place, name in enumerate(self.fields) if name in names)

    def cleared(self, element: Mapping[str, Any], remembered: int | None) -> dict[str, Any]:
        """The fields that were said before and that the element doesn't mention, each with its nothing."""
        before = self.known(remembered)
        return {
            name: nothing
            for place, (name, nothing) in enumerate(self.fields.items())
            if before >> place & 1 and name not in element
        }
