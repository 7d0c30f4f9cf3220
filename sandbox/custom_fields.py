"""Custom fields: defined in FieldInfo, kept by a record in `customfields`.

Not in Halo's documentation, so this sandbox's reading: a write changes the custom fields that it carries, each named by
its id or its name, and leaves the others; one that isn't defined is ignored without a word, as any unknown field is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.state import Store

FIELD = "customfields"
Values = Mapping[str, Any]


def merged(store: Store, before: Sequence[Values], sent: Sequence[Values]) -> list[dict[str, Any]]:
    """The record's custom fields after a write that carries `sent`."""
    defined = {number: row.values for number, row in store.table("FieldInfo").items()}
    kept = {field["id"]: dict(field) for field in before}
    for element in sent:
        number = _number(defined, element)
        if number is None:
            continue
        known = defined[number]
        kept[number] = {
            "id": number,
            "name": known.get("name"),
            "label": known.get("label"),
            "value": element.get("value"),
            "display": str(element.get("value") or ""),
        }
    return [kept[number] for number in sorted(kept)]


def _number(defined: Mapping[int, Values], element: Values) -> int | None:
    if element.get("id"):
        return element["id"] if element["id"] in defined else None
    wanted = str(element.get("name") or "").casefold()
    return next(
        (number for number, row in defined.items() if str(row.get("name")).casefold() == wanted), None
    )
