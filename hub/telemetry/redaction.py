"""Keeps secrets out of log lines: by name of field, by known value, by the shape of credentials in text."""

import re
from collections.abc import Iterable, Mapping, MutableMapping
from typing import Any

HIDDEN = "[hidden]"

_SENSITIVE_KEY = re.compile(
    r"secret|password|passwd|token|authorization|api_?key|cookie|credential|private_key", re.IGNORECASE
)
_CREDENTIALS = re.compile(
    r"(?P<before>\b(?:[Bb]earer|Basic)\s+)[\w.~+/=-]{8,}"
    r"|(?P<name>\b(?:client_secret|access_token|refresh_token|password)=)[^\s&\"',;]+"
)
_URL_PASSWORD = re.compile(r"(?P<before>\b[a-z][a-z0-9+.-]*://[^\s/:@]*:)[^\s/@]+(?=@)", re.IGNORECASE)
# A shorter "secret" would blank out ordinary words.
_MIN_SECRET_CHARS = 4
_MAX_DEPTH = 8


class Redactor:
    """A structlog processor that leaves no known secret and no value of a sensitive field in the line.

    Numbers, booleans and None of a sensitive field stay: `secret_configured=True` tells nothing. What is
    nested deeper than a log line should be is replaced by its type's name.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._known: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """From now on hides these values too, wherever they stand, but for those under four characters."""
        self._secrets.update(secret for secret in secrets if len(secret) >= _MIN_SECRET_CHARS)
        # Longest first: a secret that contains another must not leave its own rest behind.
        ordered = sorted(self._secrets, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, _logger: Any, _method: str, line: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return self._mapping(line, depth=0)

    def text(self, text: str) -> str:
        """The text without known secrets and without credentials of a usual shape."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        text = _URL_PASSWORD.sub(rf"\g<before>{HIDDEN}", text)
        return _CREDENTIALS.sub(lambda found: f"{found['before'] or found['name']}{HIDDEN}", text)

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
