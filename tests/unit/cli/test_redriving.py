"""Running dead letters again: the source event comes once more, unchanged but for its cause."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from cli.dead_letters import HIDDEN, Letter, payload, read_letters, select
from cli.redriving import Redriven, redrive
from hub.bus.producer import check_record
from hub.bus.records import Outgoing
from hub.bus.settings import DEFAULT_MAX_RECORD_BYTES
from hub.dead_letters import MAX_KEPT_BYTES, of_record
from schemas.control import REDRIVE_ID, RedriveRequested
from schemas.envelope import from_headers
from schemas.registry import decode
from schemas.topics import CONTROL, DEAD_LETTERS, QUOTES
from tests.unit.cli.topics import (
    QUOTE_VALUE,
    Topics,
    a_whole_story,
    basis,
    command,
    event,
    headers,
    letter_of_command,
    letter_of_event,
)


async def letters(log: Topics) -> list[Letter]:
    return await read_letters(log.read(DEAD_LETTERS), log.read(CONTROL))


async def redriven(log: Topics, chosen: list[Letter]) -> Redriven:
    return await redrive(chosen, log.read, log.publish, "ops@desk")


@pytest.mark.feature("beyond.redrive", part="cli")
async def test_a_commands_dead_letter_runs_the_event_behind_it() -> None:
    log = a_whole_story()
    done = await redriven(log, await letters(log))
    assert (done.letters, done.events, done.lost) == (1, 1, ())
    request = log.records[CONTROL][-1]
    asked = decode("redrive.requested.v1", request.value or b"")
    assert asked == RedriveRequested(dead_letter_id="dl-2", by="ops@desk", origin=QUOTES, event_id="e-2")
    again = log.records[QUOTES][-1]
    first = log.records[QUOTES][1]
    assert (again.key, again.value) == (first.key, first.value)
    envelope = from_headers(again.headers)
    assert envelope.id == "e-2"
    assert envelope.causationid == from_headers(request.headers).id
    assert envelope.causationid.startswith(REDRIVE_ID), (
        "the mapper tells it from a cause of the producer's by that"
    )
    assert {k: v for k, v in headers(again).items() if k != "ce_causationid"} == headers(first)


@pytest.mark.feature("beyond.redrive", part="cli")
async def test_an_events_dead_letter_runs_that_event_byte_for_byte() -> None:
    log = Topics()
    made = event("e-bad", "Q-1")
    odd = Outgoing(made.topic, b"wrong key", b"\xff\x00 no json", (*made.headers, ("x-odd", b"\xfe")))
    log.add(letter_of_event("dl-1", odd))
    await redriven(log, await letters(log))
    (again,) = log.records[QUOTES]
    assert (again.key, again.value) == (odd.key, odd.value)
    assert headers(again)["x-odd"] == b"\xfe"


@pytest.mark.feature("beyond.redrive", part="cli")
async def test_an_event_too_large_for_its_dead_letter_is_read_where_it_stays() -> None:
    log = Topics()
    small = event("e-1", "Q-1")
    log.add(small)
    log.add(replace(event("e-2", "Q-2"), value=b" " * MAX_KEPT_BYTES + b"{}"))
    large = log.records[QUOTES][1]
    log.add(of_record(large, "mapper", "event.invalid", "too many lines"))
    (letter,) = await letters(log)
    assert letter.data.value is None
    done = await redriven(log, [letter])
    assert (done.letters, done.events, done.lost) == (1, 1, ())
    again = log.records[QUOTES][-1]
    assert (again.key, again.value) == (large.key, large.value)


@pytest.mark.fault("F29")
async def test_an_event_too_large_to_be_published_again_stops_no_other_and_is_not_told_as_redriven() -> None:
    log = Topics()
    small = event("e-1", "Q-1")
    log.add(letter_of_event("dl-1", small))
    huge = log.add(replace(event("e-2", "Q-2"), value=b" " * DEFAULT_MAX_RECORD_BYTES + b"{}"))
    log.add(of_record(huge, "mapper", "data.too_large", "too large"))

    async def publish(records: Sequence[Outgoing]) -> None:
        for record in records:
            check_record(record, DEFAULT_MAX_RECORD_BYTES)
        await log.publish(records)

    chosen = await letters(log)
    done = await redrive(chosen, log.read, publish, "ops@desk")
    (large,) = [letter.id for letter in chosen if letter.id != "dl-1"]
    assert (done.letters, done.events, done.too_large) == (1, 1, (large,))
    assert {letter.id: letter.redriven for letter in await letters(log)} == {"dl-1": 1, large: 0}


async def test_another_record_at_the_same_place_is_never_run_instead() -> None:
    """The topic was made anew since: what stands there now may be another tenant's."""
    log = Topics()
    large = log.add(replace(event("e-1", "Q-1"), value=b" " * MAX_KEPT_BYTES + b"{}"))
    log.add(of_record(large, "mapper", "event.invalid", "too many lines"))
    log.records[QUOTES].clear()
    log.add(event("e-9", "Q-1", tenant="other"))
    chosen = await letters(log)
    done = await redriven(log, chosen)
    assert (done.events, done.lost) == (0, (chosen[0].id,))
    assert len(log.records[QUOTES]) == 1


