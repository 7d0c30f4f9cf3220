"""Ids and hashes never change: what an earlier release wrote must be found by this one."""

import uuid
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import canonical, content_hash, derived_id

NAMESPACE = uuid.UUID("5d2d7a3c-4c0e-5c8e-9f0b-2f6c1f4f7a51")
amounts = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=20) | amounts,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)


def written_out(value: Any) -> Any:
    """What `canonical` says it writes, in the plainest way."""
    if isinstance(value, Decimal):
        return format(value.normalize() + 0, "f")
    if isinstance(value, dict):
        return {key: written_out(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [written_out(item) for item in value]
    return value


@given(values)
def test_the_canonical_text_is_sorted_json_with_plain_amounts(value: Any) -> None:
    assert canonical(value) == msgspec.json.encode(written_out(value), order="deterministic")


def test_hashing_changes_nothing_of_what_is_hashed() -> None:
    lines = [{"price": Decimal("1.50"), "more": ({"cost": Decimal("2.0")},)}]
    value = {"lines": lines, "rows": {"a": Decimal("1E+3")}}

    first = content_hash(value)

    assert value == {"lines": lines, "rows": {"a": Decimal("1E+3")}}
    assert str(lines[0]["price"]) == "1.50"
    assert content_hash(value) == first


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_an_id_is_the_version_5_uuid_of_its_parts(parts: list[str]) -> None:
    name = "\n".join(part.replace("\n", "\\n") for part in ("kind", *parts))

    assert derived_id("kind", *parts) == str(uuid.uuid5(NAMESPACE, name))
