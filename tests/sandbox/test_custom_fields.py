"""Custom fields: defined once, kept by each record, changed one by one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

INDUSTRY, LOYALTY = 201, 202


def save(halo: httpx.Client, resource: str, **fields: Any) -> dict[str, Any]:
    answer = halo.post(f"/{resource}", json=[fields])
    assert answer.status_code == 201, answer.text
    saved: dict[str, Any] = answer.json()
    return saved


def values(record: dict[str, Any]) -> dict[str, Any]:
    return {field["name"]: field["value"] for field in record["customfields"]}


def test_definitions_are_listed(halo: httpx.Client) -> None:
    found = halo.get("/FieldInfo", params={"iscustomfieldsetup": "true"}).json()
    assert {"id": INDUSTRY, "name": "CFIndustry", "label": "Industry", "usage": 2} in found


def test_a_write_changes_what_it_carries_by_id_or_name_and_leaves_the_rest(halo: httpx.Client) -> None:
    first = save(halo, "Client", name="Acme", customfields=[{"id": INDUSTRY, "value": "Food"}])
    save(halo, "Client", id=first["id"], customfields=[{"name": "cfloyalty", "value": "77"}])
    save(halo, "Client", id=first["id"], notes="Key account")
    record = halo.get(f"/Client/{first['id']}").json()
    assert values(record) == {"CFIndustry": "Food", "CFLoyalty": "77"}


def test_one_that_is_not_defined_is_ignored_without_a_word(halo: httpx.Client) -> None:
    sent = [{"id": 999, "value": "x"}, {"name": "CFNope", "value": "x"}, {"value": "x"}]
    assert save(halo, "Client", name="Acme", customfields=sent)["customfields"] == []


def test_a_quotes_lines_keep_theirs_by_their_ids(halo: httpx.Client) -> None:
    deal = save(halo, "Opportunities", summary="Deal", tickettype_id=6, client_id=11, site_id=21)
    line = {"name": "Laptop", "quantity": 1, "price": 5, "customfields": [{"id": INDUSTRY, "value": "Food"}]}
    quote = save(
        halo, "Quotation", ticket_id=deal["id"], lines=[line, {"name": "Bag", "quantity": 1, "price": 1}]
    )
    kept, other = quote["lines"]
    later = save(
        halo, "Quotation", id=quote["id"], lines=[{"id": other["id"]}, {"id": kept["id"], "quantity": 2}]
    )
    assert [values(one) for one in later["lines"] if "customfields" in one] == [{"CFIndustry": "Food"}]
    assert later["lines"][1]["id"] == kept["id"]
