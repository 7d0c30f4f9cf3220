"""Resources as Halo wants them asked for: arrays of one, pages to the end, details, the acting agent."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from halo import RESOURCES, Login, Outcome, ReadFailed, Resource, record_count, rows_of
from halo import resources as r
from halo.paging import is_last_page
from tests.unit.halo.support import FakeHalo, body_of


def asked(request: httpx.Request) -> tuple[str, str, dict[str, str]]:
    return request.method, request.url.path, dict(request.url.params)


async def pages_of(
    halo: FakeHalo, resource: Resource, page_size: int = 100, **filters: Any
) -> list[list[Any]]:
    return [page async for page in halo.client().list_all(resource, page_size, **filters)]


class Table:
    """A list endpoint over `total` rows that pages only when asked in Halo's spelling."""

    def __init__(
        self, total: int, *, key: str | None = "clients", cap: int = 1000, counted: bool = True
    ) -> None:
        self.rows = [{"id": n} for n in range(1, total + 1)]
        self.key, self.cap, self.counted = key, cap, counted

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = request.url.params
        rows = self.rows[: self.cap]
        if query.get("pageinate") == "true":
            size = min(int(query["page_size"]), self.cap)
            start = (int(query["page_no"]) - 1) * size
            rows = self.rows[start : start + size]
        body: Any = rows
        if self.key is not None:
            body = {self.key: rows}
            if self.counted:
                body["record_count"] = len(self.rows)
        return httpx.Response(200, json=body)


@pytest.mark.feature("hub.paging", part="halo client")
@pytest.mark.parametrize(
    "resource", [resource for resource in RESOURCES if resource.paged], ids=lambda res: res.name
)
async def test_every_list_that_pages_is_asked_for_with_pageinate(resource: Resource) -> None:
    halo = FakeHalo(Table(3, key=resource.list_key))
    assert await pages_of(halo, resource) == [[{"id": 1}, {"id": 2}, {"id": 3}]]
    assert asked(halo.requests[0]) == (
        "GET",
        f"/api/{resource.name}",
        {"pageinate": "true", "page_size": "100", "page_no": "1"},
    )


@pytest.mark.feature("hub.paging", part="halo client")
async def test_a_list_longer_than_halos_silent_cut_is_read_whole() -> None:
    halo = FakeHalo(Table(2345))
    pages = await pages_of(halo, r.CLIENT)
    assert [row["id"] for page in pages for row in page] == list(range(1, 2346))
    assert len(halo.requests) == 24


@pytest.mark.feature("hub.paging", part="halo client")
@pytest.mark.parametrize(
    "resource", [resource for resource in RESOURCES if not resource.paged], ids=lambda res: res.name
)
async def test_a_list_that_does_not_page_is_one_request_without_paging(resource: Resource) -> None:
    halo = FakeHalo(Table(250, key=resource.list_key))
    (page,) = await pages_of(halo, resource)
    assert len(page) == 250
    assert asked(halo.requests[0]) == ("GET", f"/api/{resource.name}", {})


@given(
    total=st.integers(0, 60),
    page_size=st.integers(1, 20),
    cap=st.integers(1, 25),
    counted=st.booleans(),
    bare=st.booleans(),
)
async def test_paging_reads_every_row_once_and_ends(
    total: int, page_size: int, cap: int, counted: bool, bare: bool
) -> None:
    if bare or not counted:
        cap = max(cap, page_size)
    halo = FakeHalo(Table(total, key=None if bare else "clients", cap=cap, counted=counted))
    pages = await pages_of(halo, r.CLIENT, page_size)
    assert [row["id"] for page in pages for row in page] == list(range(1, total + 1))
    assert len(halo.requests) <= total // min(page_size, cap) + 1


async def test_a_full_last_page_of_a_counted_list_needs_no_further_request() -> None:
    halo = FakeHalo(Table(200))
    await pages_of(halo, r.CLIENT)
    assert len(halo.requests) == 2


