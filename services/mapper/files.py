"""Files as attachments of an opportunity: a quote's PDF, its other files, and what `file.added` brings.

An attachment is one content on one opportunity, whatever names and addresses it comes under: it is ensured, so that the
same content is never attached again and what is attached is never changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec.structs import replace

from hub.store.records import Record, RecordKey
from hub.tenants.model import RuleSet
from schemas.commands import AttachFile, Basis, Command, Field, FileSource
from schemas.files import FileAdded, FileRef
from schemas.targets import Target
from services.mapper.opportunity import opportunity_target
from services.mapper.parts import QuoteHead, QuoteLink
from services.mapper.scope import NO_BASIS, Scope, given, sealed

_FILE_DECODER = msgspec.json.Decoder(FileAdded)
PDF, QUOTE_FILE = "quote PDF", "quote file"
"""The origins of the files that a quote carries itself."""


def quote_files(quote_id: str, head: QuoteHead, link: QuoteLink, scope: Scope) -> Iterator[AttachFile]:
    """The files of a quote, one for each content: its PDF, if the tenant wants it, and all others."""
    assert scope.rules.quotes is not None, "only a tenant with quotes maps one"
    found: dict[str, AttachFile] = {}
    owner = opportunity_target(quote_id, link, scope)
    if head.pdf is not None and scope.rules.quotes.pdf:
        found[head.pdf.sha256] = attachment(owner, head.pdf, PDF)
    for file in head.files:
        found.setdefault(file.sha256, attachment(owner, file, QUOTE_FILE))
    yield from found.values()


def quote_of(key: RecordKey, added: FileAdded) -> RecordKey | None:
    """The quote that says which opportunity a file is for; None when the file says it itself."""
    return RecordKey(key.tenant, key.source, "quote", added.owner.id) if added.owner.kind == "quote" else None


def map_file(record: Record, link: QuoteLink | None, rules: RuleSet, basis: Basis) -> tuple[Command, ...]:
    """The command of a file that was added by itself; it waits for its opportunity in the writer.

    `link` is that of the file's quote, None for a file of an opportunity that its producer publishes.
    """
    scope = Scope(tenant=record.tenant, source=record.source, rules=rules)
    added = _FILE_DECODER.decode(record.groups["head"].data)
    owner = opportunity_target(added.owner.id, link or QuoteLink(id=added.owner.id), scope)
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
