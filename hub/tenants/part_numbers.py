"""Which field of the source is a product's number, and templates that make one. Pure.

A template is text with placeholders, `GEN-{vendor}-{vendor_part_number}`. There is none for a time or a counter: the
same event makes the same number whenever it is mapped.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable

PRODUCT_FIELDS = (
    "name",
    "manufacturer",
    "manufacturer_part_number",
    "vendor",
    "vendor_part_number",
    "description",
    "category",
    "group",
    "item_type",
)
"""What a source says of a product in fields of its own."""
LINE_ID = "source_line_id"
MAX_TEMPLATE = 255
_CUSTOM = re.compile(r"^custom[._]\S.*$")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def product_field(value: str) -> str:
    """The name of a product's field, or of a custom one. Raises ValueError that names those there are."""
    return _checked(value, PRODUCT_FIELDS, "is no field of a product")


def template(value: str) -> str:
    """A template whose placeholders are all known. Raises ValueError that says which is not."""
    if len(value) > MAX_TEMPLATE:
        raise ValueError(f"is longer than {MAX_TEMPLATE} characters")
    for name in _PLACEHOLDER.findall(value):
        _checked(name, (*PRODUCT_FIELDS, LINE_ID), f"{{{name}}} is no placeholder")
    if set("{}") & set(_PLACEHOLDER.sub("", value)):
        raise ValueError("has a brace without its other half; a placeholder is written {name}")
    return value


def filled(text: str, value_of: Callable[[str], str]) -> str:
    """The template with its values; empty when one of them is: half a number would be that of many products."""
    values = {name: value_of(name) for name in _PLACEHOLDER.findall(text)}
    if not all(values.values()):
        return ""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def custom_key(field: str) -> str | None:
    """The name under `custom` that a field stands for: `custom.text03`, or as it is, `custom_text_03`."""
    if field in PRODUCT_FIELDS or not _CUSTOM.match(field):
        return None
    return field.removeprefix("custom.")


def _checked(value: str, known: tuple[str, ...], problem: str) -> str:
    if value in known or _CUSTOM.match(value):
        return value
    near = difflib.get_close_matches(value, known, n=3, cutoff=0.6)
    if near:
        raise ValueError(f"{problem}; did you mean {' or '.join(near)}?")
    raise ValueError(f"{problem}; there are {', '.join(known)} and custom.<name>")
