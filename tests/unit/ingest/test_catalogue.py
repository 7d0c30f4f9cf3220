"""Reading one kind whole: nothing is called complete that may have a hole."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, TypeVar

import httpx
import pytest

from halo import Connection, HaloClient, ReadFailed, Secret
from schemas.halo_events import HaloClient as HaloClientEvent
from schemas.halo_events import HaloReference, ReadCompleted
from services.ingest import halo_rows
from services.ingest.catalogue import LookupMissing, Reader, ReadUnstable, Seen
from services.ingest.halo_rows import RowUnreadable

Answer = Callable[[httpx.Request], Any]
Data = TypeVar("Data")


class OpenGate:
    async def admit(self, method: str, path: str, timeout_s: float) -> None:
        pass

    def throttled(self, retry_after_s: float | None) -> None:
        pass


class FakeLog:
    def __init__(self) -> None:
        self.events: list[Seen] = []

    async def append_seen(self, events: Sequence[Seen]) -> None:
        self.events += events

    def data(self, kind: type[Data]) -> list[Data]:
        return [seen.data for seen in self.events if isinstance(seen.data, kind)]


def reader(log: FakeLog, answer: Answer) -> Reader:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        found = answer(request)
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    connection = Connection(
        "https://acme.example/api", "https://acme.example/auth", "id", Secret("secret"), None, ("all",)
    )
    client = HaloClient(connection, httpx.AsyncClient(transport=httpx.MockTransport(respond)), OpenGate())
    clock = itertools.count(100.0)
    return Reader(client, log, tenant="acme", instance="acme.example", now=lambda: next(clock))


class PagedClients:
    """A list of clients that others may change while it is paged: `during` runs before each page is answered."""

    def __init__(self, count: int, during: Callable[[list[int], int], None] = lambda ids, page: None) -> None:
        self.ids = list(range(1, count + 1))
        self._during = during

    def __call__(self, request: httpx.Request) -> Any:
        size, page = int(request.url.params["page_size"]), int(request.url.params["page_no"])
        if size > 1:
            self._during(self.ids, page)
        chosen = self.ids[(page - 1) * size : page * size]
        return {"record_count": len(self.ids), "clients": [{"id": id_, "name": f"c{id_}"} for id_ in chosen]}


async def test_every_record_is_an_event_and_the_end_says_how_many() -> None:
    log = FakeLog()
    assert await reader(log, PagedClients(250)).read("client", "r1") == 250
    assert [client.id for client in log.data(HaloClientEvent)] == list(range(1, 251))
    (end,) = log.data(ReadCompleted)
    assert (end.kind, end.read_id, end.count) == ("client", "r1", 250)
    assert log.events[-1].data is end
    assert {seen.envelope.source for seen in log.events} == {"/halo/acme.example"}
    assert all(seen.envelope.time.timestamp() >= end.started_at for seen in log.events)


async def test_a_list_that_shrank_while_it_was_paged_is_read_again_under_another_id() -> None:
    deleted: list[int] = []

    def delete_once(ids: list[int], page: int) -> None:
        if page == 2 and not deleted:
            deleted.append(ids.pop(0))

    log = FakeLog()
    assert await reader(log, PagedClients(150, delete_once)).read("client", "r1") == 149
    (end,) = log.data(ReadCompleted)
    whole = {client.id for client in log.data(HaloClientEvent) if client.read_id == end.read_id}
    assert whole == set(range(2, 151)), "also the one that moved to a page already read"


async def test_a_list_that_never_holds_still_is_never_called_complete() -> None:
    def delete_each_time(ids: list[int], page: int) -> None:
        if page == 2:
            del ids[0]

    log = FakeLog()
    with pytest.raises(ReadUnstable):
        await reader(log, PagedClients(150, delete_each_time)).read("client", "r1")
    assert log.data(ReadCompleted) == []


async def test_a_page_that_fails_leaves_the_read_incomplete() -> None:
    log = FakeLog()
    paged = PagedClients(150)

    def answer(request: httpx.Request) -> Any:
        return httpx.Response(500) if request.url.params.get("page_no") == "2" else paged(request)

    with pytest.raises(ReadFailed):
        await reader(log, answer).read("client", "r1")
    assert log.data(ReadCompleted) == []


async def test_a_row_without_an_id_leaves_the_read_incomplete() -> None:
    log = FakeLog()
    with pytest.raises(RowUnreadable):
        await reader(log, lambda request: {"record_count": 1, "clients": [{"name": "?"}]}).read(
            "client", "r1"
        )
    assert log.data(ReadCompleted) == []


async def test_code_lists_are_found_by_name_whatever_their_number() -> None:
    def answer(request: httpx.Request) -> Any:
        if request.url.params["lookupid"] == "11":
            return [{"id": 63, "name": "quote STATUS "}, {"id": 27, "name": "Billing period"}]
        return [{"id": 0, "name": "Draft"}, {"id": 3, "name": "Accepted"}]

    log = FakeLog()
    assert await reader(log, answer).read("quote_status", "r1") == 2
    (reference,) = log.data(HaloReference)
    assert [(row.id, row.name) for row in reference.rows] == [(0, "Draft"), (3, "Accepted")]
    with_region = FakeLog()
    assert await reader(with_region, answer).read("region", "r2") == 0
    assert with_region.data(HaloReference)[0].rows == ()


async def test_a_code_list_that_is_not_there_is_not_an_empty_one() -> None:
    log = FakeLog()
    with pytest.raises(LookupMissing, match="Quote status"):
        await reader(log, lambda request: [{"id": 1, "name": "Other"}]).read("quote_status", "r1")
    assert log.events == []


async def test_the_same_sight_in_the_same_read_is_the_same_event() -> None:
    first, second = FakeLog(), FakeLog()
    await reader(first, PagedClients(3)).read("client", "r1")
    await reader(second, PagedClients(3)).read("client", "r1")
    assert [seen.envelope.id for seen in first.events[:3]] == [seen.envelope.id for seen in second.events[:3]]


def test_ids_typed_as_floats_and_left_out_fields_are_read() -> None:
    user = halo_rows.user({"id": Decimal("31.0"), "client_id": Decimal("11.0"), "site_id": 0}, "r1")
    assert (user.id, user.client_id, user.site_id, user.name) == (31, 11, None, "")


@pytest.mark.fault("F42")
@pytest.mark.parametrize("number", [2**31, -(2**31), 10**20, Decimal("1e30")])
def test_an_id_that_no_store_holds_makes_its_list_unreadable(number: int | Decimal) -> None:
    """On the log such a record ended the writer's process at each start, and with it every tenant's."""
    with pytest.raises(RowUnreadable):
        halo_rows.client({"id": number, "name": "Odd"}, "r")
    assert halo_rows.user({"id": 1, "name": "Odd", "client_id": number}, "r").client_id is None
    assert halo_rows.reference({"id": number, "name": "Odd"}).id == 0
