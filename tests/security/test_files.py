"""Files are fetched from where a tenant allows it and from nowhere else, whatever events, names and hosts say."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import threading
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from schemas.commands import FileSource
from services.halo_writer.fetch import FileUnreachable, Patience, SystemNames
from services.halo_writer.kinds.base import Refused
from tests.support.file_host import CDN, HOST, OUTSIDE, PUBLIC, Answer, Authority, FileHost, make_authority

pytestmark = pytest.mark.feature("file.by_reference", part="writer")

HOSTS = ("*.quoter.example",)
BYTES = b"%PDF-1.7 " + bytes(range(256)) * 40
PATIENT = Patience(connect_s=60, read_s=60, total_s=60)
IN_ALL_A_SECOND = Patience(connect_s=60, read_s=60, total_s=1.0)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def host(authority: Authority) -> AsyncIterator[FileHost]:
    async with FileHost(authority).running() as running:
        running.put("/q.pdf", BYTES)
        yield running


def source(path: str = "/q.pdf", content: bytes = BYTES, *, on: str = HOST) -> FileSource:
    digest = hashlib.sha256(content).hexdigest()
    return FileSource(
        url=f"https://{on}{path}", sha256=digest, size=len(content), media_type="application/pdf"
    )


async def refused(host: FileHost, file: FileSource, hosts: Sequence[str] = HOSTS) -> str:
    with pytest.raises(Refused) as caught:
        await host.fetcher(PATIENT).fetch(file, hosts)
    return caught.value.code


async def unreachable(host: FileHost, file: FileSource, patience: Patience = PATIENT) -> str:
    with pytest.raises(FileUnreachable) as caught:
        await host.fetcher(patience).fetch(file, HOSTS)
    return str(caught.value)


async def test_a_file_is_fetched_from_the_checked_address_under_the_hosts_own_name(host: FileHost) -> None:
    host.put("/q.pdf?sig=a%2Fb", BYTES)
    content = await host.fetcher().fetch(source("/q.pdf?sig=a%2Fb"), HOSTS)
    assert content == BYTES
    assert host.looked_up == [HOST], "a name is looked up once"
    assert host.dialled == [(PUBLIC, HOST)]
    assert host.asked == [(HOST, "/q.pdf?sig=a%2Fb")], "the address is asked for as it is written"
    assert not {"cookie", "authorization", "referer"} & host.headers[0].keys()


@pytest.mark.parametrize(
    "path", ["/a/../q.pdf", "//q.pdf", '/q.pdf?sig=a"b{c}|d`<e>', "/q.pdf?", "/%7eq/%zz.pdf", "/q.pdf?a/../b"]
)
async def test_an_address_is_asked_for_as_it_is_written_however_odd(host: FileHost, path: str) -> None:
    """What signs an address signs its letters."""
    host.put(path, BYTES)
    assert await host.fetcher().fetch(source(path), HOSTS) == BYTES
    assert host.asked == [(HOST, path)]


async def test_a_certificate_of_nobody_known_ends_it_before_anything_is_asked(host: FileHost) -> None:
    with pytest.raises(FileUnreachable, match="secure connection"):
        await host.fetcher(trusted=False).fetch(source(), HOSTS)
    assert host.asked == []


async def test_a_certificate_of_another_name_is_none(host: FileHost) -> None:
    """It is the name that is proven, not the address that the connection goes to."""
    host.names["other.quoter.example"] = [PUBLIC]
    assert "secure connection" in await unreachable(host, source(on="other.quoter.example"))
    assert host.asked == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["fd00:ec2::254"],
        [PUBLIC, "10.0.0.7"],
    ],
)
async def test_a_name_that_leads_inside_is_not_connected_to(host: FileHost, addresses: list[str]) -> None:
    host.names[HOST] = addresses
    assert await refused(host, source()) == "file.address"
    assert host.dialled == []


async def test_a_name_that_leads_elsewhere_the_second_time_is_not_asked_a_second_time(host: FileHost) -> None:
    """What was checked is what is connected to: between the two there is no other look-up to be deceived by."""
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    real = host.resolve

    async def rebinding(name: str) -> list[object]:
        host.names[name] = next(answers)
        return list(await real(name))

    host.resolve = rebinding  # type: ignore[method-assign,assignment]
    assert await host.fetcher().fetch(source(), HOSTS) == BYTES
    assert [where for where, _ in host.dialled] == [PUBLIC]
    assert await refused(host, source()) == "file.address"
    assert len(host.dialled) == 1


async def test_the_next_address_is_tried_when_one_takes_no_connection(host: FileHost) -> None:
    host.names[HOST] = ["2606:4700::1111", PUBLIC]
    host.refusing = {"2606:4700::1111"}
    assert await host.fetcher().fetch(source(), HOSTS) == BYTES
    assert [name for _, name in host.dialled] == [HOST, HOST]


# Redirects ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_an_allowed_host_is_followed_with_every_check_again(
    host: FileHost, status: int
) -> None:
    host.files["/old"] = Answer(status=status, headers={"Location": f"https://{CDN}/q.pdf"}, length=0)
    assert await host.fetcher().fetch(source("/old"), HOSTS) == BYTES
    assert host.asked == [(HOST, "/old"), (CDN, "/q.pdf")]
    assert host.looked_up == [HOST, CDN]
    assert [name for _, name in host.dialled] == [HOST, CDN]


async def test_a_redirect_within_the_host_is_followed(host: FileHost) -> None:
    host.files["/a/old"] = Answer(status=302, headers={"Location": "../q.pdf"}, length=0)
    assert await host.fetcher().fetch(source("/a/old"), HOSTS) == BYTES


@pytest.mark.parametrize(
    ("location", "code"),
    [
        (f"https://{OUTSIDE}/q.pdf", "file.host"),
        (f"http://{HOST}/q.pdf", "file.address"),
        ("https://127.0.0.1/q.pdf", "file.address"),
        ("https://[::1]/q.pdf", "file.address"),
        (f"https://{HOST}:8443/q.pdf", "file.address"),
        (f"https://me@{HOST}/q.pdf", "file.address"),
        (f"//{OUTSIDE}/q.pdf", "file.host"),
        ("file:///etc/passwd", "file.address"),
        ("https://inside.quoter.example/q.pdf", "file.address"),
    ],
)
async def test_a_redirect_to_anywhere_else_is_refused(host: FileHost, location: str, code: str) -> None:
    host.names["inside.quoter.example"] = ["10.0.0.7"]
    host.files["/old"] = Answer(status=302, headers={"Location": location}, length=0)
    assert await refused(host, source("/old")) == code
    assert len(host.dialled) == 1


async def test_a_redirect_to_an_endless_address_is_no_fault_of_the_hub(host: FileHost) -> None:
    """A client that falls over its length would have it tried again for ever."""
    endless = f"/{'a' * 70_000}"
    host.files["/old"] = Answer(status=302, headers={"Location": endless}, length=0)
    assert "70001 characters" in await unreachable(host, source("/old"))
    assert host.asked == [(HOST, "/old")]


async def test_redirects_have_an_end(host: FileHost) -> None:
    host.files["/loop"] = Answer(status=302, headers={"Location": "/loop"}, length=0)
    assert "redirected" in await unreachable(host, source("/loop"))
    assert len(host.asked) == 4


# What comes ---------------------------------------------------------------------------------------------------


async def test_other_bytes_of_the_same_size_are_refused(host: FileHost) -> None:
    host.put("/q.pdf", BYTES[:-1] + b"!")
    assert await refused(host, source()) == "file.changed"


@pytest.mark.parametrize("said", [len(BYTES) + 1, len(BYTES) - 1, 10**15])
async def test_another_size_is_refused_by_what_the_host_says(host: FileHost, said: int) -> None:
    host.files["/q.pdf"] = Answer((BYTES,), length=said)
    assert await refused(host, source()) == "file.changed"


async def test_a_file_without_end_is_left_as_soon_as_it_is_too_long(host: FileHost) -> None:
    piece = bytes(1024 * 1024)
    host.files["/q.pdf"] = Answer((BYTES, *[piece] * 64))
    tracemalloc.start()
    try:
        assert await refused(host, source()) == "file.changed"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 1024 * 1024


async def test_a_file_that_is_cut_off_is_tried_again_later(host: FileHost) -> None:
    host.files["/q.pdf"] = Answer((BYTES[:100],), length=len(BYTES))
    assert "connection failed" in await unreachable(host, source())
    host.files["/q.pdf"] = Answer((BYTES[:100],))
    assert "ended after 100 of" in await unreachable(host, source())


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 429, 500, 503, 204, 206, 304])
async def test_anything_but_the_file_is_tried_again_later(host: FileHost, status: int) -> None:
    host.files["/q.pdf"] = Answer(status=status, headers={"Location": f"https://{OUTSIDE}/"}, length=0)
    assert str(status) in await unreachable(host, source())
    assert len(host.asked) == 1


async def test_a_compressed_answer_is_not_unpacked(host: FileHost) -> None:
    host.files["/q.pdf"] = Answer((BYTES,), headers={"Content-Encoding": "gzip"}, length=len(BYTES))
    assert "compressed" in await unreachable(host, source())
    assert host.headers[0]["accept-encoding"] == "identity"


async def test_a_host_that_trickles_is_left_when_the_whole_takes_too_long(host: FileHost) -> None:
    """Each byte comes in time, the file never does."""
    host.files["/q.pdf"] = Answer([bytes([byte]) for byte in BYTES], pause_s=0.1)
    assert "within 1 s" in await unreachable(host, source(), IN_ALL_A_SECOND)


async def test_a_host_that_says_nothing_is_left_after_one_read(host: FileHost) -> None:
    host.files["/q.pdf"] = Answer((BYTES,), length=len(BYTES), pause_s=55)
    patience = Patience(connect_s=60, read_s=0.3, total_s=60)
    async with asyncio.timeout(50):
        assert "in time" in await unreachable(host, source(), patience)


async def test_a_name_that_nobody_knows_or_that_never_resolves_is_unreachable(host: FileHost) -> None:
    assert "connection failed" in await unreachable(host, source(on="unknown.quoter.example"))

    async def never(name: str) -> list[object]:
        await asyncio.Event().wait()
        return []

    host.resolve = never  # type: ignore[method-assign,assignment]
    assert "within 1 s" in await unreachable(host, source(), IN_ALL_A_SECOND)


async def test_why_a_file_could_not_be_had_never_holds_its_address(host: FileHost) -> None:
    """A signature in it is a key to the file."""
    file = source("/none?sig=GHJKMNPQ")
    assert "GHJKMNPQ" not in await unreachable(host, file)
    host.files["/none?sig=GHJKMNPQ"] = Answer((BYTES[:-1] + b"!",), length=len(BYTES))
    with pytest.raises(Refused) as caught:
        await host.fetcher().fetch(file, HOSTS)
    assert "GHJKMNPQ" not in f"{caught.value} {caught.value.fix}"
    with pytest.raises(Refused) as caught:
        await host.fetcher().fetch(source("/x?sig=GHJKMNPQ", on="evil.example"), HOSTS)
    assert "GHJKMNPQ" not in f"{caught.value} {caught.value.fix}"


# The product's own parts ---------------------------------------------------------------------------------------


async def test_the_machines_resolver_answers_addresses_and_its_errors_are_unreachable() -> None:
    names = SystemNames()
    assert {str(address) for address in await names("localhost")} <= {"127.0.0.1", "::1"}
    with pytest.raises(socket.gaierror):
        await names("no-such-name.invalid")


async def test_look_ups_that_hang_are_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    def hangs(host: str) -> list[object]:
        gate.wait(60)
        return []

    monkeypatch.setattr("services.halo_writer.fetch._looked_up", hangs)
    names = SystemNames()
    hanging = [asyncio.ensure_future(names(f"{number}.quoter.example")) for number in range(32)]
    await asyncio.sleep(0)
    with pytest.raises(FileUnreachable, match="slow"):
        await names("one-more.quoter.example")
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(*hanging), 60) == [[]] * 32


def test_the_product_has_no_way_around_its_checks() -> None:
    """The way out and the authority are given by construction, in one place, and no setting names another."""
    services = Path(__file__).parents[2] / "services"
    made = [
        path.name
        for path in services.rglob("*.py")
        if "Fetcher(" in path.read_text() and path.name != "fetch.py"
    ]
    assert made == ["app.py"]
    assert "SystemNames()" in (services / "halo_writer" / "app.py").read_text()
    text = (Path(__file__).parents[2] / "hub" / "settings.py").read_text()
    assert "file_" not in text.replace("ready_file", "").replace("producers_file", "")
