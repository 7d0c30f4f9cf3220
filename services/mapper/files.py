"""Files as attachments of an opportunity: a quote's PDF, its other files, and what `file.added` brings.

An attachment is one content on one opportunity, whatever names and addresses it comes under: it is ensured, so that the
same content is never attached again and what is attached is never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from msgspec.structs import replace

from hub.store.records import Record, RecordKey
from hub.tenants.model import RuleSet
from schemas.commands import AttachFile, Basis, Command, Field, FileSource
from schemas.files import FileAdded, FileRef
from schemas.targets import Target
from services.mapper.opportunity import link_of, opportunity_target
from services.mapper.parts import QuoteHead, QuoteLink
from services.mapper.scope import NO_BASIS, Scope, given, scope_of, sealed

_FILE_DECODER = msgspec.json.Decoder(FileAdded)
PDF, QUOTE_FILE = "quote PDF", "quote file"
"""The origins of the files that a quote carries itself."""


def quote_files(quote_id: str, head: QuoteHead, link: QuoteLink, scope: Scope) -> Iterator[AttachFile]:
    """The files of a quote, one for each content: its PDF, if the tenant wants it, and all others."""
    found: dict[str, AttachFile] = {}
    owner = opportunity_target(quote_id, link, scope)
    if head.pdf is not None and scope.quotes.pdf:
        found[head.pdf.sha256] = attachment(owner, head.pdf, PDF)
    for file in head.files:
        found.setdefault(file.sha256, attachment(owner, file, QUOTE_FILE))
    yield from found.values()


class Orphan(msgspec.Struct, frozen=True):
    """The file's quote, which says what opportunity the file is for, has not come."""

    quote: RecordKey


def quote_of_file(record: Record) -> RecordKey | None:
    """The quote that says which opportunity a file is for; None when the file says it itself."""
    owner = _FILE_DECODER.decode(record.groups["head"].data).owner
    return RecordKey(record.tenant, record.source, "quote", owner.id) if owner.kind == "quote" else None


def map_file(
    record: Record, quote: Callable[[RecordKey], Record | None], rules: RuleSet, basis: Basis
) -> tuple[Command, ...] | Orphan | Literal["switched_off"]:
    """The command of a file that was added by itself; `quote` gives the folded record of its quote, if there is one."""
    if rules.opportunities is None:
        return "switched_off"
    added, key = _FILE_DECODER.decode(record.groups["head"].data), quote_of_file(record)
    link = QuoteLink(id=added.owner.id)
    if key is not None:
        its_quote = quote(key)
        if its_quote is None or "head" not in its_quote.groups:
            return Orphan(key)
        link = link_of(its_quote)
    scope = scope_of(record, rules)
    owner = opportunity_target(added.owner.id, link, scope)
    return (replace(attachment(owner, added.file, added.origin), basis=basis),)


def attachment(owner: Target, file: FileRef, origin: str | None) -> AttachFile:
    """A file on its owner: the target is named by the owner and the content."""
    source = FileSource(url=file.url, sha256=file.sha256, size=file.size, media_type=file.media_type)
    return sealed(
        AttachFile(
            target=replace(owner, kind="attachment", scope=f"{owner.scope or owner.kind}:{file.sha256}"),
            basis=NO_BASIS,
            ensure=True,
            opportunity=Field(value=owner),
            name=Field(value=file.name),
            origin=given(origin or None),
            file=Field(value=source),
        )
    )
