"""Keeps secrets out of whatever is written down: by key name and by known value. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus

from halo.secret import HIDDEN

_SENSITIVE = (
    r"authorization|client_secret|password|passwd|secret|api[-_]?key|cookie|(?:access|refresh|id)?_?token"
)
_SENSITIVE_KEY = re.compile(_SENSITIVE, re.IGNORECASE)
_KEY_VALUE = re.compile(
    rf"""(["']?\b[\w-]*(?:{_SENSITIVE})["']?\s*[:=]\s*)(?:"(?:[^"\\]|\\.)*"|'[^']*'|(?:(?:bearer|basic)\s+)?[^\s,;&"'}}]+)""",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
# What a person typed to search for is their customer's data, and no audit needs it.
_PERSONAL_PARAMETERS = frozenset({"search", "advanced_search", "username", "email"})
# A shorter "secret" would blank out half of every text.
_MIN_SECRET_CHARS = 4


def is_sensitive(key: str) -> bool:
    return _SENSITIVE_KEY.search(key) is not None


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without `secrets` (plain or URL-encoded) and without values of sensitive keys."""
    for secret in sorted((s for s in secrets if len(s) >= _MIN_SECRET_CHARS), key=len, reverse=True):
        for shape in {secret, quote(secret, safe=""), quote_plus(secret)}:
            text = text.replace(shape, HIDDEN)
    return _CREDENTIALS.sub(rf"\1 {HIDDEN}", _KEY_VALUE.sub(rf"\1{HIDDEN}", text))


def redact_mapping(mapping: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """A copy, at any depth, without values of sensitive keys and without `secrets` in any text."""
    known = tuple(secrets)
    return {
        key: HIDDEN if is_sensitive(key) else _redact_value(value, known) for key, value in mapping.items()
    }


def redact_query(query: str, secrets: Iterable[str] = ()) -> str:
    """The query string for an audit line: sensitive and free-text search values hidden, names kept."""
    known = tuple(secrets)
    pairs = []
    for key, value in parse_qsl(query, keep_blank_values=True):
        hide = is_sensitive(key) or key.lower() in _PERSONAL_PARAMETERS
        pairs.append(f"{quote(key)}={HIDDEN if hide else quote(redact_text(value, known), safe='*')}")
    return "&".join(pairs)


def _redact_value(value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        return redact_text(value, secrets)
    if isinstance(value, Mapping):
        return redact_mapping(value, secrets)
    if isinstance(value, list | tuple):
        return [_redact_value(item, secrets) for item in value]
    return value
