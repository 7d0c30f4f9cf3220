"""Records as the log holds them: bytes, never decoded, and header lists with their order and duplicates."""

from typing import NamedTuple

import msgspec


class Partition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record that was read.

    A tombstone has `value` None. A header name that is not UTF-8 holds its bytes as surrogate escapes
    (`name.encode("utf-8", "surrogateescape")` gives them back); a header value may be None on the wire.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """One record to publish; `value` None with a key is a tombstone. Records of one key keep their order."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()
