"""Events as people keep them in files: JSON as it is sent, or YAML, which may carry comments."""

from pathlib import Path

import msgspec

from cli import context
from cli.errors import BadInput
from hub.tenants.load import RulesInvalid, plain_yaml

_YAML = (".yaml", ".yml")


def json_of(file: Path) -> bytes:
    """A file's events as JSON; in YAML whatever is no whole number, true, false or null is text. Raises BadInput."""
    body = context.read_file(file)
    if file.suffix not in _YAML:
        return body
    try:
        return msgspec.json.encode(plain_yaml(body))
    except RulesInvalid as error:
        raise BadInput(f"{file}: {error}") from None
