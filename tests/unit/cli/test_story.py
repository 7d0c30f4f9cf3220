"""A record's story: complete from either end, in order, without anyone else's and without what messages say."""

from __future__ import annotations

import msgspec
import pytest

from cli.story import Happening, Question, tell
from schemas.commands import CompleteOpportunity
from schemas.identity import id_of
from services.mapper.emit import command_message
from tests.unit.cli.test_decisions import answered
from tests.unit.cli.topics import a_whole_story, basis, envelope, event, outcome, question, target


def told(happenings: list[Happening]) -> list[str]:
    return [one.what for one in happenings]


@pytest.mark.feature("beyond.story", part="cli")
async def test_from_the_source_id_everything_that_happened_is_told_in_order() -> None:
    story = await tell(Question(id="Q-1"), a_whole_story().read)
    assert told(story) == [
        "rules",
        "event",
        "command",
        "command",
        "outcome",
        "outcome",
        "target",
        "target",
    ]
    assert [one.at_ms for one in story] == sorted(one.at_ms for one in story)
    written = next(one for one in story if one.what == "outcome" and "quote" in one.said)
    assert "created" in written.said
    assert written.details["halo_id"] == 77
    assert [request.path for request in written.details["requests"]] == ["/quote"]


@pytest.mark.feature("beyond.story", part="cli")
async def test_from_the_halo_id_the_event_and_the_rules_behind_it_are_told() -> None:
    story = await tell(Question(halo_id=77, kind="quote"), a_whole_story().read)
    assert told(story) == ["rules", "event", "command", "outcome", "target"]
    assert story[1].id == "e-1"
    assert story[2].details["rule_sequence"] == 3


@pytest.mark.feature("beyond.story", part="cli")
async def test_a_record_that_several_events_led_to_tells_them_all() -> None:
    story = await tell(Question(halo_id=31, kind="client"), a_whole_story().read)
    assert {one.id for one in story if one.what == "event"} == {"e-1", "e-2"}
    assert all("quote Q" not in one.said for one in story if one.what in ("command", "outcome"))


async def test_a_rejected_record_tells_its_dead_letter_and_the_fix() -> None:
    story = await tell(Question(id="Q-2"), a_whole_story().read)
    assert story[-1].what == "dead letter"
    rejected = next(one for one in story if "rejected" in one.said)
    assert rejected.details["fix"] == "mend it"


async def test_a_won_step_is_told_with_the_opportunity_that_it_was_written_on() -> None:
    log = a_whole_story()
    because = basis("e-1", "Q-1")
    won = CompleteOpportunity(target=target("won", "Q-1"), basis=because)
    log.add(command_message(won, envelope("quote.converted.v1", "e-1", "Q-1", source="/quoter")))
    log.add(outcome(id_of(won), "won", "Q-1", because, result="updated", halo_id=31))

    story = await tell(Question(id="Q-1"), log.read)

    assert "applied (updated) won Q-1 as Halo's opportunity 31" in [one.said for one in story]


async def test_nobody_elses_record_is_told() -> None:
    log = a_whole_story()
    log.add(event("e-other", "Q-1", tenant="northwind"))
    story = await tell(Question(id="Q-1", tenant="acme"), log.read)
    assert "e-other" not in {one.id for one in story}
    assert await tell(Question(id="Q-1", tenant="nobody"), log.read) == []
    assert await tell(Question(id="Q-1", source="othertool"), log.read) == []
    assert await tell(Question(halo_id=31, kind="quote"), log.read) == []


async def test_a_message_that_was_published_twice_is_told_once() -> None:
    log = a_whole_story()
    before = await tell(Question(id="Q-1"), log.read)
    for records in list(log.records.values()):
        for record in list(records):
            held = log.records[record.topic]
            held.append(
                msgspec.structs.replace(record, offset=len(held), timestamp_ms=record.timestamp_ms + 10**6)
            )
    assert told(await tell(Question(id="Q-1"), log.read)) == told(before)


async def test_what_messages_say_of_people_is_not_told() -> None:
    story = await tell(Question(id="Q-1"), a_whole_story().read)
    text = msgspec.json.encode(story).decode()
    assert "Bright Dental" not in text
    assert "Secret project" not in text


async def test_a_question_and_its_answer_are_a_part_of_the_story() -> None:
    log = a_whole_story()
    log.add(question("q-1"))
    log.add(answered("a-1", {"target": target("quote", "Q-1"), "question": "won.opp.exists"}, "convert"))
    log.add(answered("a-2", {"target": target("quote", "Q-9"), "question": "won.opp.exists"}, "leave"))
    story = await tell(Question(id="Q-1"), log.read)
    said = [one.said for one in story if one.what == "decision"]
    assert said == ["shall it be completed?", "won.opp.exists answered by ada: convert"]
