"""What a batch of events comes to: records to save, messages to publish, rows that begin or end to wait."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import pytest

from hub.bus.producer import record_size
from hub.bus.records import Outgoing
from hub.bus.records import Record as LogRecord
from hub.store.records import RecordKey
from hub.tenants.follower import Rules
from hub.tenants.model import RuleSet
from schemas.commands import COMMANDS as COMMAND_TYPES
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.quotes import Quote, QuoteStatus
from schemas.registry import decode, encode
from schemas.topics import COMMANDS, DEAD_LETTERS, QUOTES
from services.mapper import batch as batch_module
from services.mapper import quote as quote_module
from services.mapper.batch import Batch, DesiredCache
from services.mapper.emit import event_again
from services.mapper.intake import Event, Refused, read
from tests.unit.mapper.build import START, envelope, line, quote, rules, status

KEY = RecordKey("acme", "quoter", "quote", "Q-1")
SENT = QuoteStatus(status="sent")


def on_log(about: Envelope, data: Quote | QuoteStatus, offset: int = 0) -> LogRecord:
    return LogRecord(QUOTES, 0, offset, 0, about.key, encode(data), headers_of(about))


def event(about: Envelope, data: Quote | QuoteStatus, offset: int = 0) -> Event:
    found = read(on_log(about, data, offset), START)
    assert isinstance(found, Event)
    return found


def run(*events: Event, loaded: Any = None, rule_set: RuleSet | None = None, **options: Any) -> Batch:
    present = Rules("acme", 7, "h", rule_set or rules())
    options = {"max_message_bytes": 1_000_000} | options
    made = Batch(
        loaded or {}, lambda tenant: present if tenant == "acme" else None, DesiredCache(), **options
    )
    made.run(events)
    return made


def results(made: Batch) -> list[str]:
    return [one.result.reason if isinstance(one.result, Refused) else one.result for one in made.settled]


def refusals(made: Batch) -> list[Refused]:
    return [one.result for one in made.settled if isinstance(one.result, Refused)]


def commands(outgoing: Sequence[Outgoing]) -> list[tuple[Envelope, Any]]:
    found = []
    for one in outgoing:
        if one.topic == COMMANDS:
            about = from_headers(one.headers)
            found.append((about, decode(about.type, one.value or b"")))
    return found


def ids(outgoing: Sequence[Outgoing]) -> list[str]:
    return [about.id for about, _ in commands(outgoing)]


def test_events_of_one_entity_fold_one_after_another() -> None:
    made = run(
        event(envelope(1), quote(status="draft")),
        event(status(2), SENT),
        event(envelope(3), quote(title="New")),
    )
    assert results(made) == ["mapped", "mapped", "mapped"]
    ((record, expected),) = made.changed()
    assert (record.version, expected) == (1, 0)
    assert {name: group.version for name, group in record.groups.items()} == {
        "head": 3,
        "lines": 3,
        "status": 2,
    }
    quotes = [command for _, command in commands(made.outgoing) if command.kind == "quote"]
    assert [command.seq for command in quotes] == [
        (1, 1, 1, 7),
        (2, 1, 1, 7),
        (3, 3, 2, 7),
    ]


def test_a_batch_counts_like_its_events_one_by_one() -> None:
    events = [
        event(envelope(1), quote()),
        event(status(3), SENT),
        event(envelope(2), quote(title="Two")),
        event(status(3), SENT),
    ]
    whole = run(*events)
    loaded: dict[Any, Any] = {}
    apart: list[Outgoing] = []
    for one in events:
        made = run(one, loaded=loaded)
        loaded |= {record.key: record for record, _ in made.changed()}
        apart += made.outgoing
    assert whole.outgoing == apart


@pytest.mark.feature("hub.order", part="mapper")
def test_the_messages_of_commands_follow_from_the_event_alone() -> None:
    about = envelope(1, correlationid="corr", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")
    made = run(event(about, quote()))
    for message, (found, command) in zip(made.outgoing, commands(made.outgoing), strict=True):
        assert message.key == b"acme"
        assert (found.source, found.tenant, found.subject) == ("/hub/mapper", "acme", command.target.id)
        assert (found.time, found.correlationid, found.causationid) == (about.time, "corr", "e-1")
        assert found.traceparent == about.traceparent
        assert COMMAND_TYPES[found.type] is type(command)
    assert run(event(about, quote())).outgoing == made.outgoing


def test_a_repeat_gives_the_same_messages_and_saves_nothing() -> None:
    first = run(event(envelope(1), quote(status="draft")))
    loaded = {record.key: record for record, _ in first.changed()}
    again = run(event(envelope(1), quote(status="draft")), loaded=loaded)
    assert results(again) == ["repeat"]
    assert again.outgoing == first.outgoing
    assert again.changed() == []


@pytest.mark.feature("quote.out_of_order", part="mapper")
def test_a_late_event_gives_the_commands_of_the_present_state() -> None:
    made = run(event(envelope(2), quote(title="New")), event(envelope(1), quote(title="Old")))
    assert results(made) == ["mapped", "stale"]
    both = [command for _, command in commands(made.outgoing) if command.kind == "quote"]
    assert both[0].title == both[1].title
    assert ids(made.outgoing)[:5] == ids(made.outgoing)[5:]


def test_a_late_status_asks_for_the_quote_alone() -> None:
    made = run(event(envelope(2), quote(status="sent")), event(status(1), QuoteStatus(status="draft")))
    assert [command.kind for _, command in commands(made.outgoing)][-1:] == ["quote"]
    assert len(made.outgoing) == 6
    assert commands(made.outgoing)[-1][1].status.value.name == "sent"


def test_faults_of_the_producer_become_dead_letters_and_change_nothing() -> None:
    made = run(
        event(envelope(1), quote()),
        event(envelope(1, event_id="x"), quote(title="Else")),
        event(envelope(2, revision=None), quote(title="Else")),
    )
    assert results(made) == ["mapped", "revision.conflict", "ordering.mixed"]
    ((record, _),) = made.changed()
    assert b"Else" not in bytes(record.groups["head"].data)
    assert [one.letter.topic for one in refusals(made)] == [DEAD_LETTERS, DEAD_LETTERS]


def test_a_quote_that_cannot_be_mapped_is_folded_all_the_same() -> None:
    bad = quote(lines=[line(discount={"amount": "101"})], discount={"amount": "500"})
    made = run(event(envelope(1), bad), event(envelope(2), quote()))
    assert results(made) == ["mapping.rejected", "mapped"]
    letter = decode("dead_letter.recorded.v1", refusals(made)[0].letter.value or b"")
    assert [fault.at for fault in letter.faults] == ["discount.amount", "lines[0].discount.amount"]
    assert "redrive" in letter.fix


def test_a_redriven_event_makes_commands_with_the_redrive_as_cause() -> None:
    made = run(event(envelope(1), quote()), event(envelope(1, causationid="redrive-9"), quote()))
    first, again = ids(made.outgoing)[:4], ids(made.outgoing)[4:]
    assert not set(first) & set(again)
    assert {command.basis.cause for _, command in commands(made.outgoing)} == {"", "redrive-9"}


def test_an_event_with_a_cause_of_its_producers_is_no_redrive() -> None:
    """The contract's own examples have one: a copy of them must not make anew what a person deleted."""
    made = run(event(envelope(1, causationid="evt-1001-0"), quote()))
    assert {command.basis.cause for _, command in commands(made.outgoing)} == {""}


