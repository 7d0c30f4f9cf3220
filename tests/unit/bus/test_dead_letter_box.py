"""Dead letters wait for their topic with their records unfinished; one that is refused holds up no other."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hub import dead_letter_box
from hub.bus.delivery import Delivery, Intake
from hub.bus.errors import PublishFailed, RecordTooLarge
from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Outgoing, Partition, Record
from hub.dead_letter_box import DeadLetterBox, Posted
from hub.telemetry.health import Condition
from tests.support.eventually import eventually


class Topic:
    """Takes what is published, or refuses: everything while `away`, large ones while `narrow`."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.away = self.narrow = False

    async def publish(self, records: Sequence[Outgoing]) -> None:
        if self.away and records:
            raise PublishFailed(len(records), "away")
        if self.narrow and any(len(record.value or b"") > 100 for record in records):
            raise RecordTooLarge("dead letters", 101)
        self.written += [record.value or b"" for record in records]


def posted(prefix: PartitionPrefix, intake: Intake, offset: int, value: bytes) -> Posted:
    prefix.added([offset], 0.0)
    record = Record("quotes", 0, offset, 0, b"k", b"{", ())
    return Posted(Outgoing("dead letters", b"acme", value), Delivery(record, intake))


def made() -> tuple[Topic, DeadLetterBox, Condition, PartitionPrefix, Intake]:
    topic, writable, prefix = Topic(), Condition(), PartitionPrefix()
    intake = Intake(Partition("quotes", 0), prefix, lambda _: None)
    return topic, DeadLetterBox(topic.publish, writable), writable, prefix, intake


async def test_a_letter_that_is_refused_holds_up_no_other_and_goes_when_it_may() -> None:
    topic, box, writable, prefix, intake = made()
    topic.narrow = True
    values = [b"a", b"x" * 200, b"b"]
    await box.post([posted(prefix, intake, offset, value) for offset, value in enumerate(values)])
    await box.flush()
    assert (topic.written, writable.ok, prefix.commit_position()) == ([b"a", b"b"], False, 1)
    topic.narrow = False
    await box.flush()
    assert (topic.written[2:], writable.ok, prefix.commit_position()) == ([values[1]], True, 3)


async def test_how_many_are_not_taken_is_told_until_they_are() -> None:
    topic, _, writable, prefix, intake = made()
    told: list[int] = []
    box = DeadLetterBox(topic.publish, writable, unwritten=told.append)
    topic.away = True
    await box.post([posted(prefix, intake, offset, b"x") for offset in range(3)])
    await box.flush()
    topic.away = False
    await box.flush()
    assert told == [3, 0]


async def test_letters_keep_their_order_while_kafka_is_away() -> None:
    topic, box, writable, prefix, intake = made()
    topic.away = True
    for offset in range(3):
        await box.post([posted(prefix, intake, offset, b"%d" % offset)])
        await box.flush()
    assert (topic.written, writable.ok) == ([], False)
    assert "3 dead letters" in writable.why
    topic.away = False
    await box.flush()
    assert (topic.written, writable.ok, prefix.unsettled) == ([b"0", b"1", b"2"], True, 0)


async def test_what_went_to_another_process_is_let_go() -> None:
    topic, box, writable, prefix, intake = made()
    topic.away = True
    await box.post([posted(prefix, intake, 0, b"a")])
    await box.flush()
    intake.active = topic.away = False
    await box.flush()
    assert (topic.written, writable.ok) == ([], True)


async def test_only_when_too_much_waits_does_the_stage_wait_too() -> None:
    topic, box, _, prefix, intake = made()
    topic.away = True
    half = b"x" * (dead_letter_box.MAX_KEPT_BYTES // 2)
    await box.post([posted(prefix, intake, 0, half)])
    running = asyncio.create_task(box.run())
    third = asyncio.create_task(box.post([posted(prefix, intake, offset, half) for offset in (1, 2)]))
    lives: list[int] = []
    intake.show_life = lambda: lives.append(1)
    await eventually(lambda: lives)
    assert not third.done()
    await box.post([])
    topic.away = False
    await eventually(third.done)
    await eventually(lambda: prefix.unsettled == 0)
    running.cancel()
