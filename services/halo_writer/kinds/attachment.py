"""Attachments (`/Attachment`) of opportunities: created once for each content, never changed.

Our key stands at the beginning of the note: which number Halo's external links have for attachments isn't known. A GET
by id answers the file's bytes, so that the record is read from the list of its opportunity.
"""

from __future__ import annotations

from halo.resources import ATTACHMENT
from schemas.commands import AttachFile, Command
from schemas.targets import TargetState
from services.halo_writer.kinds.base import Elsewhere, KindSpec, Resolved, Row, value_of


def _key_scope(command: Command, resolved: Resolved) -> Row | None:
    assert isinstance(command, AttachFile)
    opportunity = value_of(command.opportunity)
    return None if opportunity is None else {"ticket_id": resolved.target(opportunity)}


def _finish(command: Command, element: Row, row: TargetState) -> Row:
    """Nobody outside sees the file, and the note says to people what it is."""
    assert isinstance(command, AttachFile)
    element |= {"isimage": False, "showforusers": False}
    origin = value_of(command.origin)
    if origin and "note" in element:
        element["note"] = f"{element['note']} {origin}"
    return element


def _prepare(command: Command, elsewhere: Elsewhere) -> Row:
    assert isinstance(command, AttachFile)
    name, file = value_of(command.name), value_of(command.file)
    return {} if file is None or name is None else {"data_base64": elsewhere.data_uri(name, file)}


SPEC = KindSpec(
    kind="attachment",
    resource=ATTACHMENT,
    fills={"opportunity": "ticket_id", "name": "filename"},
    on_create=frozenset({"opportunity", "name", "origin", "file"}),
    key_field="note",
    key_scope=_key_scope,
    finish=_finish,
    prepare=_prepare,
    in_list_only=True,
)
