"""Which files may be fetched from where, decided before anything is resolved or connected."""

from __future__ import annotations

import ipaddress
import re

import msgspec
import pytest

from schemas.commands import FileSource
from schemas.files import FileRef
from services.halo_writer.file_rules import (
    MEDIA_TYPES,
    Waits,
    check_addresses,
    check_file,
    is_public,
    locate,
    next_try,
)
from services.halo_writer.kinds.base import Refused

HOSTS = ("files.quoter.example", "*.cdn.quoter.example")
PDF = FileSource(
    url="https://files.quoter.example/a.pdf", sha256="0" * 64, size=100, media_type="application/pdf"
)

REFUSED = (
    # Another scheme, or none.
    *("http://files.quoter.example/a", "HTTPS//files.quoter.example/a", "ftp://files.quoter.example/a"),
    *(
        "file:///etc/passwd",
        "//files.quoter.example/a",
        "files.quoter.example/a",
        "gopher://files.quoter.example/",
    ),
    # A user, which may look like the host.
    *("https://user@files.quoter.example/a", "https://user:pw@files.quoter.example/a"),
    *("https://files.quoter.example@evil.example/a", "https://files.quoter.example:443@evil.example/"),
    *("https://evil.example\\@files.quoter.example/a"),
    # Ports.
    *(
        "https://files.quoter.example:8443/a",
        "https://files.quoter.example:80/a",
        "https://files.quoter.example:/a",
    ),
    *("https://files.quoter.example:0443/a", "https://files.quoter.example:443:443/a"),
    # Machines by number, in whatever spelling.
    *("https://127.0.0.1/a", "https://2130706433/a", "https://0x7f000001/a", "https://017700000001/a"),
    *(
        "https://127.1/a",
        "https://169.254.169.254/latest/meta-data",
        "https://0x7f.1/a",
        "https://10.0.0.1./a",
    ),
    *(
        "https://[::1]/a",
        "https://[::ffff:127.0.0.1]/a",
        "https://[fe80::1%25eth0]/a",
        "https://[2606:4700::1]/a",
    ),
    # Names that are spelt in another way.
    *(
        "https://files.quoter.example./a",
        "https://.files.quoter.example/a",
        "https://files..quoter.example/a",
    ),
    *("https://files.quoter.éxample/a", "https://ﬁles.quoter.example/a", "https://files。quoter.example/a"),
    *(
        "https://files.quoter.example%2eevil.example/a",
        "https://files%2equoter.example/a",
        "https://localhost/a",
    ),
    *(
        "https://files.quoter.example\t/a",
        "https://files.quoter.example /a",
        "https://files.quoter.example\n/a",
    ),
    *(" https://files.quoter.example/a", "https://files.quoter.example/a b", "https:///a", "https://", ""),
    *(
        "https://*.cdn.quoter.example/a",
        "https://-a.cdn.quoter.example/a",
        f"https://{'a' * 64}.cdn.quoter.example/",
        f"https://files.{'a' * 64}/",
    ),
)
OTHER_HOSTS = (
    *(
        "https://evil.example#@files.quoter.example/a",
        "https://evil.example/a",
        "https://quoter.example/a",
        "https://a.files.quoter.example/a",
    ),
    *(
        "https://cdn.quoter.example/a",
        "https://evilcdn.quoter.example/a",
        "https://files.quoter.example.evil.example/a",
    ),
    *("https://xn--files-quoter.example/a", "https://metadata.google.internal/computeMetadata/v1/"),
)


@pytest.mark.feature("file.by_reference", part="writer")
@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_could_be_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(Refused) as refused:
        locate(url, [*HOSTS, "evil.example", "files.quoter.example.evil.example"])
    assert refused.value.code == "file.address"


@pytest.mark.feature("file.by_reference", part="writer")
@pytest.mark.parametrize("url", OTHER_HOSTS)
def test_a_host_that_the_tenant_does_not_name_is_refused_by_the_key_that_would_allow_it(url: str) -> None:
    with pytest.raises(Refused) as refused:
        locate(url, HOSTS)
    assert refused.value.code == "file.host"
    assert "quotes.file_hosts" in (refused.value.fix or "")


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        (
            "https://files.quoter.example/q/1.pdf?sig=a%2Fb&x=%20",
            "files.quoter.example",
            "/q/1.pdf?sig=a%2Fb&x=%20",
        ),
        ("https://FILES.Quoter.Example:443", "files.quoter.example", "/"),
        ("https://files.quoter.example?x=1", "files.quoter.example", "/?x=1"),
        ("https://files.quoter.example/a#page=2", "files.quoter.example", "/a"),
        ("https://eu1.cdn.quoter.example/a@b:c", "eu1.cdn.quoter.example", "/a@b:c"),
        ("https://a.b.cdn.quoter.example/../a", "a.b.cdn.quoter.example", "/../a"),
    ],
)
def test_an_allowed_address_is_asked_for_as_it_is_written(url: str, host: str, target: str) -> None:
    location = locate(url, HOSTS)
    assert (location.host, location.target) == (host, target)


