"""POSTs of several elements: each reading of what Halo may do with them."""

from typing import Any

import httpx
import pytest

from tests.sandbox.server import Sandbox

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")

BAD: dict[str, Any] = {"accountsid": "no name"}
ARRAY = [{"name": "First"}, BAD, {"name": "Third"}]


def stored(sandbox: Sandbox) -> list[str]:
    return [row["name"] for row in sandbox.state("Client") if row["name"] in {"First", "Second", "Third"}]


def test_a_good_array_is_answered_with_the_saved_records_in_order(halo: httpx.Client) -> None:
    sent = [{"name": "First"}, {"id": 11, "website": "w"}, {"name": "Third"}]
    answer = halo.post("/Client", json=sent)
    assert answer.status_code == 201
    first, second, third = answer.json()
    assert (first["name"], second["id"], second["website"], third["name"]) == ("First", 11, "w", "Third")
    assert first["id"] < third["id"]


@pytest.mark.parametrize(
    ("arrays", "kept"),
    [
        ("partial", ["First"]),
        ("atomic", []),
        ("single_only", []),
        ({"client": "atomic"}, []),
        ({"Item": "atomic"}, ["First"]),
    ],
)
def test_one_bad_element_refuses_the_array_and_keeps_what_the_tenant_keeps(
    sandbox: Sandbox, halo: httpx.Client, arrays: Any, kept: list[str]
) -> None:
    sandbox.configure(arrays=arrays)
    sites = sandbox.counts()["rows"]["Site"]
    answer = halo.post("/Client", json=ARRAY)
    assert answer.status_code == 400
    assert "Message" in answer.json()
    assert stored(sandbox) == kept
    assert sandbox.counts()["rows"]["Site"] == sites + len(kept)
    assert len([one for one in sandbox.requests()[-1]["created"] if one["resource"] == "Client"]) == len(kept)


def test_an_array_that_is_no_good_by_type_stores_nothing_in_any_mode(
    sandbox: Sandbox, halo: httpx.Client
) -> None:
    answer = halo.post("/Client", json=[{"name": "First"}, {"name": "Second", "toplevel_id": "x"}])
    assert (answer.status_code, list(answer.json())) == (400, ["[1].toplevel_id"])
    assert stored(sandbox) == []


def test_single_only_takes_arrays_of_one(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.configure(arrays="single_only")
    assert halo.post("/Client", json=[{"name": "First"}, {"name": "Second"}]).status_code == 400
    assert stored(sandbox) == []
    assert halo.post("/Client", json=[{"name": "First"}]).status_code == 201


def test_the_answer_to_several_can_carry_one_alone(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.configure(array_answer="one")
    answer = halo.post("/Client", json=[{"name": "First"}, {"name": "Second"}])
    assert (answer.status_code, answer.json()["name"]) == (201, "First")
    assert stored(sandbox) == ["First", "Second"]
    assert halo.post("/Client", json=[]).json() == []


@pytest.mark.parametrize(
    "changes", [{"arrays": "some"}, {"arrays": {"Gadget": "atomic"}}, {"array_answer": "none"}]
)
def test_a_mode_that_does_not_exist_is_refused(sandbox: Sandbox, changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="400"):
        sandbox.configure(**changes)