@pytest.mark.parametrize("key", [None, "clients"])
async def test_a_halo_that_ignores_page_numbers_does_not_repeat_for_ever(key: str | None) -> None:
    rows = [{"id": n} for n in range(100)]
    halo = FakeHalo(lambda request: httpx.Response(200, json=rows if key is None else {key: rows}))
    assert await pages_of(halo, r.CLIENT) == [rows]
    assert len(halo.requests) == 2


async def test_filters_are_sent_and_unset_ones_left_out() -> None:
    halo = FakeHalo(Table(0))
    await pages_of(
        halo, r.QUOTATION, ticket_id=7, includelines=True, open=False, search="a&b", client_id=None
    )
    assert asked(halo.requests[0])[2] == {
        "ticket_id": "7",
        "includelines": "true",
        "open": "false",
        "search": "a&b",
        "pageinate": "true",
        "page_size": "100",
        "page_no": "1",
    }


@pytest.mark.feature("hub.paging", part="halo client")
@pytest.mark.parametrize(
    "bad", [httpx.Response(500), httpx.Response(200, text="[{"), httpx.Response(200, json={"a": 1})]
)
async def test_a_page_that_fails_ends_the_read_with_an_error_and_not_with_fewer_rows(
    bad: httpx.Response,
) -> None:
    table = Table(150)
    halo = FakeHalo(lambda request: bad if request.url.params["page_no"] == "2" else table(request))
    read = halo.client().list_all(r.CLIENT)
    assert len(await anext(read)) == 100
    with pytest.raises(ReadFailed, match="page 2 of Client") as failed:
        await anext(read)
    assert failed.value.reply.status == bad.status_code


@pytest.mark.parametrize(
    ("resource", "body", "rows"),
    [
        (r.CLIENT, {"record_count": 1, "clients": [{"id": 1}]}, [{"id": 1}]),
        (r.CLIENT, [{"id": 1}], [{"id": 1}]),
        (r.AGENT, {"results": [{"id": 1}]}, [{"id": 1}]),
        (r.AGENT, [{"id": 1}], [{"id": 1}]),
        (r.OPPORTUNITIES, {"record_count": 1, "tickets": [{"id": 1}], "columns": []}, [{"id": 1}]),
        (r.CLIENT, {"record_count": 0}, []),
        (r.CLIENT, {"record_count": 3}, None),
        (r.CLIENT, {"a": [], "b": []}, None),
        (r.CLIENT, {"clients": None}, None),
        (r.CLIENT, {"clients": [1]}, None),
        (r.CLIENT, "text", None),
        (r.CLIENT, None, None),
    ],
)
def test_rows_are_found_in_wrappers_and_bare_arrays(resource: Resource, body: Any, rows: Any) -> None:
    assert rows_of(resource, body) == rows


@pytest.mark.parametrize(
    ("body", "count"), [({"record_count": 5}, 5), ({}, None), ([], None), ({"record_count": True}, None)]
)
def test_the_record_count_is_taken_where_it_is_given(body: Any, count: int | None) -> None:
    assert record_count(body) == count


def test_a_short_page_does_not_end_a_list_that_is_counted_longer() -> None:
    assert not is_last_page(rows=50, seen=50, page_size=100, total=120)
    assert is_last_page(rows=50, seen=50, page_size=100, total=None)
    assert is_last_page(rows=0, seen=50, page_size=100, total=120)


async def test_a_record_is_read_with_its_details_unless_told_otherwise() -> None:
    halo = FakeHalo(lambda request: httpx.Response(200, json={"id": 3, "price": 0.1}))
    client = halo.client()
    reply = await client.get(r.ITEM, 3)
    await client.get(r.ITEM, 3, details=False)
    await client.get(r.CONTROL, details=False)
    assert reply.body == {"id": 3, "price": Decimal("0.1")}
    assert [asked(request)[1:] for request in halo.requests] == [
        ("/api/Item/3", {"includedetails": "true"}),
        ("/api/Item/3", {}),
        ("/api/Control", {}),
    ]


