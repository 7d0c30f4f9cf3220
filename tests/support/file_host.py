"""A file host on this machine: https with an authority of its own, and the ways in which a host can be strange.

The product connects to checked public addresses alone. Here names lead to such addresses, and a connection to one is
led to this server: `dialled` says where the product wanted to go, and which name it wanted proven.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import ssl
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from services.halo_writer.fetch import Fetcher, Patience
from services.halo_writer.file_rules import IpAddress

HOST = "files.quoter.example"
CDN = "cdn.quoter.example"
OUTSIDE = "elsewhere.example"
PUBLIC = "93.184.216.34"


@dataclass(frozen=True)
class Authority:
    """Files in PEM: a certificate authority, and a host's certificate (for `HOST` and `CDN`) with its key."""

    ca: Path
    certificate: Path
    key: Path


def make_authority(directory: Path) -> Authority:
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    key, request, certificate = directory / "host.key", directory / "host.csr", directory / "host.pem"
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _run(*new, "-x509", "-days", "2", "-subj", "/CN=file tests", "-keyout", str(ca_key), "-out", str(ca))
    _run(*new, "-subj", "/CN=host", "-keyout", str(key), "-out", str(request))
    names = directory / "names"
    names.write_text(f"subjectAltName=DNS:{HOST},DNS:{CDN}\n")
    sign = ["openssl", "x509", "-req", "-days", "2", "-CA", str(ca), "-CAkey", str(ca_key), "-CAcreateserial"]
    _run(*sign, "-in", str(request), "-extfile", str(names), "-out", str(certificate))
    return Authority(ca, certificate, key)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@dataclass
class Answer:
    """What a path answers. `pause_s` comes before each of `pieces`; the connection ends after the last."""

    pieces: Sequence[bytes] = (b"",)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    length: int | None = None

    @property
    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.length is not None:
            lines.append(f"Content-Length: {self.length}")
        return ("\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").encode()


@dataclass
class FileHost:
    """`files` by path with query; `asked` are the requests that came, as (host, path); `names` is its name service."""

    authority: Authority
    files: dict[str, Answer] = field(default_factory=dict)
    names: dict[str, Sequence[str]] = field(default_factory=lambda: {HOST: [PUBLIC], CDN: [PUBLIC]})
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    dialled: list[tuple[str, str]] = field(default_factory=list)
    looked_up: list[str] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)
    port: int = 0

    def put(self, path: str, content: bytes, **how: object) -> None:
        self.files[path] = Answer((content,), length=len(content), **how)  # type: ignore[arg-type]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[FileHost]:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(self.authority.certificate, self.authority.key)
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    def fetcher(self, patience: Patience | None = None, *, trusted: bool = True) -> Fetcher:
        """The product's fetcher, whose name service and way out end here."""
        tls = ssl.create_default_context(cafile=self.authority.ca if trusted else None)
        return Fetcher(self.resolve, lambda: _Detour(self, tls), patience)

    async def resolve(self, host: str) -> list[IpAddress]:
        self.looked_up.append(host)
        if host not in self.names:
            raise OSError(f"{host} is not known")
        return [ipaddress.ip_address(address) for address in self.names[host]]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            path = head[0].split()[1]
            self.asked.append((headers.get("host", ""), path))
            self.headers.append(headers)
            answer = self.files.get(path, Answer(status=404, length=0))
            writer.write(answer.head)
            for piece in answer.pieces:
                await asyncio.sleep(answer.pause_s)
                writer.write(piece)
                await writer.drain()
        writer.close()


class _Detour(httpx.AsyncBaseTransport):
    """Notes where a connection was to go, and makes it to the file host instead; the name to prove stays as it is."""

    def __init__(self, host: FileHost, tls: ssl.SSLContext) -> None:
        self._host = host
        self._inner = httpx.AsyncHTTPTransport(verify=tls, trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._host.dialled.append((request.url.host, request.extensions["sni_hostname"]))
        if request.url.host in self._host.refusing:
            raise httpx.ConnectError("refused")
        request.url = request.url.copy_with(host="127.0.0.1", port=self._host.port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