@pytest.mark.feature("beyond.redrive", part="cli")
async def test_twice_does_no_harm_and_each_time_is_an_event_of_its_own() -> None:
    log = a_whole_story()
    await redriven(log, await letters(log))
    await redriven(log, await letters(log))
    first, second = log.records[QUOTES][-2:]
    assert (first.key, first.value) == (second.key, second.value)
    assert from_headers(first.headers).id == from_headers(second.headers).id == "e-2"
    requests = [from_headers(record.headers) for record in log.records[CONTROL]]
    assert len({envelope.id for envelope in requests if envelope.type == "redrive.requested.v1"}) == 2
    (letter,) = await letters(log)
    assert letter.redriven == 2


async def test_several_commands_of_one_event_run_it_once() -> None:
    log = Topics()
    log.add(event("e-1", "Q-1"))
    because = basis("e-1", "Q-1")
    for number, kind in enumerate(("client", "quote")):
        command_id, made = command(kind, f"x-{number}", because)  # type: ignore[arg-type]
        log.add(letter_of_command(f"dl-{number}", command_id, made, because))
    done = await redriven(log, await letters(log))
    assert (done.letters, done.events) == (2, 1)


async def test_an_event_that_the_log_no_longer_holds_is_named_and_nothing_is_published_for_it() -> None:
    log = Topics()
    because = basis("e-gone", "Q-1")
    command_id, made = command("quote", "Q-1", because)
    log.add(letter_of_command("dl-1", command_id, made, because))
    log.add(event("e-other", "Q-1"))
    done = await redriven(log, await letters(log))
    assert (done.letters, done.events, done.lost) == (0, 0, ("dl-1",))
    assert log.records[CONTROL] == []


async def test_a_letter_of_no_known_tenant_can_be_run_again() -> None:
    log = Topics()
    log.add(letter_of_event("dl-1", event("e-bad", "Q-1"), tenant=None))
    done = await redriven(log, await letters(log))
    assert done.events == 1
    from_headers(log.records[CONTROL][-1].headers)


async def test_letters_are_chosen_by_tenant_and_reason() -> None:
    log = a_whole_story()
    log.add(letter_of_event("dl-3", event("e-bad", "Q-1")))
    found = await letters(log)
    assert [letter.id for letter in select(found, tenant="acme", reason="data.invalid")] == ["dl-3"]
    assert select(found, tenant="northwind", reason=None) == []


@pytest.mark.feature("beyond.redrive", part="cli")
async def test_a_letter_is_shown_without_its_values_unless_asked() -> None:
    log = Topics()
    log.add(letter_of_event("dl-1", event("e-bad", "Q-1")))
    (letter,) = await letters(log)
    assert payload(letter.data, reveal=False) == {
        "title": HIDDEN,
        "customer": {"name": HIDDEN},
        "lines": [],
    }
    assert payload(letter.data, reveal=True)["title"] == "Secret project"
    assert QUOTE_VALUE