async def test_an_id_can_not_leave_its_place_in_the_path() -> None:
    halo = FakeHalo()
    await halo.client().get(r.ITEM, "../Agent?x=1", details=False)
    assert halo.requests[0].url.raw_path == b"/api/Item/..%2FAgent%3Fx%3D1"


async def test_an_absent_record_is_told_from_other_refusals() -> None:
    halo = FakeHalo(lambda request: httpx.Response(404))
    reply = await halo.client().get(r.ITEM, 3)
    assert reply.not_found
    assert not reply.ok


async def test_a_write_posts_an_array_of_one_with_exact_numbers() -> None:
    halo = FakeHalo(lambda request: httpx.Response(201, json={"id": 9}))
    reply = await halo.client().post(r.ITEM, {"name": "a", "baseprice": Decimal("19.90")})
    request = halo.requests[0]
    assert (request.method, str(request.url)) == ("POST", "https://acme.halopsa.com/api/Item")
    assert request.headers["content-type"] == "application/json"
    assert request.content == b'[{"name":"a","baseprice":19.90}]'
    assert body_of(request) == [{"name": "a", "baseprice": 19.9}]
    assert (reply.outcome, reply.body) == (Outcome.APPLIED, {"id": 9})


async def test_an_answer_to_a_write_may_be_an_array_of_one() -> None:
    halo = FakeHalo(lambda request: httpx.Response(201, json=[{"id": 9}]))
    assert (await halo.client().post(r.ITEM, {})).body == {"id": 9}


@pytest.mark.parametrize("answer", [[], [{"id": 1}, {"id": 2}], "saved", 7, None, [None]])
async def test_an_answer_to_a_write_that_is_not_one_record_is_ambiguous(answer: Any) -> None:
    halo = FakeHalo(lambda request: httpx.Response(201, content=json.dumps(answer)))
    reply = await halo.client().post(r.ITEM, {})
    assert (reply.outcome, reply.status) == (Outcome.AMBIGUOUS, 201)
    assert "not one record" in reply.text
    assert [line.outcome for line in reply.lines] == [Outcome.AMBIGUOUS]


async def test_a_delete_needs_no_body_in_its_answer() -> None:
    halo = FakeHalo(lambda request: httpx.Response(200))
    reply = await halo.client().delete(r.ITEM, 9)
    assert reply.ok
    assert asked(halo.requests[0]) == ("DELETE", "/api/Item/9", {})


@pytest.mark.parametrize(
    ("status", "login"),
    [(200, Login.GOOD), (403, Login.GOOD), (401, Login.LOST), (500, Login.UNKNOWN), (429, Login.UNKNOWN)],
)
async def test_a_probe_tells_a_lost_login_from_a_missing_right(status: int, login: Login) -> None:
    halo = FakeHalo(lambda request: httpx.Response(status, json={"id": 3}))
    probe = await halo.client().probe()
    assert (probe.login, probe.reply.status) == (login, status)
    assert halo.requests[0].url.path == "/api/Agent/me"


async def test_a_refused_token_is_a_lost_login_and_an_unreachable_one_is_not() -> None:
    refused = await FakeHalo(token=lambda request: httpx.Response(401)).client().probe()
    unreachable = await FakeHalo(token=lambda request: httpx.Response(503)).client().probe()
    assert (refused.login, unreachable.login) == (Login.LOST, Login.UNKNOWN)


def test_the_table_of_resources_is_sound() -> None:
    assert len({resource.name for resource in RESOURCES}) == len(RESOURCES)
    tables = [resource.link_table for resource in RESOURCES if resource.link_table is not None]
    assert len(set(tables)) == len(tables)
    assert {name: getattr(r, name) for name in ("CLIENT", "QUOTATION")}[
        "QUOTATION"
    ].edit_scope == "edit:quotes"
    assert (r.SITE.read_scope, r.USERS.read_scope, r.STATUS.read_scope) == (
        "read:customers",
        "read:customers",
        None,
    )
    assert {value.name for value in vars(r).values() if isinstance(value, Resource)} == {
        x.name for x in RESOURCES
    }
