"""Commands about files: they travel by reference, and the writer fetches them."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from schemas.base import OwnData, Text
from schemas.command_parts import Command, Field
from schemas.files import FileName, FileSize, FileUrl, MediaType, Sha256
from schemas.targets import Target


class FileSource(OwnData, frozen=True, kw_only=True):
    """Where the writer fetches a file, and what it must be."""

    url: FileUrl
    """Its address."""
    sha256: Sha256
    """The hash of its bytes."""
    size: FileSize
    """How many bytes it has."""
    media_type: MediaType
    """What it is."""


class AttachFile(Command, frozen=True, kw_only=True):
    """Attach a file to an opportunity, once for each content: the target's scope is the owner's kind and the hash."""

    kind = "attachment"
    groups = {"head": ("opportunity", "name", "origin", "file")}

    opportunity: Field[Target] | UnsetType = UNSET
    """The opportunity that it is attached to."""
    name: Field[FileName] | UnsetType = UNSET
    """The name of the file."""
    origin: Field[Text] | UnsetType = UNSET
    """Where it came from at the producer."""
    file: Field[FileSource] | UnsetType = UNSET
    """The file itself, by reference."""
