"""Linked values as Halo takes them, and whether Halo has them already."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import pytest

from schemas.commands import Linked, Named
from services.halo_writer.compare import equal
from services.halo_writer.kinds.base import Resolved
from services.halo_writer.kinds.links import linked_fields
from services.halo_writer.names import Found, resolve

INDUSTRY = Named(lookup="custom_field", name="CFIndustry", missing="leave")
OTHER = Named(lookup="custom_field", name="CFOther", missing="leave")


class Row(NamedTuple):
    halo_id: int


def custom(named: Named, value: str) -> Linked:
    return Linked(custom_field=named, value=value)


@pytest.mark.feature("field.links.write", part="writer")
def test_plain_fields_have_halos_types_and_custom_fields_go_by_id() -> None:
    links = (
        Linked(field="ref", value="C-1"),
        Linked(field="oppvalue_monthly", value="12.5", type="number"),
        Linked(field="targetdate", value="2026-04-01", type="date"),
        custom(INDUSTRY, "Food"),
        custom(OTHER, ""),
    )
    resolved = Resolved(
        names={INDUSTRY: 201, OTHER: None}, spellings={INDUSTRY: "CFIndustry", OTHER: "CFOther"}
    )
    assert linked_fields(links, resolved) == {
        "ref": "C-1",
        "oppvalue_monthly": Decimal("12.5"),
        "targetdate": "2026-04-01T00:00:00",
        "customfields": [{"id": 201, "value": "Food"}, {"name": "CFOther", "value": ""}],
    }


@pytest.mark.feature("field.links.write", part="writer")
def test_a_custom_field_that_halo_lacks_is_not_sent_at_all() -> None:
    assert linked_fields((custom(INDUSTRY, "Food"),), Resolved(names={INDUSTRY: None})) == {}


@pytest.mark.feature("field.links.write", part="writer")
def test_of_several_definitions_with_one_name_none_is_chosen_and_the_name_goes() -> None:
    assert resolve(INDUSTRY, (Row(201), Row(301)), (), ()) == Found(None, spelling="CFIndustry")
    assert resolve(INDUSTRY, (Row(201),), (), ()) == Found(201)


HELD: Sequence[dict[str, Any]] = (
    {"id": 201, "name": "CFIndustry", "label": "Industry", "value": "Food", "display": "Food"},
    {"id": 203, "name": "CFCampaign", "value": "Spring"},
    {"id": 204, "name": "CFMargin"},
)


@pytest.mark.feature("field.links.write", part="writer")
@pytest.mark.parametrize(
    ("sent", "same"),
    [
        ([{"id": 201, "value": "Food"}], True),
        ([{"name": "cfindustry", "value": "Food"}], True),
        ([{"id": 203, "value": "Spring"}, {"id": 201, "value": "Food"}], True),
        ([{"id": 204, "value": ""}], True),
        ([{"id": 201, "value": "Steel"}], False),
        ([{"id": 201, "value": "Food"}, {"id": 203, "value": "Autumn"}], False),
        ([{"id": 203, "value": "Food"}], False),
        ([{"id": 205, "value": "Food"}], False),
        ([{"name": "CFOther", "value": "Food"}], False),
    ],
)
def test_halo_has_linked_values_when_it_has_those_that_were_sent(
    sent: list[dict[str, Any]], same: bool
) -> None:
    assert equal({"id": 7, "customfields": sent}, {"id": 7, "customfields": list(HELD)}) is same
    line = {"lines": [{"id": 5, "customfields": sent}]}
    assert equal(line, {"lines": [{"id": 5, "name": "x", "customfields": list(HELD)}]}) is same


@pytest.mark.feature("field.links.write", part="writer")
def test_a_record_without_custom_fields_has_none_of_those_that_were_sent() -> None:
    assert not equal({"customfields": [{"id": 201, "value": "Food"}]}, {"id": 7})
