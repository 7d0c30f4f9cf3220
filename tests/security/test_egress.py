"""The hub talks to the addresses of tenant files and to nobody else, whatever an event or an answer names."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from halo import ConfigurationError, Connection, HaloClient, Outcome, Secret, derive_servers, resolve_servers
from halo.resources import CLIENT
from hub.tenants.load import RulesInvalid, accept, from_text
from schemas.envelope import Envelope
from services.ingest.connection import connection_of
from services.mapper.emit import command_message
from tests.unit.halo.support import OpenGate
from tests.unit.mapper.build import envelope, line, mapped, quote

ROOT = Path(__file__).parents[2]
EVIL = "https://evil.example/steal"
TENANT_FILE = "tenant: acme\nhalo:\n  {halo}\n  client_id: i\n  client_secret: env:S\n"


class Halo:
    """A Halo that answers as told, and remembers who was asked for what."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.answer = answer
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.url.path == "/auth/token" and request.url.host == "acme.example":
            return httpx.Response(200, json={"access_token": "token-of-ours", "expires_in": 3600})
        return self.answer(request)

    @property
    def hosts(self) -> set[str]:
        return {request.url.host for request in self.asked}


async def call(halo: Halo, act: Callable[[HaloClient], Any], **client: Any) -> Any:
    connection = Connection(
        "https://acme.example/api", "https://acme.example/auth", "id", Secret("our-secret"), None, ("all",)
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(halo), **client) as http:
        return await act(HaloClient(connection, http, OpenGate()))


# Redirects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("told_to_follow", [False, True], ids=["", "client would follow"])
async def test_no_redirect_is_followed_and_no_token_goes_where_one_points(
    status: int, told_to_follow: bool
) -> None:
    halo = Halo(lambda _: httpx.Response(status, headers={"location": EVIL}))
    get = await call(halo, lambda client: client.get(CLIENT, 1), follow_redirects=told_to_follow)
    post = await call(
        halo, lambda client: client.post(CLIENT, {"name": "n"}), follow_redirects=told_to_follow
    )
    assert not get.ok
    # Whether the first server did it can't be known: it is looked up, never sent again blindly.
    assert post.outcome is Outcome.AMBIGUOUS
    assert halo.hosts == {"acme.example"}


async def test_a_redirect_of_the_sign_in_takes_no_secret_along() -> None:
    halo = Halo(lambda _: httpx.Response(500))
    connection = Connection(
        "https://acme.example/api", "https://login.example", "id", Secret("our-secret"), None, ("all",)
    )
    halo.answer = lambda _: httpx.Response(307, headers={"location": EVIL})
    async with httpx.AsyncClient(transport=httpx.MockTransport(halo), follow_redirects=True) as http:
        reply = await HaloClient(connection, http, OpenGate()).get(CLIENT, 1)
    assert reply.outcome is Outcome.UNAUTHORISED
    assert "redirect" in reply.text
    assert halo.hosts == {"login.example"}


async def test_addresses_in_an_answer_are_not_gone_to() -> None:
    """Of a page, a link or a next page only ids and numbers count."""
    row = {
        "id": 1,
        "name": "n",
        "url": EVIL,
        "logo": EVIL,
        "next": EVIL,
        "_link": EVIL,
        "@odata.nextLink": EVIL,
    }
    body = {"clients": [row], "record_count": 2, "next": EVIL, "nextLink": EVIL, "links": {"next": EVIL}}
    halo = Halo(
        lambda _: httpx.Response(
            200, json=body, headers={"link": f'<{EVIL}>; rel="next"', "refresh": f"0;url={EVIL}"}
        )
    )

    async def read_all(client: HaloClient) -> list[Any]:
        return [row async for rows in client.list_all(CLIENT) for row in rows]

    assert await call(halo, read_all)
    assert halo.hosts == {"acme.example"}


@pytest.mark.parametrize(
    "id_", ["https://evil.example/", "//evil.example/x", "../../auth/token", "1?x=@evil.example", "1#"]
)
async def test_an_id_is_one_part_of_a_path_whatever_it_holds(id_: str) -> None:
    halo = Halo(lambda _: httpx.Response(404))
    await call(halo, lambda client: client.get(CLIENT, id_))
    assert halo.hosts == {"acme.example"}
    path = halo.asked[-1].url.raw_path.decode().partition("?")[0]
    assert path.startswith("/api/Client/")
    assert "/" not in path.removeprefix("/api/Client/")


async def test_a_cookie_of_one_answer_goes_along_with_no_other_request() -> None:
    halo = Halo(lambda _: httpx.Response(200, json={"id": 1}, headers={"set-cookie": "session=theirs"}))

    async def twice(client: HaloClient) -> None:
        await client.get(CLIENT, 1)
        await client.get(CLIENT, 1)

    await call(halo, twice)
    assert all("cookie" not in request.headers for request in halo.asked)


# Tenant files --------------------------------------------------------------------------------------------------

