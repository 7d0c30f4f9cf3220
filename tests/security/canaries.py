"""Secrets that can be recognised wherever they turn up, whole or in part, plain or encoded."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Iterator

# No letter of these is a hexadecimal digit, and no English word is made of them.
_LETTERS = "GHJKMNPQRSTVWXYZ"
_CORE = 24
_PIECE = 9


class Canary:
    """One secret: a core that nothing else holds, in a value with whatever characters a secret may have."""

    def __init__(self, what: str, shape: str = "{}") -> None:
        self.what = what
        self.core = "".join(secrets.choice(_LETTERS) for _ in range(_CORE))
        self.value = shape.format(self.core)

    def traces(self) -> Iterator[bytes]:
        """Every piece of the core that is long enough to be no accident, in each encoding that keeps pieces apart."""
        raw = self.core.encode()
        yield from _pieces(raw)
        yield from _pieces(raw.hex().encode())
        yield from _pieces(raw.hex().upper().encode())
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + raw)
            yield from _pieces(encoded[4:-4])


class Aviary:
    """All canaries of a test."""

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._traces = {trace: canary.what for canary in canaries for trace in canary.traces()}

    def found_in(self, data: bytes | str) -> set[str]:
        """Whose traces the data hold."""
        raw = data.encode(errors="surrogateescape") if isinstance(data, str) else data
        pieces = {raw[at : at + _PIECE] for at in range(len(raw) - _PIECE + 1)}
        return {self._traces[piece] for piece in pieces & self._traces.keys()}


def _pieces(raw: bytes) -> Iterator[bytes]:
    return (raw[at : at + _PIECE] for at in range(len(raw) - _PIECE + 1))
