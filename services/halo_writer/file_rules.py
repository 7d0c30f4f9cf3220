"""Which files the writer fetches, from where, and how long it tries. Pure: names are resolved and bytes read elsewhere.

What is refused here is refused for good (`kinds.base.Refused`) and names what a person can do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping

import msgspec

from hub.tenants.file_hosts import allows, is_host_name
from schemas.commands import FileSource
from services.halo_writer.kinds.base import Refused

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

MEDIA_TYPES: Mapping[str, tuple[str, ...]] = {
    "application/msword": (".doc",),
    "application/pdf": (".pdf",),
    "application/rtf": (".rtf",),
    "application/vnd.ms-excel": (".xls",),
    "application/vnd.ms-powerpoint": (".ppt",),
    "application/vnd.oasis.opendocument.presentation": (".odp",),
    "application/vnd.oasis.opendocument.spreadsheet": (".ods",),
    "application/vnd.oasis.opendocument.text": (".odt",),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": (".pptx",),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": (".xlsx",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": (".docx",),
    "image/gif": (".gif",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/png": (".png",),
    "image/tiff": (".tif", ".tiff"),
    "image/webp": (".webp",),
    "text/csv": (".csv",),
    "text/plain": (".txt",),
}
"""What may be attached, with the endings that its name may have: nothing that a browser or a machine would run."""

_URL = re.compile(r"https://([^/?#\\]*)(/[^?#\\]*)?(\?[^#\\]*)?(?:#.*)?", re.ASCII)
_VISIBLE = re.compile(r"[\x21-\x7e]+")
_FOUR = tuple(
    map(
        ipaddress.IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            # The last is where machines on Azure reach their own host.
            *("224.0.0.0/3", "168.63.129.16/32"),
        ),
    )
)
_UNICAST = ipaddress.IPv6Network("2000::/3")
_SIX = tuple(
    map(
        ipaddress.IPv6Network,
        # Of these some carry an IPv4 address inside (Teredo, 6to4), which may be any.
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)


class Location(msgspec.Struct, frozen=True):
    """Where a file lies: the host's name, and the path with its query as they are to be asked for."""

    host: str
    target: str


class Waits(msgspec.Struct, frozen=True):
    """Seconds between tries of a file that can't be had: as long as it has failed so far, in bounds; then the end."""

    first_s: float
    most_s: float
    deadline_s: float


def check_file(name: str, file: FileSource, max_bytes: int) -> None:
    """Raise Refused for a file that may not be attached, whatever lies at its address."""
    endings = MEDIA_TYPES.get(file.media_type)
    if endings is None:
        raise Refused(
            "file.type",
            f"{name!r} is said to be {file.media_type}, which is not attached",
            f"attach one of: {', '.join(sorted(MEDIA_TYPES))}",
        )
    if not name.casefold().endswith(endings):
        raise Refused(
            "file.type",
            f"{name!r} is said to be {file.media_type}, but its name doesn't end in {' or '.join(endings)}",
            "let the producer name the file and its type alike",
        )
    if file.size > max_bytes:
        raise Refused(
            "file.too_large",
            f"{name!r} has {file.size} bytes, of {max_bytes} at most",
            "let the producer send a smaller file, or attach it by hand",
        )


def locate(url: str, hosts: Collection[str]) -> Location:
    """Where an address leads, if it is one that may be asked. Raises Refused.

    The one form that is taken can't be read in two ways: https, a plain host name, no port but 443, no user.
    """
    found = _URL.fullmatch(url)
    authority = found[1].lower().removesuffix(":443") if found else ""
    if found is None or not _VISIBLE.fullmatch(url) or not is_host_name(authority):
        raise Refused(
            "file.address",
            "a file's address is https:// and a host name in ASCII: no user, no port, no number for a machine, "
            "no dot at the name's end",
            "let the producer publish the file again with such an address",
        )
    if not allows(hosts, authority):
        raise Refused(
            "file.host",
            f"{authority} is not among the hosts that files of this tenant may come from",
            f"add {authority} to quotes.file_hosts of the tenant file, then redrive this dead letter",
        )
    return Location(authority, (found[2] or "/") + (found[3] or ""))


def check_addresses(host: str, addresses: Collection[IpAddress]) -> None:
    """Raise Refused unless all that a name leads to is the public internet."""
    for address in addresses:
        if not is_public(address):
            raise Refused(
                "file.address",
                f"{host} leads to {address}, which is no address of the public internet",
                "files are fetched from public hosts alone: let the producer serve this one there",
            )


def is_public(address: IpAddress) -> bool:
    """Whether an address is an ordinary one of the public internet: no special purpose, none that hides another."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _FOUR)
    return (
        address.scope_id is None and address in _UNICAST and not any(address in network for network in _SIX)
    )


def next_try(failing_since: float, now: float, waits: Waits) -> float | None:
    """When a file that could not be had is asked for again; None when that has gone on for too long."""
    if now - failing_since >= waits.deadline_s:
        return None
    wait_s = min(waits.most_s, max(waits.first_s, now - failing_since))
    return min(now + wait_s, failing_since + waits.deadline_s)