BAD_ADDRESSES = (
    *("http://acme.example", "ftp://acme.example", "file:///etc/passwd", "gopher://acme.example", "https://"),
    *("http://127.0.0.1.evil.example", "http://localhost.evil.example", "http://0.0.0.0", "http://[::]"),
    *(
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://169.254.169.254",
        "unix:///run/docker.sock",
    ),
    *(
        "https://user:pw@acme.example",
        "https://acme.example@evil.example",
        "https://acme.example\n.evil.example",
    ),
)
LINK_LOCAL = (
    *("https://169.254.169.254", "https://2852039166", "https://0xa9fea9fe", "https://169.254.43518"),
    *("https://[fe80::1]", "https://[::ffff:169.254.169.254]", "https://0251.0376.0251.0376"),
)


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_only_https_or_this_machine_is_an_address_of_a_halo(address: str) -> None:
    with pytest.raises(ConfigurationError):
        derive_servers(address)
    with pytest.raises(ConfigurationError):
        resolve_servers(None, address, "https://acme.example/auth")
    with pytest.raises(RulesInvalid):
        accept(TENANT_FILE.format(halo=f"url: {address!r}").encode())


@pytest.mark.parametrize("address", LINK_LOCAL)
def test_a_link_local_address_is_no_halo_in_whatever_spelling(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the machines of a cloud find their own credentials."""
    with pytest.raises(ConfigurationError, match="link-local"):
        derive_servers(address)
    monkeypatch.setenv("S", "a-secret")
    rules = from_text(accept(TENANT_FILE.format(halo=f"url: {address!r}").encode()).text)
    with pytest.raises(ConfigurationError, match="link-local"):
        connection_of(rules)


def test_what_a_sign_in_address_carries_beside_the_address_does_not_reach_the_log() -> None:
    page = "url: 'https://acme.example/portal?session=GHJKMNPQ#token=GHJKMNPQ'"
    assert "GHJKMNPQ" not in accept(TENANT_FILE.format(halo=page).encode()).text
    for key in ("resource_server", "authorization_server"):
        servers = f"url: https://acme.example\n  {key}: 'https://acme.example/api?token=GHJKMNPQ'"
        with pytest.raises(RulesInvalid) as refused:
            accept(TENANT_FILE.format(halo=servers).encode())
        assert "GHJKMNPQ" not in str(refused.value)


# Events --------------------------------------------------------------------------------------------------------


def test_no_address_of_an_event_is_more_than_text() -> None:
    """Every text of a quote that can hold an address leads to text in commands, and to no command of another kind.

    Files are meant to be fetched, and checked before they are (test_files.py).
    """
    odd = quote(
        customer={"name": "Brackenridge", "website": EVIL},
        note=EVIL,
        custom={"logo": EVIL},
        lines=[line(product={"name": "Firewall", "description": EVIL, "custom": {"image": EVIL}})],
        unknown_attachment={"url": EVIL},
    )
    commands = mapped(odd).commands
    assert {command.kind for command in commands} <= {
        "client",
        "site",
        "user",
        "item",
        "opportunity",
        "quote",
    }
    about: Envelope = envelope(1)
    assert any(EVIL.encode() in (command_message(command, about).value or b"") for command in commands)


def _imports(package: str) -> Iterator[tuple[str, str]]:
    """Each module of a package with each name that it imports, and each use of httpx."""
    for path in sorted((ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from ((path.name, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield path.name, node.module
            elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "httpx":
                yield path.name, f"httpx.{node.attr}"


@pytest.mark.parametrize("package", ["schemas", "hub", "services", "halo"])
def test_nothing_but_the_halo_client_makes_requests(package: str) -> None:
    """Another way out of the hub has to be thought about first, and told of in docs/security.md."""
    ways = {"requests", "aiohttp", "urllib.request", "http.client", "smtplib", "ftplib", "httpx.Client"}
    ways |= {
        f"httpx.{verb}" for verb in ("get", "post", "put", "patch", "delete", "head", "request", "stream")
    }
    found = set(_imports(package))
    assert not [one for one in found if one[1] in ways]
    if package in ("schemas", "hub"):
        assert not [one for one in found if one[1].startswith("httpx")]
    if package == "services":
        # Their clients are handed to `halo`; what else they name is a type. Files are fetched by one module alone.
        own = {(name, used) for name, used in found if used.startswith("httpx.")}
        assert {used for name, used in own if name != "fetch.py"} <= {
            "httpx.AsyncClient",
            "httpx.Limits",
            "httpx.create_ssl_context",
            "httpx.AsyncHTTPTransport",
            "httpx.AsyncBaseTransport",
        }
        assert {name for name, used in own if used == "httpx.AsyncHTTPTransport"} == {"app.py"}
        assert {name for name, used in own if used == "httpx.Request"} == {"fetch.py"}
    if package == "halo":
        assert {name for name, used in found if used == "httpx.Request"} == {"exchange.py"}