def test_a_status_waits_for_its_base_and_goes_with_it() -> None:
    first = run(event(status(2), SENT))
    assert results(first) == ["waiting"]
    assert (set(first.waiting), first.outgoing) == ({KEY}, [])
    loaded = {record.key: record for record, _ in first.changed()}
    then = run(event(envelope(1), quote(status="draft")), loaded=loaded)
    assert results(then) == ["mapped"]
    assert then.arrived == {KEY}
    assert commands(then.outgoing)[-1][1].status.value.name == "sent"
    together = run(event(status(2), SENT), event(envelope(1), quote()))
    assert (together.waiting, together.arrived) == ({}, {KEY})


def test_a_tenant_without_rules_waits_and_is_not_folded() -> None:
    about = msgspec.structs.replace(envelope(1), tenant="nobody")
    made = run(event(about, quote()))
    assert results(made) == ["parked"]
    assert (len(made.parked), made.changed(), made.outgoing) == (1, [], [])


def test_a_producer_whose_quotes_are_off_is_folded_and_not_mapped() -> None:
    off = rules("another", sources={"quoter": {"quotes": None}})
    made = run(event(envelope(1), quote()), rule_set=off)
    assert results(made) == ["switched_off"]
    assert made.outgoing == []
    assert len(made.changed()) == 1


