"""Files travel by reference: an event says where a file lies and what it is, never the bytes themselves.

The writer fetches a file when it uploads it, from the hosts that the tenant allows, and takes it only when its size and
hash are those of the reference.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from schemas.base import Id, SourceData, Text

MAX_FILES = 50

FileUrl = Annotated[str, Meta(max_length=2_000, pattern=r"^https://[\x21-\x7e]+$")]
"""An https address in ASCII; a host name of another script in its `xn--` form. It may carry a signature."""
FileName = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f/\\]+$")]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
FileSize = Annotated[int, Meta(ge=1, le=2**53)]
MediaType = Annotated[str, Meta(max_length=127, pattern=r"^[a-z0-9][a-z0-9.+_-]*/[a-z0-9][a-z0-9.+_-]*$")]


class FileRef(SourceData, frozen=True, kw_only=True):
    """Where a file can be fetched, and what will be found there: `sha256` in lower-case hexadecimal, `size` in bytes.

    The address must serve the same bytes until the file is in Halo, which may be hours later.
    """

    url: FileUrl
    """Its address; `https` alone, on a host that the tenant's `quotes.file_hosts` names."""
    name: FileName
    """The name that Halo shows."""
    sha256: Sha256
    """The hash of its bytes, in lower-case hexadecimal."""
    size: FileSize
    """How many bytes it has."""
    media_type: MediaType
    """What it is, such as `application/pdf`."""


class FileOwner(SourceData, frozen=True, kw_only=True):
    """Whose file it is: an opportunity, or a quote, whose opportunity it then belongs to."""

    kind: Literal["quote", "opportunity"]
    """What the owner is."""
    id: Id
    """Its id at the producer."""


class FileAdded(SourceData, frozen=True, kw_only=True):
    """A file for an opportunity, whatever made it: what `file.added` carries, under the file's own id.

    `origin` says where it came from at the producer (a preview, a link list, a print), for the audit.
    """

    owner: FileOwner
    """Whose file it is."""
    file: FileRef
    """The file, by reference."""
    origin: Text | None = None
    """Where it came from at the producer, for the audit."""
