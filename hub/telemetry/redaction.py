"""Keeps secrets out of log lines: by name of field, by known value, by the shape of credentials in text."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

from hub.telemetry.disguises import MIN_SECRET_CHARS, marks_of, pattern_of

HIDDEN = "[hidden]"

_SENSITIVE_KEY = re.compile(
    r"secret|password|passwd|token|authorization|api_?key|cookie|credential|private_key", re.IGNORECASE
)
_CREDENTIALS = re.compile(
    r"(?P<before>\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<name>\b(?:client_secret|access_token|refresh_token|password)=)[^\s&\"',;]+",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(
    r"(?P<before>\b[a-z][a-z0-9+.-]{0,40}://[^\s/:@]{0,200}:)[^\s@]{1,500}(?=@)", re.IGNORECASE
)
_BASIC_WORD = re.compile(r"[a-z]+", re.IGNORECASE)
_SPACE = re.compile(r"\s")
_MAX_DEPTH = 8
_PIECE = 4


class Redactor:
    """A structlog processor that leaves no known secret and no value of a sensitive field in the line.

    Known secrets are found in every form of `hub.telemetry.disguises`; a line costs the same however many there are.
    Numbers, booleans and None of a sensitive field stay: `secret_configured=True` tells nothing. What is
    nested deeper than a log line should be is replaced by its type's name.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        # Pieces of marks, for the first look at a text; marks too short for that are looked for one by one.
        self._by_piece: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._short: list[tuple[str, str]] = []
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """From now on hides these values too, wherever they stand, but for those under four characters."""
        for secret in secrets:
            if len(secret) < MIN_SECRET_CHARS or secret in self._secrets:
                continue
            self._secrets.add(secret)
            for mark in marks_of(secret):
                if len(mark) < 2 * _PIECE - 1:
                    self._short.append((mark, secret))
                    continue
                # Wherever a mark stands, one of these begins at a place that `_suspected` looks at.
                for at in range(_PIECE):
                    self._by_piece[mark[at : at + _PIECE]].add((mark, secret))

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return self._mapping(line, depth=0)

    def text(self, text: str) -> str:
        """The text without known secrets and without credentials of a usual shape."""
        # Longest first: a secret that contains another must not leave its own rest behind.
        for secret in sorted(self._suspected(text), key=len, reverse=True):
            text = pattern_of(secret).sub(HIDDEN, text)
        # Most texts are a word or an id, for which the patterns would cost more than all the rest of the line.
        if "://" in text:
            text = _URL_PASSWORD.sub(rf"\g<before>{HIDDEN}", text)
        if "=" in text or _SPACE.search(text):
            text = _CREDENTIALS.sub(_without_credentials, text)
        return text

    def _suspected(self, text: str) -> set[str]:
        """The known secrets that may be in the text."""
        found = {secret for mark, secret in self._short if mark in text}
        if self._by_piece:
            for at in range(0, len(text) - _PIECE + 1, _PIECE):
                marked = self._by_piece.get(text[at : at + _PIECE])
                if marked is not None:
                    found.update(secret for mark, secret in marked if mark in text)
        return found

    def _mapping(self, mapping: Mapping[Any, Any], depth: int) -> dict[Any, Any]:
        return {
            self.text(key) if isinstance(key, str) else key: self._field(key, value, depth)
            for key, value in mapping.items()
        }

    def _field(self, key: object, value: object, depth: int) -> object:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(key, str) and _SENSITIVE_KEY.search(key):
            return HIDDEN
        return self._value(value, depth)

    def _value(self, value: object, depth: int) -> object:
        if isinstance(value, str):
            return self.text(value)
        if depth >= _MAX_DEPTH:
            return f"[{type(value).__name__}]"
        if isinstance(value, Mapping):
            return self._mapping(value, depth + 1)
        if isinstance(value, list | tuple | set | frozenset):
            return [self._field(None, item, depth + 1) for item in value]
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value).decode(errors="replace"))
        return self.text(str(value))


def _without_credentials(found: re.Match[str]) -> str:
    # "basic troubleshooting" is prose; a header's scheme begins with a capital, or what follows is no plain word.
    if found["before"] and found["before"][0] == "b" and _BASIC_WORD.fullmatch(found[0].split()[-1]):
        return found[0]
    return f"{found['before'] or found['name']}{HIDDEN}"