def test_without_hosts_nothing_is_fetched() -> None:
    with pytest.raises(Refused, match="not among"):
        locate(PDF.url, ())


SPECIAL = (
    *("0.0.0.0", "0.1.2.3", "10.1.2.3", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.255.254"),
    *(
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
    ),
    *(
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.255.255.250",
        "240.0.0.1",
    ),
    *("255.255.255.255", "168.63.129.16"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1"),
    *(
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
        "2001:2::1",
        "2001:db8::1",
    ),
    *(
        "2001:10::1",
        "2001:20::1",
        "2002:7f00:1::1",
        "2002:808:808::1",
        "3fff::1",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
    ),
    *("fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "ff0e::1", "4000::1"),
)


@pytest.mark.parametrize("address", SPECIAL)
def test_an_address_with_a_purpose_of_its_own_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1"],
)
def test_an_ordinary_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_nothing_is_public_that_the_standard_library_knows_as_private() -> None:
    """Its lists follow the registries of special addresses; ours must hold whatever they hold."""
    firsts = [ipaddress.ip_address(n << 20) for n in range(1 << 12)]
    firsts += [ipaddress.ip_address(n << 112) for n in range(1 << 16)]
    wrong = [a for a in firsts if is_public(a) and (not a.is_global or a.is_multicast or a.is_reserved)]
    assert wrong == []
    assert any(is_public(address) for address in firsts[: 1 << 12])
    assert any(is_public(address) for address in firsts[1 << 12 :])


def test_one_special_address_among_public_ones_is_enough_to_refuse_a_name() -> None:
    public, private = ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("10.0.0.7")
    check_addresses("files.quoter.example", [public])
    with pytest.raises(Refused, match=r"10\.0\.0\.7"):
        check_addresses("files.quoter.example", [public, private])


@pytest.mark.parametrize(
    ("name", "changes", "code"),
    [
        ("a.pdf", {}, None),
        ("A.PDF", {}, None),
        ("a.b.pdf", {"size": 1000}, None),
        ("a.pdf", {"size": 1001}, "file.too_large"),
        ("a.pdf", {"media_type": "text/html"}, "file.type"),
        ("a.svg", {"media_type": "image/svg+xml"}, "file.type"),
        ("a.exe", {}, "file.type"),
        ("a.pdf.exe", {}, "file.type"),
        ("pdf", {}, "file.type"),
        ("a.jpeg", {"media_type": "image/jpeg"}, None),
    ],
)
@pytest.mark.feature("file.by_reference", part="writer")
def test_a_file_is_bounded_in_size_and_kind(name: str, changes: dict[str, object], code: str | None) -> None:
    file = msgspec.structs.replace(PDF, **changes)
    if code is None:
        check_file(name, file, 1000)
        return
    with pytest.raises(Refused) as refused:
        check_file(name, file, 1000)
    assert refused.value.code == code


def test_every_type_that_is_taken_can_be_written_in_an_event() -> None:
    for media_type in MEDIA_TYPES:
        msgspec.convert(
            {"url": PDF.url, "name": "n", "sha256": PDF.sha256, "size": 1, "media_type": media_type}, FileRef
        )
        assert all(re.fullmatch(r"\.[a-z]+", ending) for ending in MEDIA_TYPES[media_type])


def test_waits_between_tries_double_and_the_last_try_is_at_the_deadline() -> None:
    waits, now, tries = Waits(first_s=5, most_s=100, deadline_s=1000), 50.0, []
    while (again := next_try(50.0, now, waits)) is not None:
        tries.append(again - now)
        now = again
    assert tries[:5] == [5, 5, 10, 20, 40]
    assert max(tries) == 100
    assert now == 1050


@pytest.mark.parametrize(
    "url",
    ["http://a.example/x", "https://a.example/\u00e9", "https://a.example/ x", "https://", "javascript:1"],
)
def test_an_event_with_an_address_that_is_never_https_is_refused_at_the_door(url: str) -> None:
    content = {"url": url, "name": "n", "sha256": PDF.sha256, "size": 1, "media_type": "application/pdf"}
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(content, FileRef)
