"""What a command is told whose record was deleted in Halo."""

from __future__ import annotations

from schemas.commands import Command
from services.halo_writer.decisions import GONE
from services.halo_writer.kinds import CATALOGUED

PICKED_GONE_FIX = "publish the event again with the id of one that exists, or asking for a new one"


def code_and_fix(command: Command) -> tuple[str, str]:
    """The code and the fix of its rejection.

    Where a person picked this very record, nothing is to take its place unasked.
    """
    if command.target.kind not in CATALOGUED and any(rule.by == "halo_id" for rule in command.match):
        return f"{command.target.kind}.gone", PICKED_GONE_FIX
    return GONE, "redrive this dead letter to have it made anew, or take it out at its source"
