"""Commands whose state has settled: made by the mapper's own functions, with the rows that say that Halo has it all."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from benchmarks import quotes
from hub.bus.records import Outgoing
from hub.store import targets
from hub.store.engine import Store
from hub.tenants.model import RuleSet
from schemas.commands import Command
from schemas.envelope import Envelope, from_structured
from schemas.identity import group_hashes
from schemas.quotes import Quote
from schemas.targets import TargetState
from schemas.topics import QUOTES
from services.mapper.emit import basis_of, command_message
from services.mapper.parts import GroupName
from services.mapper.quote import Desired, Mapped, commands, desired
from services.mapper.record import fold, versions_of

Wanted = Literal["own", "all"]
_TOUCHED: dict[Wanted, frozenset[GroupName]] = {
    "own": frozenset(("status",)),
    "all": frozenset(("head", "lines", "status")),
}
_CHUNK = 500


@dataclass(frozen=True)
class Settled:
    """Commands, each with the event that it came of."""

    made: tuple[tuple[Command, Envelope], ...]

    @property
    def ensures(self) -> int:
        return sum(command.ensure for command, _ in self.made)

    def again(self, revision: int) -> list[Outgoing]:
        """The same states as of a later revision of their quotes: commands that no writer has seen."""
        return [command_message(_as_of(command, revision), event) for command, event in self.made]

    def states(self) -> Iterator[TargetState]:
        """The row of each target once its command was applied."""
        seen = set()
        for halo_id, (command, _) in enumerate(self.made, 1):
            if command.target in seen:
                continue
            seen.add(command.target)
            state = TargetState(target=command.target, version=1, halo_id=halo_id)
            if not command.ensure:
                state = msgspec.structs.replace(
                    state, seq=command.seq, state_hash=command.state_hash, groups=group_hashes(command)
                )
            yield state


def settled(rules: Sequence[RuleSet], count: int, wanted: Wanted) -> Settled:
    """What `count` quotes of five lines lead to, spread over these tenants; all of it or each quote's own command."""
    made = []
    for number, its_rules in zip(range(count), itertools.cycle(rules), strict=False):
        event = quotes.new(f"{wanted}{number}", tenant=its_rules.tenant)
        envelope = from_structured(event)
        record = fold(None, envelope, msgspec.convert(event["data"], Quote)).record
        basis = basis_of(envelope, QUOTES, versions_of(record), 1, "")
        state = desired(record, its_rules)
        assert isinstance(state, Desired)
        mapped = commands(state, record, its_rules, basis, _TOUCHED[wanted])
        assert isinstance(mapped, Mapped)
        made += [(command, envelope) for command in mapped.commands]
    return Settled(tuple(made))


async def put_states(store: Store, states: Iterable[TargetState]) -> None:
    """Write the rows of settled targets, as a rebuild of the store does."""
    rows = list(states)
    for start in range(0, len(rows), _CHUNK):
        async with store.write() as conn:
            refused = await targets.save_many(
                conn, [(state, 0) for state in rows[start : start + _CHUNK]], lease=None
            )
        assert not refused


def _as_of(command: Command, revision: int) -> Command:
    """What a later event of the quote with the same content leads to; an ensure is the same command again."""
    versions = dict.fromkeys(command.basis.record_versions, revision)
    basis = msgspec.structs.replace(command.basis, record_versions=versions)
    if command.ensure:
        return msgspec.structs.replace(command, basis=basis)
    seq = (*(revision for _ in command.seq[:-1]), command.seq[-1])
    return msgspec.structs.replace(command, basis=basis, seq=seq)
