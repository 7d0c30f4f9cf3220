"""Keeps secrets out of whatever is written down: by key name, and by known value however it is encoded. Pure."""

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote

from halo.disguises import hidden
from halo.secret import HIDDEN

_SENSITIVE = (
    r"authorization|client_secret|password|passwd|secret|api[-_]?key|cookie|(?:access|refresh|id)?_?token"
)
_SENSITIVE_KEY = re.compile(_SENSITIVE, re.IGNORECASE)
# Repetitions before the key are bounded: no text makes this slow. JSON within JSON escapes its quotes.
_KEY_VALUE = re.compile(
    rf"""(\b[\w-]{{0,40}}(?:{_SENSITIVE})\w{{0,20}}(?:\\{{0,8}}["'])?\s{{0,8}}[:=]\s{{0,8}})"""
    r"""(?:"(?:[^"\\]|\\.)*"?|'[^']*'?|\\{1,8}["'][^"'\\]*|(?:(?:bearer|basic)\s+)?[^\s,;&"'}]+)""",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
# What a person typed to search for is their customer's data, and no audit needs it.
_PERSONAL_PARAMETERS = frozenset({"search", "advanced_search", "username", "email"})


def is_sensitive(key: str) -> bool:
    return _SENSITIVE_KEY.search(key) is not None


def redact_text(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without `secrets` (in any of the forms of `halo.disguises`) and without values of sensitive keys."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = hidden(text, secret, HIDDEN)
    return _CREDENTIALS.sub(rf"\1 {HIDDEN}", _KEY_VALUE.sub(rf"\1{HIDDEN}", text))


def redact_mapping(mapping: Mapping[str, Any], secrets: Iterable[str] = ()) -> dict[str, Any]:
    """A copy, at any depth, without values of sensitive keys and without `secrets` in any text, names included."""
    known = tuple(secrets)
    return {
        redact_text(key, known): HIDDEN if is_sensitive(key) else redact_value(value, known)
        for key, value in mapping.items()
    }


def redact_value(value: Any, secrets: Iterable[str] = ()) -> Any:
    """The same for any JSON value."""
    known = tuple(secrets)
    if isinstance(value, str):
        return redact_text(value, known)
    if isinstance(value, Mapping):
        return redact_mapping(value, known)
    if isinstance(value, list | tuple):
        return [redact_value(item, known) for item in value]
    return value


def redact_query(query: str, secrets: Iterable[str] = ()) -> str:
    """The query string for an audit line: sensitive and free-text search values hidden, names kept."""
    known = tuple(secrets)
    pairs = []
    for key, value in parse_qsl(query, keep_blank_values=True):
        hide = is_sensitive(key) or key.lower() in _PERSONAL_PARAMETERS
        pairs.append(f"{quote(key)}={HIDDEN if hide else quote(redact_text(value, known), safe='*')}")
    return "&".join(pairs)
