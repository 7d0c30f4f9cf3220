"""Binds request bodies to Halo's field types, the way its JSON reader does.

`fields.json` names the fields of each entity by type (int, num, bool, str, date, list, object). Unknown
fields are dropped without a word; null counts as absent; a value of the wrong type is a fault named by its
JSON path. Text that spells a number is accepted for a number field, a float literal for an int field is not.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import msgspec

Fields = Mapping[str, str]
Faults = dict[str, list[str]]

LINES: Mapping[str, str] = {"Quotation": "QuotationDetail", "SalesOrder": "OrderLine"}
NESTED: Mapping[str, str] = {
    "items_issued": "FaultItem",
    "new_external_link": "ExternalLink",
    "delivery_address": "Address",
    "invoice_address": "Address",
    "newclient_delivery_address": "Address",
    "customfields": "CustomField",
    "address": "Address",
}
WORD_FOR = {"int": "integer", "num": "decimal", "bool": "boolean", "date": "DateTime"}
BOOLEANS = {"true": True, "false": False}


class MismatchError(Exception):
    """A value that its field's type cannot hold."""


class Schema:
    """Field types of every entity, read once from the package."""

    def __init__(self, entities: Mapping[str, Fields]) -> None:
        self._entities = entities

    @classmethod
    def load(cls) -> "Schema":
        text = files("sandbox").joinpath("fields.json").read_bytes()
        raw = msgspec.json.decode(text, type=dict[str, dict[str, str]])
        return cls(
            {
                entity: {name: kind for kind, names in kinds.items() for name in names.split()}
                for entity, kinds in raw.items()
            }
        )

    def fields(self, entity: str) -> Fields:
        return self._entities[entity]

    def bind(self, entity: str, element: Mapping[str, Any], at: str, faults: Faults) -> dict[str, Any]:
        """The known, non-null fields of `element`; what does not fit goes into `faults`."""
        fields = self._entities[entity]
        bound: dict[str, Any] = {}
        for name, value in element.items():
            kind = fields.get(name)
            if kind is None or value is None:
                continue
            path = f"{at}.{name}" if at else name
            try:
                inner = LINES.get(entity) if name == "lines" else NESTED.get(name)
                bound[name] = self._value(kind, inner, value, path, faults)
            except MismatchError as mismatch:
                faults.setdefault(path, []).append(f"{mismatch} Path '{path}', line 1, position 0.")
        return bound

    def _value(self, kind: str, entity: str | None, value: Any, path: str, faults: Faults) -> Any:
        if kind == "any":
            return value
        if kind not in {"list", "object"}:
            return scalar(kind, value)
        if kind == "list" and not isinstance(value, list):
            raise MismatchError(f"Error converting value {shown(value)} to an array.")
        if entity is None:
            return value
        if kind == "list":
            return [self._object(entity, item, f"{path}[{i}]", faults) for i, item in enumerate(value)]
        return self._object(entity, value, path, faults)

    def _object(self, entity: str, value: Any, path: str, faults: Faults) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise MismatchError(f"Error converting value {shown(value)} to an object.")
        return self.bind(entity, value, path, faults)


def scalar(kind: str, value: Any) -> Any:
    """`value` as a `kind`, or MismatchError in the words of Halo's JSON reader."""
    if isinstance(value, dict | list):
        raise unexpected(value)
    match kind:
        case "int":
            return integer(value)
        case "num":
            return number(value)
        case "bool":
            return boolean(value)
        case "date":
            return zoneless(value)
        case _:
            return value if isinstance(value, str) else shown(value)


def integer(value: Any) -> int:
    if isinstance(value, bool):
        raise unexpected(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        raise MismatchError(f"Input string '{value}' is not a valid integer.")
    try:
        return int(value)
    except ValueError:
        raise unconvertible("int", value) from None


def number(value: Any) -> float:
    if isinstance(value, bool):
        raise unexpected(value)
    try:
        return float(value)
    except ValueError:
        raise unconvertible("num", value) from None


def boolean(value: Any) -> bool:
    if isinstance(value, str):
        if value.strip().lower() not in BOOLEANS:
            raise unconvertible("bool", value)
        return BOOLEANS[value.strip().lower()]
    return bool(value)


def zoneless(value: Any) -> str:
    """An ISO date or time as Halo answers it: UTC, without a zone."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        raise unconvertible("date", value) from None
    return stamp(moment)


def stamp(moment: datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def shown(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def unconvertible(kind: str, value: Any) -> MismatchError:
    return MismatchError(f"Could not convert string to {WORD_FOR[kind]}: {value}.")


def unexpected(value: Any) -> MismatchError:
    return MismatchError(f"Unexpected character encountered while parsing value: {shown(value)[0]}.")
