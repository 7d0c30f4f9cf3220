"""Several records in one request: each is told only what is sure of it, and the request is told as one."""

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo import GateClosed, Outcome, Reply
from halo import resources as r
from halo.arrays import identified
from tests.unit.halo.support import ClosingGate, FakeHalo, body_of

UPDATES = [{"id": 1, "name": "One"}, {"id": 2, "name": "Two"}, {"id": 3, "name": "Three"}]
CREATES = [{"name": "One", "third_party_id": "k1"}, {"name": "Two", "third_party_id": "k2"}]


def answered(status: int, body: Any = None) -> FakeHalo:
    return FakeHalo(lambda request: httpx.Response(status, json=body))


async def sent(halo: FakeHalo, elements: list[dict[str, Any]]) -> list[Reply]:
    return await halo.client().post_many(r.ITEM, elements)


@pytest.mark.feature("beyond.bulk", part="halo client")
async def test_twenty_updates_are_one_request_and_each_has_its_own_record() -> None:
    elements = [{"id": n, "name": f"Item {n}"} for n in range(1, 21)]
    halo = FakeHalo(lambda request: httpx.Response(201, json=list(reversed(body_of(request)))))
    replies = await sent(halo, elements)
    assert len(halo.requests) == 1
    assert body_of(halo.requests[0]) == elements
    assert [(reply.outcome, reply.body) for reply in replies] == [(Outcome.APPLIED, e) for e in elements]


@pytest.mark.feature("beyond.bulk", part="halo client")
async def test_the_request_of_an_array_is_told_to_each_element_and_counts_once() -> None:
    replies = await sent(answered(201, UPDATES), UPDATES)
    lines = [line for reply in replies for line in reply.lines]
    assert [(line.elements, line.place) for line in lines] == [(3, 0), (3, 1), (3, 2)]
    assert sum(line.place == 0 for line in lines) == 1
    single = await answered(201, {"id": 1}).client().post(r.ITEM, {"id": 1})
    assert [(line.elements, line.place) for line in single.lines] == [(1, 0)]


async def test_an_array_of_one_is_a_single_write() -> None:
    halo = answered(400, "no such group")
    (reply,) = await sent(halo, UPDATES[:1])
    assert (reply.outcome, reply.text) == (Outcome.REJECTED, "no such group")


async def test_two_elements_for_one_record_are_never_sent_together() -> None:
    halo = answered(201, [])
    with pytest.raises(ValueError, match="twice"):
        await sent(halo, [UPDATES[0], {"id": 1, "name": "Other"}])
    assert halo.requests == []


async def test_creates_are_told_by_their_place_and_what_their_record_repeats() -> None:
    made = [{"id": 8, "name": "One"}, {"id": 9, "name": "Two"}]
    replies = await sent(answered(201, made), CREATES)
    assert [reply.body for reply in replies] == made


@pytest.mark.parametrize(
    "body",
    [
        [{"id": 9, "name": "Two"}, {"id": 8, "name": "One"}],
        [{"id": 8}, {"id": 9}],
        [{"id": 8, "name": "One"}],
        {"id": 8, "name": "One"},
        [{"id": 8, "name": "One"}, {"id": 8, "name": "Two"}],
        [{"name": "One"}, {"name": "Two"}],
        [{"id": "x", "name": "One"}, {"id": None, "name": "Two"}],
        ["One", "Two"],
        [],
        None,
        7,
    ],
    ids=repr,
)
async def test_creates_whose_records_cannot_be_told_apart_are_ambiguous(body: Any) -> None:
    replies = await sent(answered(201, body), CREATES)
    assert {(reply.outcome, reply.status) for reply in replies} == {(Outcome.AMBIGUOUS, 201)}
    assert all(line.outcome is Outcome.AMBIGUOUS for reply in replies for line in reply.lines)


@pytest.mark.feature("beyond.bulk", part="halo client")
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (UPDATES[0], [True, False, False]),
        ([UPDATES[1]], [False, True, False]),
        ([*UPDATES, {"id": 1}], [False, True, True]),
        ([{"id": "3.0"}, {"id": 1.0}], [True, False, True]),
        ([], [False, False, False]),
        ("saved", [False, False, False]),
    ],
    ids=repr,
)
async def test_an_update_that_the_answer_does_not_tell_is_ambiguous(body: Any, told: list[bool]) -> None:
    """Halo's own description of the answer shows one record, whatever was sent."""
    replies = await sent(answered(201, body), UPDATES)
    assert [reply.ok for reply in replies] == told
    assert all(reply.outcome is Outcome.AMBIGUOUS for reply in replies if not reply.ok)


@pytest.mark.feature("beyond.bulk", part="halo client")
@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 413, 415, 500, 502, 503])
async def test_what_halo_refuses_may_be_stored_in_part(status: int) -> None:
    replies = await sent(answered(status, {"Message": "bad group"}), UPDATES)
    assert {(reply.outcome, reply.status) for reply in replies} == {(Outcome.AMBIGUOUS, status)}
    assert all("bad group" in reply.text for reply in replies)


async def test_a_refusal_without_words_still_says_what_it_was() -> None:
    replies = await sent(FakeHalo(lambda request: httpx.Response(404)), UPDATES)
    assert {reply.text for reply in replies} == {"Halo answered 404 to an array"}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (httpx.ConnectError("refused"), Outcome.NOT_SENT),
        (httpx.Response(429), Outcome.THROTTLED),
        (httpx.ReadTimeout("silence"), Outcome.AMBIGUOUS),
    ],
    ids=repr,
)
async def test_what_surely_did_nothing_keeps_its_meaning(
    answer: httpx.Response | Exception, outcome: Outcome
) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert {reply.outcome for reply in await sent(FakeHalo(handler), UPDATES)} == {outcome}


async def test_a_lost_login_keeps_its_meaning() -> None:
    halo = FakeHalo(token=lambda request: httpx.Response(401))
    assert {(reply.outcome, reply.status) for reply in await sent(halo, UPDATES)} == {
        (Outcome.UNAUTHORISED, None)
    }
    assert halo.requests == []


async def test_a_closed_gate_stops_the_whole_array() -> None:
    halo = FakeHalo()
    with pytest.raises(GateClosed):
        await halo.client(ClosingGate()).post_many(r.ITEM, UPDATES)
    assert halo.requests == []


rows = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abc")}, optional={"id": st.sampled_from([0, 1, 2, 3, 4, "x", None])}
    ),
    max_size=5,
)
elements = st.lists(st.tuples(st.booleans(), st.sampled_from("abc")), min_size=1, max_size=4).map(
    lambda kinds: [
        {"id": place + 1, "name": name} if update else {"name": name}
        for place, (update, name) in enumerate(kinds)
    ]
)


@given(elements, rows)
def test_no_record_is_ever_given_to_two_elements_or_to_the_wrong_one(
    sent_elements: list[dict[str, Any]], body: list[dict[str, Any]]
) -> None:
    found = identified(sent_elements, body)
    assert len(found) == len(sent_elements)
    taken = [row for row in found if row is not None]
    assert len({id(row) for row in taken}) == len(taken)
    for element, row in zip(sent_elements, found, strict=True):
        if row is None:
            continue
        if "id" in element:
            assert row["id"] == element["id"]
        else:
            assert row["name"] == element["name"]
            assert row["id"] not in {one.get("id") for one in sent_elements}
