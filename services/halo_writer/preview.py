"""What commands would send to Halo, with names in the place of ids that only Halo knows. Pure: nothing is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.commands import Command, FileSource, Named
from schemas.identity import group_hashes
from schemas.targets import KINDS, Target, TargetState
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import (
    KindSpec,
    Resolved,
    Row,
    element_to_create,
    element_to_update,
    value_of,
)


class Preview(msgspec.Struct, frozen=True):
    """One request that a command may lead to. An ensure sends it only if no record matches."""

    method: str
    path: str
    target: str
    when: str
    matches: tuple[str, ...]
    element: Row


class _Spoken(Resolved, frozen=True):
    """References as a person reads them."""

    def target(self, target: Target) -> Any:
        return f"<{target.kind} {target.id}>"

    def spelling(self, named: Named) -> Any:
        return self.name(named)

    def name(self, named: Named) -> Any:
        fallback = f", else {named.fallback}" if named.fallback is not None else ""
        return f"<{named.lookup.replace('_', ' ')}: {named.name}{fallback}>"


class _SpokenFiles:
    """Files as a person reads them."""

    def data_uri(self, name: str, file: FileSource) -> str:
        return f"<the {file.size} bytes of {file.url}>"


def preview(commands: Sequence[Command]) -> list[Preview]:
    """The creating request of each command, in the order in which they would run."""
    ordered = sorted(commands, key=lambda command: KINDS.index(command.target.kind))
    return [_preview(command) for command in ordered]


def _preview(command: Command) -> Preview:
    spec = SPECS[command.target.kind]
    row = TargetState(target=command.target)
    if spec.step_on is not None:
        return _step(spec, spec.step_on, command, row)
    element = element_to_create(spec, command, _Spoken(), row)
    if spec.prepare is not None:
        element |= spec.prepare(command, _SpokenFiles())
    return Preview(
        method="POST",
        path=spec.resource.path,
        target=command.target.key,
        when="if no record matches" if command.ensure else "create, or update what changed",
        matches=tuple(f"{match.by} {match.value}" if match.value else match.by for match in command.match),
        element=element,
    )


def _step(spec: KindSpec, step_on: str, command: Command, row: TargetState) -> Preview:
    """A step writes onto the record of another target, whose id only Halo knows."""
    spoken = _Spoken()
    record = spoken.target(value_of(getattr(command, step_on)))
    return Preview(
        method="POST",
        path=spec.resource.path,
        target=command.target.key,
        when="update what changed",
        matches=(),
        element=element_to_update(spec, command, spoken, row, record, group_hashes(command)),
    )
