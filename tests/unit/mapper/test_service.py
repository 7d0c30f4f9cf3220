"""The shell around the mapping: nothing is marked before what it caused is published and saved."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hub.bus.delivery import Delivery, Intake
from hub.bus.errors import PublishFailed, RecordTooLarge
from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Outgoing, Partition
from hub.bus.records import Record as LogRecord
from hub.dead_letter_box import DeadLetterBox
from hub.steps import Steps
from hub.store import pending, records
from hub.store.engine import Store
from hub.telemetry.health import Condition
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import Rules
from schemas.topics import COMMANDS, DEAD_LETTERS, QUOTES
from services.mapper.rows import waiting_key
from services.mapper.service import Mapper
from tests.unit.mapper.build import START, envelope, line, quote, rules, status
from tests.unit.mapper.test_batch import KEY, SENT, commands, on_log


class Bench:
    """A mapper with a real store and a publisher that keeps what it gets."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.present: dict[str, Rules] = {"acme": Rules("acme", 7, "h", rules())}
        self.published: list[Outgoing] = []
        self.failures = 0
        self.letters_fail = False
        self.on_publish: Any = None
        self.writable = Condition()
        self.letters = DeadLetterBox(self.publish, self.writable)
        self.metrics = Metrics()
        self.mapper = Mapper(
            store,
            self,
            self.publish,
            self.letters,
            self.metrics,
            max_message_bytes=1_000_000,
            now=lambda: START,
            steps=Steps({}),
        )

    def get(self, tenant: str) -> Rules | None:
        return self.present.get(tenant)

    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        if self.letters_fail and any(one.topic == DEAD_LETTERS for one in outgoing):
            raise RecordTooLarge(DEAD_LETTERS, 1)
        if outgoing and self.failures:
            self.failures -= 1
            raise PublishFailed(len(outgoing), "test")
        self.published += outgoing
        if outgoing and self.on_publish is not None:
            hook, self.on_publish = self.on_publish, None
            await hook()

    async def rows(self) -> list[pending.Pending]:
        async with self.store.read() as conn:
            return await pending.of_tenant(conn, "acme", "mapper")

    async def record(self) -> records.Record | None:
        async with self.store.read() as conn:
            return (await records.load_many(conn, [KEY])).get(KEY)


@pytest.fixture
async def bench(tmp_path: Any) -> Any:
    store = await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}")
    await store.migrate()
    yield Bench(store)
    await store.close()


def deliveries(
    *on: LogRecord, show_life: Callable[[], None] = lambda: None
) -> tuple[list[Delivery], PartitionPrefix]:
    prefix = PartitionPrefix()
    prefix.added([record.offset for record in on], 0.0)
    intake = Intake(Partition(QUOTES, 0), prefix, lambda _: None, show_life)
    return [Delivery(record, intake) for record in on], prefix


async def test_a_batch_is_done_when_its_commands_are_out_and_its_record_is_saved(bench: Bench) -> None:
    batch, prefix = deliveries(on_log(envelope(1), quote(), 0), on_log(status(2), SENT, 1))
    await bench.mapper.handle(batch)
    assert prefix.unsettled == 0
    assert len(bench.published) == 6
    record = await bench.record()
    assert record is not None
    assert (record.version, set(record.groups)) == (1, {"head", "lines", "status"})


async def test_nothing_is_saved_or_done_while_kafka_does_not_answer(bench: Bench) -> None:
    batch, prefix = deliveries(on_log(envelope(1), quote()))
    bench.failures = 1
    with pytest.raises(PublishFailed):
        await bench.mapper.process([one.record for one in batch])
    assert await bench.record() is None
    assert prefix.unsettled == 1


async def test_an_absent_kafka_is_waited_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", nap)
    batch, prefix = deliveries(on_log(envelope(1), quote()))
    bench.failures = 6
    await bench.mapper.handle(batch)
    assert prefix.unsettled == 0
    assert naps == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0]


