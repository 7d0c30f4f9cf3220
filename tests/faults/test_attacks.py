"""Odd input and odd moments that once lost a command, doubled it, or held up everyone behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from hub.bus.producer import check_record
from hub.bus.records import Partition, Record
from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES
from hub.telemetry.metrics import Metrics
from schemas.envelope import headers_of
from schemas.faults import DataInvalid, decode_source
from schemas.identity import id_of
from schemas.outcomes import DeadLetter
from schemas.registry import decode, encode
from schemas.topics import COMMANDS
from services.halo_writer import writer as writers
from services.halo_writer.ending import Ending, rejected_command
from services.halo_writer.intake import Unreadable, read_command
from services.halo_writer.writer import Writer
from services.mapper.emit import command_message
from tests.integration.halo_writer.bench import Bench
from tests.integration.halo_writer.conftest import (  # noqa: F401 - the bench and what it is made of
    bench,
    empty_store,
    make_bench,
    sandbox_process,
    writer_store_url,
)
from tests.unit.halo_writer.build import Tool, envelope_of, work_of
from tests.unit.mapper.build import envelope, line, mapped, quote


def _record(value: bytes, headers: Sequence[tuple[str, bytes]]) -> Record:
    return Record(
        topic=COMMANDS,
        partition=0,
        offset=0,
        timestamp_ms=0,
        key=b"acme",
        value=value,
        headers=tuple(headers),
    )


# A tenant file that names another Halo ----------------------------------------------------------------------


async def test_a_command_that_was_made_for_another_halo_sends_nothing_to_this_one(bench: Bench) -> None:  # noqa: F811
    """Its ids are other records here: an update would overwrite a stranger, a create would come twice."""
    here = bench.tool
    await bench.settle(*here.whole_quote())
    bench.marked()
    commands = replace(here, instance="old.halopsa.example").whole_quote()
    await bench.settle(*commands)
    assert {bench.outcome(command).code for command in commands} == {"instance.changed"}
    assert len(bench.dead_letters()) == len(commands)
    assert bench.requests() == []


async def test_a_command_of_rules_that_the_writer_has_not_read_yet_waits_for_them(bench: Bench) -> None:  # noqa: F811
    """The tenant's new Halo may be known to the mapper first."""
    command = replace(bench.tool, instance="new.halopsa.example").client()
    command = msgspec.structs.replace(command, basis=msgspec.structs.replace(command.basis, rule_sequence=2))
    await bench.deliver(command)
    (waiting,) = await bench.pending()
    assert (waiting.reason, waiting.message_id) == ("instance", id_of(command))
    assert bench.requests() == []


def test_an_id_that_no_halo_can_have_is_refused_at_the_door() -> None:
    """The store can't hold it: its command would fail again every minute."""
    event = b'{"title": "T", "lines": [], "customer": {"name": "C", "halo_id": 3000000000}}'
    with pytest.raises(DataInvalid) as raised:
        decode_source("quote.published.v1", event)
    assert [fault.at for fault in raised.value.faults] == ["customer.halo_id"]


# What names may hold ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        {"lines": [line(product={"name": "Widget\nlarge"})]},
        {"lines": [line(product={"name": "Widget", "manufacturer_part_number": "A\tB"})]},
        {"customer": {"name": "Contoso\x00Ltd", "site": "North\x01"}},
        {"contact": {"name": "Ann\x7f\x1b"}},
    ],
    ids=["product", "part number", "customer and site", "contact"],
)
def test_control_characters_in_a_name_still_make_commands_that_the_writer_reads(odd: dict[str, Any]) -> None:
    for command in mapped(quote(**odd)).commands:
        message = command_message(command, envelope(1))
        work = read_command(_record(message.value or b"", message.headers))
        assert work.command.target == command.target


# Poison on the commands topic -------------------------------------------------------------------------------


def test_a_command_that_is_no_utf8_is_set_aside_and_not_raised() -> None:
    command = Tool().client(name="Brackenridge")
    with pytest.raises(Unreadable) as raised:
        read_command(
            _record(encode(command).replace(b"Bracken", b"\xff\xfe"), headers_of(envelope_of(command)))
        )
    assert raised.value.reason == "data.not_json"


def test_the_dead_letter_of_the_largest_command_fits_into_a_message() -> None:
    """One that doesn't would stay in the outbox, and hold back all that its tenant does, for ever."""
    work = work_of(Tool().quote(title="x" * (DEFAULT_MAX_RECORD_BYTES - 10_000)))
    letter = rejected_command(work, Ending(status="rejected", code="halo.rejected", message="no"), 0.0)
    check_record(letter, DEFAULT_MAX_RECORD_BYTES)
    kept: DeadLetter = decode("dead_letter.recorded.v1", letter.value or b"")
    assert kept.basis is not None
    assert kept.basis.event_id == work.command.basis.event_id


# Stopping ---------------------------------------------------------------------------------------------------


async def test_a_writer_that_stops_starts_no_lane_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane that stops with commands in memory was started again, at once and without end."""
    runs = 0

    class StoppedLane:
        waiting = 1
        held = None

        def __init__(self, tenant: str, *_: object) -> None:
            self.tenant = tenant
            self._stopped = asyncio.Event()

        def submit(self, _work: object) -> None: ...

        def stop(self) -> None:
            self._stopped.set()

        async def run(self) -> None:
            nonlocal runs
            runs += 1
            await self._stopped.wait()

    monkeypatch.setattr(writers, "Lane", StoppedLane)
    services: Any = SimpleNamespace(steps=SimpleNamespace(reached=lambda _step: None))
    none: Any = None
    writer = Writer(services, none, none, Metrics(), none, partitions=1, request_timeout_s=1.0)
    await writer.assigned(frozenset({Partition(COMMANDS, 0)}))
    command = Tool().client()
    record = _record(encode(command), headers_of(envelope_of(command)))
    delivery: Any = SimpleNamespace(record=record, active=True, done=lambda: None)
    await writer.take([delivery])
    await asyncio.sleep(0)
    await writer.stop()
    for _ in range(20):
        await asyncio.sleep(0)
    assert runs == 1
