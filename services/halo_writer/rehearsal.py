"""What a tenant's writer would send for commands, one after another. Pure: nothing is asked, nothing is written.

Halo is taken to have every name that the commands mention, every record that they name by its id, and no other. What
only Halo knows, such as the id of a record, shows as words. The plan and the payloads are the writer's own.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, assert_never

import msgspec

from schemas.commands import (
    TYPE_OF_KIND,
    Command,
    FileSource,
    Named,
    UpsertClient,
    UpsertItem,
    UpsertSite,
    UpsertUser,
)
from schemas.identity import id_of
from schemas.outcomes import Outcome
from schemas.targets import KINDS, Kind, Target, TargetState
from services.halo_writer import decisions as planned
from services.halo_writer.ending import Ending, next_state, stored_outcome
from services.halo_writer.kinds import SPECS
from services.halo_writer.kinds.base import (
    KindSpec,
    Refused,
    Resolved,
    Row,
    SoldItem,
    element_to_create,
    element_to_update,
    holding,
    value_of,
    with_others,
)
from services.halo_writer.names import folded
from services.halo_writer.plan import plan
from services.halo_writer.resolve import (
    NeedsTarget,
    NotWanted,
    Referred,
    names_in,
    place_fields,
    referred_to,
    targets_in,
)

_FIRST_ID = 2_000_000_000
"""Ids that stand for those which only Halo knows; none of its own is near."""
_ARRAYS = ("lines", "items_issued")


class Sent(msgspec.Struct, frozen=True):
    """One request. An ensure sends it only if no record matches."""

    method: str
    path: str
    target: str
    when: str
    matches: tuple[str, ...]
    element: Row


class Step(msgspec.Struct, frozen=True):
    """How one command would end: with a request, or without one and why."""

    target: Target
    request: Sent | None
    why: str = ""


class Rehearsal:
    """One tenant's lane, with a Halo that is there in words only; it remembers what it would have written."""

    def __init__(self) -> None:
        self._words = _Words()
        self._rows: dict[Target, TargetState] = {}
        self._records: dict[Target, Row] = {}
        self._clients: dict[Target, UpsertClient] = {}
        self._holders: dict[tuple[Kind, str], Target] = {}
        self._sold: dict[int, SoldItem] = {}

    def steps(self, commands: Sequence[Command]) -> list[Step]:
        """How each command would end, in the order in which they would run."""
        ordered = sorted(commands, key=lambda one: (KINDS.index(one.target.kind), not one.ensure))
        return [self._step(command) for command in ordered]

    def _step(self, command: Command) -> Step:
        row = self._rows.get(command.target) or TargetState(target=command.target)
        known = planned.Known()
        while True:
            decision = plan(command, row, known, now=0.0, settle_s=0.0)
            match decision:
                case planned.FindMatch():
                    place = self._resolved(command, place_fields(command))
                    if not isinstance(place, Resolved):
                        return self._not_written(command, row, place)
                    known = msgspec.structs.replace(known, match=self._match(command))
                case planned.ReadRecord(halo_id):
                    known = known.having_read(planned.ReadBack(halo_id, exists=True))
                case planned.Create():
                    return self._create(command, row)
                case planned.Update(halo_id, groups):
                    return self._update(command, row, halo_id, groups)
                case planned.Settle(halo_id):
                    owns = not isinstance(known.match, planned.Matched) or known.match.owned
                    self._ended(
                        command, row, Ending(status="applied", result="adopted", halo_id=halo_id), owns=owns
                    )
                    return Step(command.target, None, self._adopted(halo_id))
                case planned.Unchanged():
                    self._ended(
                        command, row, Ending(status="applied", result="unchanged", halo_id=row.halo_id)
                    )
                    return Step(command.target, None, "Halo has this state already")
                case planned.Superseded():
                    return Step(command.target, None, "a newer state was written before")
                case planned.Repeat():
                    return Step(command.target, None, "a repeat of what was written before")
                case (
                    planned.FindOurKey()
                    | planned.Forget()
                    | planned.Wait()
                    | planned.Decide()
                    | planned.Reject()
                ):
                    raise AssertionError(f"a Halo in words fails nobody: {decision}")
                case _:
                    assert_never(decision)

    # What Halo has ----------------------------------------------------------------------------------------

    def _match(self, command: Command) -> planned.Match:
        spec = SPECS[command.target.kind]
        if spec.step_on is not None:
            return planned.Matched(self._id_of(value_of(getattr(command, spec.step_on))))
        found = self._born_with_client(command) if isinstance(command, UpsertUser) else None
        for rule in command.match:
            if found is not None:
                break
            if rule.by == "halo_id" and rule.value:
                found = int(rule.value)
            elif isinstance(command, UpsertSite):
                found = self._site(command, rule.by, str(rule.value))
        return planned.Matched(found) if found is not None else self._reserved(spec, command)

    def _reserved(self, spec: KindSpec, command: Command) -> planned.Match:
        """The record that another target of the same natural key has made, or else none."""
        keys = [(spec.kind, key) for key in spec.natural_keys(command)]
        for key in keys:
            holder = self._holders.get(key)
            row = None if holder is None else self._rows.get(holder)
            if holder != command.target and row is not None and row.halo_id is not None:
                return planned.Matched(row.halo_id, owned=False)
        self._holders |= dict.fromkeys(keys, command.target)
        return planned.NoMatch()

    def _born_with_client(self, command: UpsertUser) -> int | None:
        """The main contact that was created in the client's own request, when it is this very person."""
        client = value_of(command.client)
        made, row = self._clients.get(client), self._rows.get(client)
        contact = None if made is None else value_of(made.main_contact)
        if contact is None or row is None or folded(contact.name) != folded(value_of(command.name) or ""):
            return None
        email = value_of(command.email)
        same = not email or not contact.email or folded(email) == folded(contact.email)
        return row.children.get("user") if same else None

    def _site(self, command: UpsertSite, by: str, name: str) -> int | None:
        """The client's main site, where it is what the site is matched by."""
        client = value_of(command.client)
        made, row = self._clients.get(client), self._rows.get(client)
        if by == "parent_main":
            main = None if row is None else row.children.get("site")
            return (
                self._words.id_for(("main site", client), f"main site of {client.id}")
                if main is None
                else main
            )
        if (
            by != "name"
            or made is None
            or row is None
            or folded(value_of(made.site_name) or "") != folded(name)
        ):
            return None
        return row.children.get("site")

    def _adopted(self, halo_id: int) -> str:
        clients = (self._rows[client] for client in self._clients)
        born = any(halo_id in row.children.values() for row in clients)
        return "it is made with its client" if born else "Halo has the record, and it stays as it is"

    # What is sent -----------------------------------------------------------------------------------------

    def _create(self, command: Command, row: TargetState) -> Step:
        spec = SPECS[command.target.kind]
        if command.adopt_only:
            self._ended(command, row, Ending(status="skipped", code="record.absent"))
            return Step(command.target, None, "Halo has none, and none is to be made yet")
        resolved = self._resolved(command, command.state_fields())
        if not isinstance(resolved, Resolved):
            return self._not_written(command, row, resolved)
        try:
            element = element_to_create(spec, command, resolved, row)
        except Refused as refused:
            return Step(command.target, None, f"rejected: {refused}")
        if spec.prepare is not None:
            element |= spec.prepare(command, _SpokenFiles())
        step = self._sent(command, spec, element, "if no record matches" if command.ensure else "create")
        halo_id = self._id_of(command.target)
        self._answered(
            command, row, halo_id, element, Ending(status="applied", result="created", halo_id=halo_id)
        )
        self._remember(command, halo_id, resolved)
        return step

    def _update(self, command: Command, row: TargetState, halo_id: int, groups: tuple[str, ...]) -> Step:
        spec = SPECS[command.target.kind]
        resolved = self._resolved(command, tuple(name for group in groups for name in command.groups[group]))
        if not isinstance(resolved, Resolved):
            return self._not_written(command, row, resolved)
        try:
            element = element_to_update(spec, command, resolved, row, halo_id, groups)
        except Refused as refused:
            return Step(command.target, None, f"rejected: {refused}")
        if element.keys() == {"id"}:
            self._ended(command, row, Ending(status="applied", result="unchanged", halo_id=halo_id))
            return Step(command.target, None, "what has changed is written on creation alone")
        element = with_others(spec, command, element, self._records.get(command.target, {}))
        step = self._sent(command, spec, element, "update what has changed")
        self._answered(
            command, row, halo_id, element, Ending(status="applied", result="updated", halo_id=halo_id)
        )
        return step

    def _not_written(self, command: Command, row: TargetState, why: NotWanted | NeedsTarget) -> Step:
        if isinstance(why, NeedsTarget):
            return Step(command.target, None, "waits for a record that was rejected")
        self._ended(command, row, Ending(status="skipped", code=why.code, message=why.message))
        return Step(command.target, None, why.message)

    def _sent(self, command: Command, spec: KindSpec, element: Row, when: str) -> Step:
        matches = tuple(f"{rule.by} {rule.value}" if rule.value else rule.by for rule in command.match)
        request = Sent(
            method="POST",
            path=spec.resource.path,
            target=command.target.key,
            when=when,
            matches=() if "id" in element else matches,
            element=self._words.spoken(element),
        )
        return Step(command.target, request)

    def _resolved(self, command: Command, fields: Sequence[str]) -> Resolved | NotWanted | NeedsTarget:
        """Ids for all that the fields refer to; a record that no command has spoken of is taken to be there."""
        rows = {
            target: self._rows.get(target) or TargetState(target=target, halo_id=self._id_of(target))
            for target in targets_in(command, fields)
        }
        referred = referred_to(command, fields, rows)
        if not isinstance(referred, Referred):
            return referred
        names = {named: self._id_of_name(named) for named in names_in(command, fields)}
        return Resolved(
            targets=referred.ids,
            names=names,
            spellings={named: f"<{_in_words(named)}>" for named in names},
            sold=self._sold,
            absent=referred.absent,
        )

    # What is remembered -----------------------------------------------------------------------------------

    def _answered(
        self, command: Command, row: TargetState, halo_id: int, element: Row, ending: Ending
    ) -> None:
        """The row as after Halo's answer, which has ids for whatever the element made."""
        spec, target = SPECS[command.target.kind], command.target
        record = self._records.get(target, {}) | element | {"id": halo_id}
        for array in _ARRAYS:
            if array in record:
                record[array] = [
                    self._with_id(target, line, f"line {n}") for n, line in enumerate(record[array], 1)
                ]
        for name in spec.nested:
            if name in record:
                record[name] = self._with_id(target, record[name], name)
        if isinstance(command, UpsertClient):
            record["main_site_id"] = self._words.id_for(("main site", target), f"main site of {target.id}")
            if value_of(command.main_contact) is not None:
                record["main_contact_id"] = self._words.new(f"main contact of {target.id}")
        self._records[target] = record
        self._ended(command, holding(spec, command, element, record, row), ending)

    def _with_id(self, target: Target, part: Mapping[str, Any], words: str) -> Row:
        return {"id": self._words.new(f"{words} of {_spoken(target)}"), **part}

    def _ended(self, command: Command, row: TargetState, ending: Ending, *, owns: bool = True) -> None:
        outcome = Outcome(
            command_id=id_of(command),
            command_type=TYPE_OF_KIND[command.kind],
            target=command.target,
            status=ending.status,
            basis=command.basis,
            seq=command.seq,
        )
        after = next_state(row, command, ending, stored_outcome(outcome, None, 0.0), generation=0, owns=owns)
        if after is not None:
            self._rows[command.target] = after

    def _remember(self, command: Command, halo_id: int, resolved: Resolved) -> None:
        """What a client was made with, and what decides how an item is sold."""
        if isinstance(command, UpsertClient):
            self._clients[command.target] = command
        if isinstance(command, UpsertItem):
            group = value_of(command.group)
            group_id = None if group is None else resolved.name(group)
            self._sold[halo_id] = SoldItem(recurring=bool(value_of(command.recurring)), group_id=group_id)

    def _id_of(self, target: Target) -> int:
        row = self._rows.get(target)
        if row is not None and row.halo_id is not None:
            return row.halo_id
        return self._words.id_for(target, _spoken(target))

    def _id_of_name(self, named: Named) -> int:
        if isinstance(named.name, int):
            return named.name
        # An order's accounts are found by the item's group, however the rules came to either.
        thing = (named.lookup, folded(named.name)) if named.lookup == "asset_group" else named
        return self._words.id_for(thing, _in_words(named))


