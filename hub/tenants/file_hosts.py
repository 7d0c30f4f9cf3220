"""The hosts from which a tenant's quote files may be fetched: `files.quoter.example`, or `*.quoter.example`.

A pattern `*.quoter.example` allows every host below that name and not the name itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, StrictStr

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z]){_LABEL}")
"""At least two labels, and the last begins with a letter: no address of a machine is a name in whatever spelling."""
_MAX_LENGTH = 253


def is_host_name(text: str) -> bool:
    """Whether this is a whole host name in lower case and ASCII: no address, no dot at its end, no port."""
    return len(text) <= _MAX_LENGTH and _NAME.fullmatch(text) is not None


def allows(patterns: Iterable[str], host: str) -> bool:
    """Whether one of a tenant's patterns allows this host (a name as `is_host_name` takes it)."""
    return any(
        host.endswith(pattern[1:]) and is_host_name(host) if pattern.startswith("*.") else host == pattern
        for pattern in patterns
    )


def _file_host(value: str) -> str:
    text = value.strip().lower()
    if "/" in text or ":" in text:
        raise ValueError("is a host name alone, without https://, port or path: files.quoter.example")
    if not text.isascii():
        raise ValueError("is written in its ASCII form, which begins with xn--")
    if not is_host_name(text.removeprefix("*.")):
        raise ValueError("is no host name; give one like files.quoter.example or *.quoter.example")
    return text


FileHost = Annotated[StrictStr, AfterValidator(_file_host)]