async def test_an_absent_kafka_never_makes_the_mapper_look_dead(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Life is shown before and after each pause, and at no other time: a try that hangs shows none."""
    said: list[str] = []

    async def nap(_seconds: float) -> None:
        said.append("pause")

    monkeypatch.setattr(asyncio, "sleep", nap)
    batch, _ = deliveries(on_log(envelope(1), quote()), show_life=lambda: said.append("life"))
    bench.failures = 2
    await bench.mapper.handle(batch)
    assert said == ["life", "pause", "life"] * 2


async def test_a_repeated_status_leaves_no_row_behind_when_its_quote_comes_meanwhile(bench: Bench) -> None:
    """A process that still has the partition's old records maps the status again while its successor maps the quote."""
    await bench.mapper.process([on_log(status(2), SENT)])
    assert [row.reason for row in await bench.rows()] == ["base"]

    async def meanwhile() -> None:
        await bench.mapper.process([on_log(envelope(1), quote(), 1)])

    bench.on_publish = meanwhile
    await bench.mapper.process([on_log(envelope(1, subject="Q-2"), quote(), 2), on_log(status(2), SENT)])
    assert await bench.rows() == []


async def test_a_batch_whose_partition_went_elsewhere_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, prefix = deliveries(on_log(envelope(1), quote()))
    batch[0]._intake.active = False

    async def nap(_seconds: float) -> None:
        pass

    monkeypatch.setattr(asyncio, "sleep", nap)
    bench.failures = 1_000
    await bench.mapper.handle(batch)
    assert prefix.unsettled == 1


async def test_a_record_that_another_process_changed_meanwhile_is_folded_again(bench: Bench) -> None:
    async def meanwhile() -> None:
        other = Bench(bench.store)
        await other.mapper.process([on_log(envelope(3), quote(title="Three"))])

    bench.on_publish = meanwhile
    await bench.mapper.process([on_log(status(2), SENT), on_log(envelope(1), quote(title="One"))])
    record = await bench.record()
    assert record is not None
    assert {name: group.version for name, group in record.groups.items()} == {
        "head": 3,
        "lines": 3,
        "status": 2,
    }
    newest = max(
        (command for _, command in commands(bench.published) if command.kind == "quote"), key=lambda c: c.seq
    )
    assert (newest.title.value, newest.status.value.name) == ("Three", "sent")


async def test_a_status_before_its_base_is_a_visible_row_until_the_base_comes(bench: Bench) -> None:
    await bench.mapper.process([on_log(status(2), SENT)])
    (row,) = await bench.rows()
    assert (row.reason, row.target_key, row.message_id) == ("base", waiting_key(KEY), "e-2")
    await bench.mapper.process([on_log(envelope(1), quote())])
    assert await bench.rows() == []


async def test_each_event_of_an_unknown_tenant_is_a_row_of_its_own_with_its_bytes(bench: Bench) -> None:
    bench.present.clear()
    two = [on_log(envelope(1), quote(), 0), on_log(status(2), SENT, 1)]
    await bench.mapper.process(two)
    await bench.mapper.process(two)
    rows = await bench.rows()
    assert {row.reason for row in rows} == {"settings"}
    assert [row.value for row in rows] == [record.value for record in two]
    assert await bench.record() is None


async def test_tombstones_and_rubbish_are_finished_too(bench: Bench) -> None:
    good = on_log(envelope(1), quote(), 2)
    tombstone = LogRecord(QUOTES, 0, 0, 0, b"k", None, ())
    rubbish = LogRecord(QUOTES, 0, 1, 0, b"k", b"{", ())
    batch, prefix = deliveries(tombstone, rubbish, good)
    await bench.mapper.handle(batch)
    assert prefix.unsettled == 1, "rubbish is finished when its dead letter is acknowledged"
    await bench.letters.flush()
    assert prefix.unsettled == 0
    assert [one.topic for one in bench.published] == [*[COMMANDS] * 5, DEAD_LETTERS]


async def test_what_cannot_be_set_aside_holds_back_its_offset_and_nobody_else(bench: Bench) -> None:
    unmappable = quote(lines=[line(discount={"amount": "101"})])
    batch, prefix = deliveries(
        LogRecord(QUOTES, 0, 0, 0, b"k", b"{", ()),
        on_log(envelope(1), unmappable, 1),
        on_log(envelope(2), quote(), 2),
    )
    bench.letters_fail = True
    await bench.mapper.handle(batch)
    await bench.letters.flush()
    assert [one.topic for one in bench.published] == [COMMANDS] * 5
    assert (prefix.unsettled, prefix.commit_position(), bench.writable.ok) == (2, None, False)
    bench.letters_fail = False
    await bench.letters.flush()
    assert [one.topic for one in bench.published[5:]] == [DEAD_LETTERS] * 2
    assert (prefix.unsettled, prefix.commit_position(), bench.writable.ok) == (0, 3, True)


@pytest.mark.feature("log.metrics", part="all")
async def test_a_dead_letter_is_counted_for_its_tenant_and_rubbish_for_none(bench: Bench) -> None:
    unmappable = quote(lines=[line(discount={"amount": "101"})])
    rubbish = LogRecord(QUOTES, 0, 0, 0, b"k", b"{", ())
    await bench.mapper.process([rubbish, on_log(envelope(1), unmappable, 1)])
    (family,) = [one for one in bench.metrics.registry.collect() if one.name == "hub_dead_letters"]
    counted = {
        sample.labels["tenant"]: sample.value for sample in family.samples if sample.name.endswith("_total")
    }
    assert counted == {"unknown": 1, "acme": 1}
