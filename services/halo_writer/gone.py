"""What a command is told whose record was deleted in Halo."""

from __future__ import annotations

from schemas.answers import GONE as OPPORTUNITY_GONE
from schemas.commands import Command, CompleteOpportunity
from schemas.targets import PICKED, Target
from services.halo_writer.decisions import GONE
from services.halo_writer.kinds import CATALOGUED
from services.halo_writer.kinds.base import value_of

PICKED_GONE_FIX = "publish the event again with the id of one that exists, or asking for a new one"


def picked_by(command: Command) -> Target | None:
    """The opportunity that a person picked, where the command is about it or is a step on it."""
    on = value_of(command.opportunity) if isinstance(command, CompleteOpportunity) else command.target
    return on if on is not None and on.kind == "opportunity" and on.scope.startswith(PICKED) else None


def code_and_fix(command: Command) -> tuple[str, str]:
    """The code and the fix of its rejection.

    Where a person picked this very record, nothing is to take its place unasked.
    """
    if command.target.kind not in CATALOGUED and any(rule.by == "halo_id" for rule in command.match):
        return f"{command.target.kind}.gone", PICKED_GONE_FIX
    if picked_by(command) is not None:
        return OPPORTUNITY_GONE, PICKED_GONE_FIX
    return GONE, "redrive this dead letter to have it made anew, or take it out at its source"
