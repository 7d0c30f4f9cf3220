"""The HaloPSA client: reads, pages, writes and deletes by resource.

A write is a POST of an array, mostly of one element: with `id` it updates just the fields that it carries, without
it creates, and Halo never de-duplicates.
"""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx

from halo import arrays, wire
from halo.connection import Connection
from halo.errors import ReadFailed
from halo.outcomes import Outcome
from halo.paging import Row, is_last_page, page_query, record_count, rows_of
from halo.reply import Reply
from halo.resources import AGENT, Resource
from halo.transport import MAX_BODY_BYTES, Gate, HaloTransport

Filter = str | int | bool | None


class Login(StrEnum):
    """Whether Halo still knows us."""

    GOOD = "good"  # so a 401 elsewhere is a missing right
    LOST = "lost"  # nothing will work until a person looks
    UNKNOWN = "unknown"  # Halo could not be asked


@dataclass(frozen=True, slots=True)
class Probe:
    login: Login
    reply: Reply


class HaloClient:
    """Talks to one Halo instance; a request ends in a `Reply`, or in `GateClosed` when the gate says no.

    `http` may be shared by many clients: no cookie, header or redirect setting of it reaches a request.
    `timeout_s` is the total time of one exchange, answer included.
    """

    def __init__(
        self,
        connection: Connection,
        http: httpx.AsyncClient,
        gate: Gate,
        *,
        clock: Callable[[], float] = time.monotonic,
        timeout_s: float = 30.0,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._transport = HaloTransport(
            connection, http, gate, clock=clock, timeout_s=timeout_s, max_body_bytes=max_body_bytes
        )

    async def get(
        self, resource: Resource, record_id: int | str | None = None, *, details: bool = True
    ) -> Reply:
        """One record, by default with its nested objects; no id reads a resource that is a single record."""
        query = {"includedetails": "true"} if details else None
        return await self._transport.request("GET", _path(resource, record_id), query=query)

    async def list_page(
        self, resource: Resource, page_no: int = 1, page_size: int = 100, **filters: Filter
    ) -> Reply:
        """One page of a list as Halo wraps it; a resource without paging answers its whole list."""
        paging = page_query(page_no, page_size) if resource.paged else {}
        return await self._transport.request("GET", resource.path, query={**_texts(filters), **paging})

    async def list_all(
        self, resource: Resource, page_size: int = 100, **filters: Filter
    ) -> AsyncIterator[list[Row]]:
        """Every page of a list, as rows; raises `ReadFailed` rather than end early."""
        page_no, seen, previous = 0, 0, None
        while True:
            page_no += 1
            reply = await self.list_page(resource, page_no, page_size, **filters)
            rows = rows_of(resource, reply.body) if reply.ok else None
            if rows is None:
                raise ReadFailed(f"page {page_no} of {resource.name}", reply)
            # A Halo that ignores page numbers would repeat its first page for ever.
            if rows == previous:
                return
            yield rows
            previous, seen = rows, seen + len(rows)
            total = record_count(reply.body)
            if not resource.paged or is_last_page(
                rows=len(rows), seen=seen, page_size=page_size, total=total
            ):
                return

    async def post(self, resource: Resource, element: Row) -> Reply:
        """Creates (no `id`) or updates one record; the body of an APPLIED reply is the saved record."""
        reply = await self._transport.request("POST", resource.path, content=wire.encode([element]))
        if not reply.ok:
            return reply
        record = _single(reply.body)
        if record is None:
            return reply.as_ambiguous("the answer to the write is not one record")
        return replace(reply, body=record)

    async def post_many(self, resource: Resource, elements: Sequence[Row]) -> list[Reply]:
        """Creates or updates several records in one request: one reply for each element, in their order.

        An element is APPLIED only when the answer tells its record; what Halo refuses or leaves open is AMBIGUOUS for
        each. Raises ValueError when two elements name one record, whose states could then not be told apart.
        """
        if len(elements) == 1:
            return [await self.post(resource, elements[0])]
        ids = [element["id"] for element in elements if "id" in element]
        if len(set(ids)) < len(ids):
            raise ValueError(f"an array names a {resource.name} twice")
        reply = await self._transport.request("POST", resource.path, content=wire.encode(list(elements)))
        return arrays.of_elements(reply, elements)

    async def delete(self, resource: Resource, record_id: int | str) -> Reply:
        return await self._transport.request("DELETE", _path(resource, record_id))

    async def whoami(self) -> Reply:
        """The agent that the application signs in as."""
        return await self._transport.request("GET", f"{AGENT.path}/me")

    async def probe(self) -> Probe:
        """Tells a lost login from a missing right after a 401, by one cheap read that every agent may do."""
        reply = await self.whoami()
        match reply.outcome:
            case Outcome.APPLIED | Outcome.DENIED:
                return Probe(Login.GOOD, reply)
            case Outcome.UNAUTHORISED:
                return Probe(Login.LOST, reply)
            case _:
                return Probe(Login.UNKNOWN, reply)


def _path(resource: Resource, record_id: int | str | None) -> str:
    return resource.path if record_id is None else f"{resource.path}/{quote(str(record_id), safe='')}"


def _texts(filters: dict[str, Filter]) -> dict[str, str]:
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in filters.items()
        if value is not None
    }


def _single(body: Any) -> Row | None:
    record = body[0] if isinstance(body, list) and len(body) == 1 else body
    return record if isinstance(record, dict) else None
