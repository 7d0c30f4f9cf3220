"""Fetches one file over https from where it may come, and gives its bytes only if they are those that were meant.

    FileUnreachable     it could not be had now; a later try may
    kinds.base.Refused  it must not be had from there, or is not what the event says: trying again can't help

A name is resolved once for each request, every address that it leads to is checked, and the connection goes to a
checked one: a name that leads elsewhere a moment later changes nothing. The certificate must be the name's.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import socket
import threading
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from urllib.parse import urljoin

import httpx

from schemas.commands import FileSource
from services.halo_writer.file_rules import IpAddress, check_addresses, locate
from services.halo_writer.kinds.base import Refused

PORT = 443
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_MOST_ADDRESSES = 4
_MAX_LOCATION = 8_000
_MOST_LOOKUPS = 32

Resolve = Callable[[str], Awaitable[Sequence[IpAddress]]]
"""The addresses that a host name leads to, best first. Raises OSError."""


class FileUnreachable(Exception):
    """The file could not be had; its text says why, without the address."""


@dataclass(frozen=True)
class Patience:
    """Seconds: for a connection, for each read, and for a whole fetch with its redirects."""

    connect_s: float = 5.0
    read_s: float = 15.0
    total_s: float = 60.0


class Fetcher:
    """`transport` makes what carries one request and is closed after it: no connection serves a second name.

    It is handed an address for a host, and two extensions: `sni_hostname`, the name to prove by the certificate, and
    `target`, the path with its query.
    """

    def __init__(
        self,
        resolve: Resolve,
        transport: Callable[[], httpx.AsyncBaseTransport],
        patience: Patience | None = None,
    ) -> None:
        self._resolve = resolve
        self._transport = transport
        self.patience = patience or Patience()

    async def fetch(self, file: FileSource, hosts: Collection[str]) -> bytearray:
        """The file's bytes, of the size and hash that it is said to have. Raises FileUnreachable, Refused."""
        try:
            async with asyncio.timeout(self.patience.total_s):
                return await self._fetched(file, hosts)
        except TimeoutError:
            raise FileUnreachable(f"it was not whole within {self.patience.total_s:g} s") from None
        except (httpx.HTTPError, httpx.StreamError, OSError) as error:
            raise FileUnreachable(_why(error)) from None

    async def _fetched(self, file: FileSource, hosts: Collection[str]) -> bytearray:
        url = file.url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._asked(url, file, hosts)
            if not isinstance(answer, str):
                return answer
            url = answer
        raise FileUnreachable(f"it was redirected more than {_MOST_REDIRECTS} times")

    async def _asked(self, url: str, file: FileSource, hosts: Collection[str]) -> bytearray | str:
        """The bytes, or the address where they are said to be instead."""
        location = locate(url, hosts)
        addresses = (await self._resolve(location.host))[:_MOST_ADDRESSES]
        if not addresses:
            raise FileUnreachable(f"{location.host} has no address")
        check_addresses(location.host, addresses)
        async with self._transport() as transport:
            response = await self._connected(transport, location.host, location.target, addresses)
            try:
                if response.status_code in _REDIRECTS and "location" in response.headers:
                    return _redirected(url, response.headers["location"])
                return await _body(response, file)
            finally:
                await response.aclose()

    async def _connected(
        self, transport: httpx.AsyncBaseTransport, host: str, target: str, addresses: Sequence[IpAddress]
    ) -> httpx.Response:
        """The answer of the first address that takes a connection. Raises httpx.HTTPError."""
        *others, last = addresses
        for address in others:
            try:
                return await transport.handle_async_request(self._request(host, target, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await transport.handle_async_request(self._request(host, target, last))

    def _request(self, host: str, target: str, address: IpAddress) -> httpx.Request:
        timeout = httpx.Timeout(self.patience.read_s, connect=self.patience.connect_s)
        return httpx.Request(
            "GET",
            httpx.URL(scheme="https", host=str(address), port=PORT),
            headers={
                "Host": host,
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "Connection": "close",
                "User-Agent": "halo-hub",
            },
            # As it is written: in the URL its dots would be resolved and its signs encoded, and a signature lost.
            extensions={
                "timeout": timeout.as_dict(),
                "sni_hostname": host,
                "target": target.encode("ascii"),
            },
        )


async def _body(response: httpx.Response, file: FileSource) -> bytearray:
    if response.status_code != httpx.codes.OK:
        raise FileUnreachable(f"its host answered {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise FileUnreachable("its host sends it compressed, unasked")
    declared = response.headers.get("content-length")
    if declared is not None and declared != str(file.size):
        raise _changed(f"its host offers {declared[:20]} bytes", file)
    digest, content = hashlib.sha256(), bytearray()
    async for chunk in response.aiter_raw():
        if len(content) + len(chunk) > file.size:
            raise _changed("its host sends more", file)
        digest.update(chunk)
        content += chunk
    if len(content) < file.size:
        raise FileUnreachable(f"it ended after {len(content)} of {file.size} bytes")
    if digest.hexdigest() != file.sha256:
        raise _changed(f"there lies another content, of the hash {digest.hexdigest()}", file)
    return content


def _changed(found: str, file: FileSource) -> Refused:
    return Refused(
        "file.changed",
        f"the file is not what the event says ({file.size} bytes, {file.sha256}): {found}",
        "let the producer publish it again with the hash and size of what lies there",
    )


def _redirected(url: str, location: str) -> str:
    if len(location) > _MAX_LOCATION:
        raise FileUnreachable(f"it was redirected to an address of {len(location)} characters")
    try:
        return urljoin(url, location)
    except ValueError:
        raise FileUnreachable("it was redirected to what is no address") from None


def _why(error: Exception) -> str:
    """What went wrong, in words that hold no part of an address: it may be signed."""
    match error:
        case httpx.TimeoutException():
            return "its host didn't answer in time"
        case httpx.ConnectError():
            return "no secure connection to its host could be made"
        case socket.gaierror():
            return "its host's name could not be resolved"
        case _:
            return f"the connection failed ({type(error).__name__})"


class SystemNames:
    """The machine's own resolver, in threads of its own: a name server that hangs delays no other look-up.

    The threads end with the process; at most so many hang at a time.
    """

    def __init__(self) -> None:
        self._free = threading.BoundedSemaphore(_MOST_LOOKUPS)

    async def __call__(self, host: str) -> Sequence[IpAddress]:
        if not self._free.acquire(blocking=False):
            raise FileUnreachable("the name server is slow to answer")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Sequence[IpAddress]] = loop.create_future()

        def tell(found: Sequence[IpAddress] | OSError) -> None:
            if answer.done():
                return
            if isinstance(found, OSError):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        def look() -> None:
            found: Sequence[IpAddress] | OSError
            try:
                found = _looked_up(host)
            except OSError as error:
                found = error
            finally:
                self._free.release()
            try:
                loop.call_soon_threadsafe(tell, found)
            except RuntimeError:
                # The loop has ended, and whoever asked with it.
                return

        threading.Thread(target=look, name="file host", daemon=True).start()
        return await answer


def _looked_up(host: str) -> Sequence[IpAddress]:
    rows = socket.getaddrinfo(host, PORT, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(ipaddress.ip_address(row[4][0]) for row in rows))
