"""The same events make the same bytes: in any process, in batches of any size, from whatever a store gives back."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from hub.bus.records import Outgoing
from hub.store.records import Group, Record, RecordKey
from schemas.topics import COMMANDS
from services.mapper.batch import Batch, DesiredCache
from services.mapper.intake import Event
from tests.golden.history import History, histories
from tests.golden.replay import commands_text, events_of, mapped, rules_of, shown_text

ROOT = Path(__file__).parents[2]
_ELSEWHERE = {"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland", "LC_ALL": "C", "PYTHONUTF8": "1"}


@pytest.mark.feature("item.number.macro", part="mapper")
def test_every_process_makes_the_same_bytes() -> None:
    """Whatever the order of its sets, its time zone and its locale; those of this process are the machine's."""
    elsewhere = subprocess.run(
        [sys.executable, "-m", "tests.golden", "--print"],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, **_ELSEWHERE, "PYTHONPATH": str(ROOT)},
        timeout=280,
        check=True,
    )
    here = "".join(commands_text(played) + shown_text(played) for played in map(mapped, histories()))
    assert elsewhere.stdout == here.encode()


def test_batches_of_any_size_make_the_same_commands(history: History) -> None:
    events = events_of(history)
    together = _messages(history, [events])
    assert together == _messages(history, [[event] for event in events])
    assert together or history.name == "refused"


def _messages(history: History, batches: Sequence[Sequence[Event]]) -> list[Outgoing]:
    """The commands of batches, each begun from the records as a store gives them back, in another order each time."""
    rules, shuffle = rules_of(history), random.Random(history.name)
    stored: dict[RecordKey, bytes] = {}
    messages: list[Outgoing] = []
    for events in batches:
        keys = list(stored)
        shuffle.shuffle(keys)
        loaded = {key: _loaded(stored[key], shuffle) for key in keys}
        batch = Batch(loaded, lambda _: rules, DesiredCache(), max_message_bytes=1_000_000)
        batch.run(events)
        stored |= {record.key: msgspec.json.encode(record) for record, _ in batch.changed()}
        messages += [message for message in batch.outgoing if message.topic == COMMANDS]
    return messages


def _loaded(stored: bytes, shuffle: random.Random) -> Record:
    record = msgspec.json.decode(stored, type=Record)
    groups: list[tuple[str, Group]] = list(record.groups.items())
    shuffle.shuffle(groups)
    return msgspec.structs.replace(record, groups=dict(groups))