def test_a_command_larger_than_a_message_is_told_and_not_sent() -> None:
    came = event(envelope(1), quote(lines=tuple(line(number) for number in range(20))))
    made = run(came, max_message_bytes=record_size(event_again(came.envelope, came.record.value or b"")))
    assert results(made) == ["command.too_large"]
    assert (made.outgoing, [one.letter.topic for one in refusals(made)]) == ([], [DEAD_LETTERS])


@pytest.mark.fault("F29")
@pytest.mark.parametrize("known", [True, False])
def test_an_event_that_could_not_be_published_again_is_refused_and_does_not_wait(known: bool) -> None:
    """Kafka takes somewhat more than the hub publishes; of what waits, all is published again once there are rules."""
    limit = 100_000
    about = envelope(1) if known else msgspec.structs.replace(envelope(1), tenant="nobody")
    room = limit - record_size(event_again(about, b""))
    assert results(run(sized(event(about, quote()), room), max_message_bytes=limit)) == [
        "mapped" if known else "parked"
    ]
    made = run(sized(event(about, quote()), room + 1), max_message_bytes=limit)
    assert results(made) == ["data.too_large"]
    assert made.parked == []


def sized(made: Event, size: int) -> Event:
    """The same event with a field that nobody reads, so large that its data have this size."""
    value = made.record.value or b""
    padding = size - len(value) - len(b'"unread":"",')
    padded = b'{"unread":"' + b"x" * padding + b'",' + value[1:]
    assert len(padded) == size
    return msgspec.structs.replace(made, record=msgspec.structs.replace(made.record, value=padded))


def test_a_fault_of_the_hub_itself_stops_one_quote_and_not_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = quote_module.desired

    def broken(record: Any, rule_set: Any) -> Any:
        if record.id == "Q-bad":
            raise ZeroDivisionError("oops")
        return real(record, rule_set)

    monkeypatch.setattr(batch_module, "desired", broken)
    made = run(event(envelope(1, subject="Q-bad"), quote()), event(envelope(1), quote()))
    assert results(made) == ["mapper.failed", "mapped"]
    assert [str(error) for _, error in made.surprises] == ["oops"]


def test_a_changed_quote_or_rule_is_mapped_anew_and_an_unchanged_one_is_not() -> None:
    cache = DesiredCache(size=1)
    made: list[str] = []
    first = run(event(envelope(1), quote()))
    ((record, _),) = first.changed()
    other = msgspec.structs.replace(record, id="Q-2")

    def make(what: str) -> Any:
        made.append(what)
        return quote_module.desired(record, rules())

    for what, about, rule_hash in [
        ("first", record, "h"),
        ("again", record, "h"),
        ("rules", record, "h2"),
        ("other", other, "h2"),
        ("evicted", record, "h2"),
    ]:
        cache.get(about, rule_hash, partial(make, what))
    assert made == ["first", "rules", "other", "evicted"]
