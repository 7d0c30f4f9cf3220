"""Waiting rows in SQLite against a dict: one for each target and stage, the newest message, the first `since`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Coroutine
from operator import attrgetter
from typing import Any, ClassVar, TypeVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from hub.store import pending
from hub.store.pending import Pending, Stage
from tests.model.machines import Machine, run
from tests.model.stores import OneTransaction

T = TypeVar("T")
Key = tuple[str, Stage, str]

STAGES: tuple[Stage, ...] = ("mapper", "writer")
TENANTS = ("acme", "globex")
TARGETS = ("acme/h/s/client/1/", "acme/h/s/quote/%2F1/", "version/1", "é")
tenants, stages, targets = st.sampled_from(TENANTS), st.sampled_from(STAGES), st.sampled_from(TARGETS)
seqs = st.lists(st.one_of(st.integers(0, 12), st.integers(0, 2**63 - 1)), max_size=3).map(tuple)
rows = st.builds(
    Pending,
    tenant=tenants,
    stage=stages,
    target_key=targets,
    message_id=st.sampled_from(["m1", "m2", "m3"]),
    message_type=st.just("upsert_quote.v1"),
    headers=st.binary(max_size=3),
    value=st.binary(max_size=3),
    reason=st.sampled_from(["ambiguous", "dependency", "limited"]),
    waits_for=st.one_of(st.none(), targets),
    not_before=st.integers(0, 20).map(float),
    since=st.integers(0, 20).map(float),
    seq=seqs,
    attempts=st.integers(0, 3),
    note=st.one_of(st.none(), st.sampled_from(["Halo didn't answer", "\N{SNOWMAN}"])),
)


class Waiting(Machine):
    """Puts, replaces and removes rows as writers do, and asks after each step what waits."""

    store: ClassVar[OneTransaction]

    def __init__(self) -> None:
        super().__init__()
        self.model: dict[Key, Pending] = {}

    def teardown(self) -> None:
        super().teardown()
        self.store.forget()

    def ask(self, question: Coroutine[Any, Any, T]) -> T:
        return self.store.run(question)

    @property
    def conn(self) -> Any:
        return self.store.connection

    def puts(self, row: Pending) -> None:
        key = (row.tenant, row.stage, row.target_key)
        before = self.model.get(key)
        self.saw("put" if before is None else "replaced")
        self.model[key] = row if before is None else msgspec.structs.replace(row, since=before.since)

    def of(self, tenant: str, stage: Stage) -> list[Pending]:
        found = [row for row in self.model.values() if (row.tenant, row.stage) == (tenant, stage)]
        return sorted(found, key=attrgetter("since", "target_key"))

    @rule(row=rows)
    def put(self, row: Pending) -> None:
        self.ask(pending.put(self.conn, row))
        self.puts(row)

    @rule(several=st.lists(rows, max_size=4, unique_by=lambda row: (row.tenant, row.stage, row.target_key)))
    def put_many(self, several: list[Pending]) -> None:
        self.ask(pending.put_many(self.conn, several))
        for row in several:
            self.puts(row)
        if len(several) > 1:
            self.saw("several at once")

    @precondition(lambda self: self.model)
    @rule(pick=st.integers(0, 20), row=rows)
    def newer_message(self, pick: int, row: Pending) -> None:
        tenant, stage, target_key = sorted(self.model)[pick % len(self.model)]
        self.put(msgspec.structs.replace(row, tenant=tenant, stage=stage, target_key=target_key))

    @rule(tenant=tenants, stage=stages, target_key=targets)
    def remove(self, tenant: str, stage: Stage, target_key: str) -> None:
        self.ask(pending.remove(self.conn, tenant, stage, target_key))
        self.saw("removed" if self.model.pop((tenant, stage, target_key), None) else "nothing to remove")

    @precondition(lambda self: self.model)
    @rule(pick=st.integers(0, 20))
    def remove_one_that_is_there(self, pick: int) -> None:
        self.remove(*sorted(self.model)[pick % len(self.model)])

    @precondition(lambda self: self.model)
    @rule(pick=st.integers(0, 20), own=st.booleans())
    def remove_its_own_row(self, pick: int, own: bool) -> None:
        """A row goes only if it is still the one of the message that has ended."""
        key = sorted(self.model)[pick % len(self.model)]
        ended = self.model[key].message_id if own else "that of another"
        self.ask(pending.remove(self.conn, *key, ended))
        if own:
            del self.model[key]
        self.saw("own row removed" if own else "another's row stays")

    @rule(
        now=st.integers(5, 40).map(float),
        stage=stages,
        besides=st.one_of(st.none(), st.just("ambiguous")),
    )
    def due(self, now: float, stage: Stage, besides: str | None) -> None:
        found = self.ask(pending.due_tenants(self.conn, stage, now, besides=besides))
        waiting = [row for row in self.model.values() if row.stage == stage and row.not_before <= now]
        due = {row.tenant for row in waiting if row.reason != besides}
        assert found == sorted(due)
        self.saw("due" if due else "not due")

    @rule(stage=stages, reason=st.sampled_from(["ambiguous", "limited"]))
    def of_one_reason(self, stage: Stage, reason: str) -> None:
        found = self.ask(pending.tenants_with(self.conn, stage, reason))
        those = [row for row in self.model.values() if (row.stage, row.reason) == (stage, reason)]
        assert found == sorted({row.tenant for row in those})

    @rule(tenant=tenants, stage=stages, keys=st.sets(targets))
    def load(self, tenant: str, stage: Stage, keys: set[str]) -> None:
        found = self.ask(pending.load(self.conn, tenant, stage, keys))
        there = [row for row in self.of(tenant, stage) if row.target_key in keys]
        assert sorted(found, key=attrgetter("target_key")) == sorted(there, key=attrgetter("target_key"))
        self.saw("loaded" if there else "nothing to load")

    @precondition(lambda self: self.model)
    @rule(pick=st.integers(0, 20), keys=st.sets(targets))
    def load_one_that_is_there(self, pick: int, keys: set[str]) -> None:
        tenant, stage, target_key = sorted(self.model)[pick % len(self.model)]
        self.load(tenant, stage, {target_key, *keys})

    @rule(tenant=tenants, stage=stages)
    def briefs(self, tenant: str, stage: Stage) -> None:
        found = self.ask(pending.briefs(self.conn, tenant, stage))
        expected = [pending.Brief.of(row) for row in self.of(tenant, stage)]
        assert sorted(found, key=attrgetter("target_key")) == sorted(expected, key=attrgetter("target_key"))

    @rule(
        tenant=st.one_of(st.none(), tenants),
        reason=st.one_of(st.none(), st.just("dependency")),
        limit=st.integers(1, 6),
    )
    def listing(self, tenant: str | None, reason: str | None, limit: int) -> None:
        chosen = [
            row
            for row in self.model.values()
            if tenant in (None, row.tenant) and reason in (None, row.reason)
        ]
        order = attrgetter("since", "tenant", "target_key")
        found = self.ask(pending.listing(self.conn, tenant, reason, limit))
        assert [order(row) for row in found] == sorted(map(order, chosen))[:limit]
        assert all(row in chosen for row in found)

    @invariant()
    def what_waits_is_what_the_dict_holds_longest_first(self) -> None:
        for tenant in TENANTS:
            for stage in STAGES:
                assert self.ask(pending.of_tenant(self.conn, tenant, stage)) == self.of(tenant, stage)

    @invariant()
    def the_backlog_counts_by_reason(self) -> None:
        counts = Counter((row.tenant, row.stage, row.reason) for row in self.model.values())
        since: dict[tuple[str, str, str], float] = {}
        for row in self.model.values():
            group = (row.tenant, row.stage, row.reason)
            since[group] = min(since.get(group, row.since), row.since)
        found = {
            (each.tenant, each.stage, each.reason): (each.count, each.oldest_since)
            for each in self.ask(pending.count_by_reason(self.conn))
        }
        assert found == {group: (counts[group], since[group]) for group in counts}


def test_rows_wait_as_a_dict_would_keep_them() -> None:
    with OneTransaction() as store:
        Waiting.store = store
        run(
            Waiting,
            interesting=[
                "put",
                "replaced",
                "several at once",
                "removed",
                "nothing to remove",
                "own row removed",
                "another's row stays",
                "loaded",
                "nothing to load",
                "due",
                "not due",
            ],
            examples=80,
            steps=25,
        )