class _Words:
    """Numbers for what only Halo knows, each with the words that are shown in its place."""

    def __init__(self) -> None:
        self._shown: dict[int, str] = {}
        self._numbers: dict[Hashable, int] = {}

    def new(self, words: str) -> int:
        number = _FIRST_ID + len(self._shown)
        self._shown[number] = f"<{words}>"
        return number

    def id_for(self, thing: Hashable, words: str) -> int:
        """The number of this thing, the same each time."""
        if thing not in self._numbers:
            self._numbers[thing] = self.new(words)
        return self._numbers[thing]

    def spoken(self, value: Any) -> Any:
        """The value with words in the place of their numbers, however deep."""
        match value:
            case bool():
                return value
            case int():
                return self._shown.get(value, value)
            case str():
                return self._shown.get(int(value), value) if value.isdecimal() and len(value) < 12 else value
            case dict():
                return {name: self.spoken(inner) for name, inner in value.items()}
            case list():
                return [self.spoken(inner) for inner in value]
            case _:
                return value


class _SpokenFiles:
    """Files as a person reads them."""

    def data_uri(self, name: str, file: FileSource) -> str:
        return f"<the {file.size} bytes of {file.url}>"


def _spoken(target: Target) -> str:
    return f"{target.kind} {target.id}" + (f" ({target.scope})" if target.scope else "")


def _in_words(named: Named) -> str:
    """The name as the rules give it, and what is taken where Halo lacks it."""
    fallback = "" if named.fallback is None else f", else {named.fallback}"
    left = "" if named.missing == "reject" else ", else left out"
    return f"{named.lookup.replace('_', ' ')}: {named.name}{fallback}{left}"
