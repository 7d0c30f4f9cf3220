"""Whether Halo's record already is what we would send. Pure, and cautious: in doubt it is not equal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

# What travels with a write but does not come back as sent.
_CUSTOM = "customfields"
_COMMANDS = ("new_external_link", "external_link", "external_links", "ignoretaxcalc")


def equal(payload: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    """Every field of `payload` has the same value in `record`; a line array has the same lines in the same order."""
    return all(
        _same_custom(value, record.get(name)) if name == _CUSTOM else _same(value, record.get(name))
        for name, value in payload.items()
        if _compared(name)
    )


def _same_custom(sent: Any, found: Any) -> bool:
    """Of a record's custom fields those that were sent count, each by its id or its name."""
    held = [field for field in found or () if isinstance(field, Mapping)]
    return all(
        any(_named(field, one) and _same(field["value"], one.get("value")) for one in held) for field in sent
    )


def _named(sent: Mapping[str, Any], held: Mapping[str, Any]) -> bool:
    if "id" in sent:
        return _number(sent["id"]) == _number(held.get("id"))
    return str(sent["name"]).casefold() == str(held.get("name", "")).casefold()


def _compared(name: str) -> bool:
    return not name.startswith("_") and name not in _COMMANDS and not name.startswith("newclient_")


def _same(sent: Any, found: Any) -> bool:
    if isinstance(sent, Mapping):
        return isinstance(found, Mapping) and equal(sent, found)
    if isinstance(sent, Sequence) and not isinstance(sent, str | bytes):
        return (
            isinstance(found, Sequence)
            and len(sent) == len(found)
            and all(_same(one, other) for one, other in zip(sent, found, strict=True))
        )
    if sent is None or sent == "":
        return found is None or found == ""
    if isinstance(sent, bool):
        # Halo leaves out what is null, and for a flag that is false.
        return bool(found) == sent
    if isinstance(sent, int | float | Decimal):
        return _number(found) == _number(sent)
    if isinstance(sent, dt.date):
        return str(found)[:10] == sent.isoformat()[:10]
    return str(found) == str(sent)


def _number(value: Any) -> Decimal | None:
    if value is None or isinstance(value, bool):
        return Decimal(0) if value is None else None
    try:
        return Decimal(str(value))
    except ArithmeticError:
        return None
