"""Secrets by reference: `env:NAME` or `file:/path`, read at the moment of use and never shown.

What was read is known to the log from then on, so that no line of the process can hold it, whatever others echo.

SecretUnavailable    nothing is there; the message names the reference, which is no secret
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hub.telemetry.logging import hide

MAX_SECRET_BYTES = 64 * 1024


class SecretUnavailable(Exception):
    """A reference leads to nothing: set the variable or mount the file that it names."""


def resolve(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """The secret's value without spaces around it. Raises SecretUnavailable."""
    scheme, _, place = reference.partition(":")
    if scheme == "env":
        value = (os.environ if environment is None else environment).get(place, "")
        hint = "set that environment variable"
    elif scheme == "file":
        value = _file(Path(place), reference)
        hint = "the file is empty"
    else:
        raise SecretUnavailable("a secret reference starts with env: or file:")
    if not value.strip():
        raise SecretUnavailable(f"the secret {reference} is empty or missing: {hint}")
    secret = value.strip()
    hide(secret)
    return secret


def _file(path: Path, reference: str) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_SECRET_BYTES).decode()
    except OSError as error:
        raise SecretUnavailable(f"the secret {reference} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SecretUnavailable(f"the secret {reference} is not UTF-8 text") from None
