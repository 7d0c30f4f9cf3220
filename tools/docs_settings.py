"""The reference of what a process is told: every `HUB_*` variable of `hub.settings`, its unit, default and meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.settings import Settings
from tools.docs_schema import Schema, kind_of, limits_of, table

PREFIX = "HUB_"
_PAGE = """\
# Configuration

What a process of the hub is told from outside, read once when it starts. A tenant's own settings are in its
[tenant file](tenant.md). What a service logs first (`service.starting`) shows all of them, and of secrets only whether
they are there.

{variables}

Only together: with a `SASL_` protocol, `HUB_KAFKA_SASL_USERNAME` and `HUB_KAFKA_SASL_PASSWORD` are required.
`HUB_LEASE_TTL_S` must be longer than `HUB_REQUEST_TIMEOUT_S`. Paths that are not absolute begin where the process was
started.

Two more are for the command line alone: `HUB_TOKEN` is the producer's token of `hub event send --http` and `hub event
token`; `HUB_LOG=console` has `hub run` write its log for people instead of as JSON.
"""
_UNITS = {
    "_s": "seconds",
    "_bytes": "bytes",
    "_events": "events",
    "_port": "port",
    "_dir": "path",
    "_file": "path",
}
_UNITS |= dict.fromkeys(("_cafile", "_certfile", "_keyfile"), "path")


def page() -> str:
    """The page `docs/reference/configuration.md`."""
    schema = Settings.model_json_schema()["properties"]
    rows = [_row(name, schema[name]) for name in Settings.model_fields]
    return _PAGE.format(variables=table(("variable", "is", "default", "meaning"), rows))


def _row(name: str, schema: Schema) -> tuple[str, str, str, str]:
    kind = kind_of(schema, lambda reference: reference)
    unit = next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")
    limits = limits_of(schema)
    said = unit or kind
    return (
        f"`{PREFIX}{name.upper()}`",
        f"{said}; {limits}" if limits else said,
        _default(Settings.model_fields[name].default),
        schema["description"],
    )


def _default(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return f"`{str(value).lower()}`"
        case float():
            return f"`{value:g}`"
        case Path() | str() | int():
            return f"`{value}`"
    raise AssertionError(f"say how {value!r} is written in the environment")
