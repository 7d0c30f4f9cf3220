"""Which Halo quote each state of a source quote becomes, by revision mode; and when anything is written at all."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from hub.bus.records import Record as LogRecord
from hub.store.records import Record
from hub.tenants.follower import Rules
from hub.tenants.model import RuleSet
from schemas.commands import Command, Field, UpsertQuote
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.identity import group_hashes
from schemas.quotes import Quote, QuoteConversion, QuoteStatus
from schemas.registry import decode, encode
from schemas.topics import QUOTES
from services.mapper.batch import Batch, DesiredCache
from services.mapper.intake import Event, read
from services.mapper.quote import NothingToWrite
from tests.unit.mapper.build import (
    ALL,
    BASIS,
    START,
    envelope,
    folded,
    line,
    map_quote,
    mapped,
    quote,
    rules,
    status,
)

Sent = tuple[Envelope, Quote | QuoteStatus | QuoteConversion]


def told(with_rules: RuleSet, *events: Sent) -> list[tuple[str, list[Command]]]:
    """What the mapper makes of each event on its way over the log: the result, and the commands."""
    records: dict[Any, Record] = {}
    story = []
    cache = DesiredCache()
    for about, data in events:
        event = read(LogRecord(QUOTES, 0, 0, 0, about.key, encode(data), headers_of(about)), START)
        assert isinstance(event, Event)
        batch = Batch(
            records, lambda tenant: Rules(tenant, 7, "h", with_rules), cache, max_message_bytes=10**6
        )
        batch.run([event])
        records |= {record.key: record for record, _ in batch.changed()}
        made = [
            decode(from_headers(message.headers).type, message.value or b"") for message in batch.outgoing
        ]
        story.append((str(batch.settled[0].result), made))
    return story


def quotes_of(story: list[tuple[str, list[Command]]]) -> list[Any]:
    return [command for _, made in story for command in made if isinstance(command, UpsertQuote)]


def scopes(with_rules: RuleSet, *events: Sent) -> list[str]:
    """The Halo quotes that a history asks for, in the order in which each is first asked for."""
    return list(dict.fromkeys(made.target.scope for made in quotes_of(told(with_rules, *events))))


NEW = rules(quotes={"revisions": "new"})
FIRST_ONLY = rules(quotes={"revisions": "first_only"})


# new


@pytest.mark.feature("quote.revision.new", part="mapper")
def test_in_mode_new_each_revision_and_each_status_is_a_halo_quote_of_its_own() -> None:
    history: list[Sent] = [
        (envelope(1), quote(status="draft")),
        (status(2), QuoteStatus(status="sent")),
        (envelope(3), quote(title="More")),
        (status(4), QuoteStatus(status="Approved")),
    ]
    assert scopes(NEW, *history) == ["1:draft", "1:sent", "3:sent", "3:approved"]


@pytest.mark.feature("quote.revision.new", part="mapper")
def test_in_mode_new_a_revision_and_a_status_are_whole_quotes_under_the_same_opportunity() -> None:
    story = told(NEW, (envelope(1), quote(status="draft")), (status(2), QuoteStatus(status="sent")))
    first, second = quotes_of(story)
    assert first.opportunity == second.opportunity
    assert second.opportunity.value.scope == ""
    assert second.lines == first.lines
    assert second.status.value.name == "sent"
    assert set(group_hashes(second)) == {"head", "status", "lines"}


@pytest.mark.feature("quote.revision.new", part="mapper")
def test_in_mode_new_what_is_delivered_or_replayed_again_asks_for_no_further_quote() -> None:
    history: list[Sent] = [
        (envelope(1), quote(status="draft")),
        (status(2), QuoteStatus(status="sent")),
        (envelope(3), quote(title="More")),
    ]
    once = scopes(NEW, *history)
    assert scopes(NEW, *history, *history, history[0]) == once
    assert scopes(NEW, *history[:2], history[0], *history) == once


@pytest.mark.feature("quote.revision.new", part="mapper")
def test_in_mode_new_the_same_status_again_is_the_quote_that_has_it() -> None:
    back = [(status(n), QuoteStatus(status=word)) for n, word in ((2, "sent"), (3, "draft"), (4, "sent"))]
    assert scopes(NEW, (envelope(1), quote(status="draft")), *back) == ["1:draft", "1:sent"]


@pytest.mark.feature("quote.revision.new", part="mapper")
def test_in_mode_new_a_correction_that_keeps_its_commercial_revision_updates_that_quote() -> None:
    history: list[Sent] = [
        (envelope(1), quote(commercial_revision=1)),
        (envelope(2, "quote.updated.v1"), quote(commercial_revision=1, title="Corrected")),
        (envelope(3), quote(commercial_revision=2)),
    ]
    assert scopes(NEW, *history) == ["1:", "2:"]


@pytest.mark.feature("quote.revision.new", part="mapper")
def test_in_mode_new_a_status_that_comes_before_its_quote_still_becomes_one() -> None:
    history: list[Sent] = [(status(2), QuoteStatus(status="sent")), (envelope(1), quote(status="draft"))]
    story = told(NEW, *history)
    assert [result for result, _ in story] == ["waiting", "mapped"]
    assert [made.target.scope for made in quotes_of(story)] == ["1:sent"]


@pytest.mark.feature("quote.out_of_order", part="mapper")
def test_in_mode_new_an_older_revision_that_comes_late_makes_no_quote() -> None:
    assert scopes(NEW, (envelope(5), quote(title="New")), (envelope(4), quote(title="Old"))) == ["5:"]


def test_a_status_of_any_text_makes_a_target_that_can_be_a_key() -> None:
    (made,) = quotes_of(told(NEW, (envelope(1), quote(status="on\nhold/" + "x" * 240))))
    assert len(made.target.scope) <= 200
    assert "\n" not in made.target.key


# first_only


@pytest.mark.feature("quote.revision.first_only", part="mapper")
def test_in_mode_first_only_a_later_revision_writes_its_status_alone_on_the_one_quote() -> None:
    history: list[Sent] = [
        (envelope(1), quote(status="draft")),
        (envelope(2), quote(title="More", lines=[line(1), line(2)], status="sent")),
        (status(3), QuoteStatus(status="approved")),
    ]
    made = quotes_of(told(FIRST_ONLY, *history))
    assert {one.target.key for one in made} == {made[0].target.key}
    assert [set(group_hashes(one)) for one in made] == [{"status"}] * 3
    assert [one.status.value.name for one in made] == ["draft", "sent", "approved"]
    # What isn't there yet is created whole, by whichever revision comes to it first.
    assert all(one.lines.write == one.title.write == "on_create" for one in made)
    assert made[0].status.write == "always"


@pytest.mark.feature("quote.revision.first_only", part="mapper")
def test_in_mode_first_only_a_revision_without_a_status_changes_nothing() -> None:
    first, second = quotes_of(told(FIRST_ONLY, (envelope(1), quote()), (envelope(2), quote(title="More"))))
    assert first.state_hash == second.state_hash


# overwrite


@pytest.mark.feature("quote.revision.overwrite", part="mapper")
def test_in_mode_overwrite_all_of_it_is_one_quote_which_takes_each_revision() -> None:
    history: list[Sent] = [
        (envelope(1), quote(status="draft", lines=[line(1), line(2)])),
        (envelope(2), quote(title="More", lines=[line(2)])),
    ]
    first, second = quotes_of(told(rules(), *history))
    assert first.target == second.target
    assert [one.id for one in second.lines.value] == ["2"]
    assert (second.lines.write, second.title) == ("always", Field(value="More"))


@pytest.mark.feature("quote.same_opp", part="mapper")
@pytest.mark.parametrize("mode", ["overwrite", "first_only", "new"])
def test_another_source_quote_on_the_same_opportunity_has_a_halo_quote_of_its_own(mode: str) -> None:
    with_rules = rules(quotes={"revisions": mode})
    link = {"halo_id": 5120}
    one = mapped(folded((envelope(1), quote(opportunity=link))), with_rules)
    other = mapped(folded((envelope(1, subject="Q-2"), quote(opportunity=link))), with_rules)
    assert one.quote.target != other.quote.target
    assert one.opportunity.match == other.opportunity.match


# won only


WON_ONLY = rules(quotes={"push": "won"})


@pytest.mark.feature("quote.won_only", part="mapper")
def test_with_push_won_nothing_is_written_before_the_quote_is_won_and_then_everything_at_once() -> None:
    history: list[Sent] = [
        (envelope(1), quote(status="draft", contact={"name": "Jo"})),
        (status(2), QuoteStatus(status="sent")),
        (envelope(3), quote(title="Newest", contact={"name": "Jo"})),
        (status(4), QuoteStatus(status="accepted")),
    ]
    story = told(WON_ONLY, *history)
    assert [(result, len(made)) for result, made in story[:3]] == [("not_won", 0)] * 3
    result, made = story[3]
    assert result == "mapped"
    assert [one.kind for one in made] == ["client", "site", "user", "item", "opportunity", "quote"]
    assert quotes_of(story)[0].title.value == "Newest"


@pytest.mark.feature("quote.won_only", part="mapper")
def test_with_push_won_a_quote_that_is_won_when_it_comes_is_written() -> None:
    assert mapped(quote(status="Ordered"), WON_ONLY).kinds[-1] == "quote"


@pytest.mark.feature("quote.won_only", part="mapper")
def test_with_push_won_a_later_revision_of_a_won_quote_is_written_too() -> None:
    story = told(WON_ONLY, (envelope(1), quote(status="accepted")), (envelope(2), quote(title="More")))
    assert [made.title.value for made in quotes_of(story)] == ["Laptops", "More"]


def test_what_is_not_written_says_why() -> None:
    assert map_quote(folded((envelope(1), quote())), WON_ONLY, BASIS, ALL) == NothingToWrite("not_won")


# what a quote starts with, and its dates


@pytest.mark.feature("extra.new_status", part="mapper")
@pytest.mark.parametrize(("word", "starts_as_new"), [(None, True), ("on hold", True), ("draft", False)])
def test_a_quote_without_a_mapped_status_starts_as_new(word: str | None, starts_as_new: bool) -> None:
    found = mapped(quote(status=word), rules(quotes={"statuses": {"draft": "Draft"}})).quote
    if not starts_as_new:
        assert found.first_status is UNSET
        return
    assert found.first_status is not UNSET
    assert found.first_status.write == "on_create", "it is never taken back to New"
    named = found.first_status.value
    assert (named.lookup, named.name, named.missing) == ("quote_status", "New", "ignore")


@pytest.mark.feature("quote.status", part="mapper")
def test_an_unmapped_status_leaves_halos_alone_and_is_told() -> None:
    found = mapped(quote(status="on hold"), rules(quotes={"statuses": {"draft": "Draft"}})).quote.status
    assert (found.value.name, found.value.missing) == ("on hold", "leave")


@pytest.mark.feature("extra.quote_dates", part="mapper")
def test_name_description_and_both_dates_travel() -> None:
    data = quote(description="Phase one", date="2025-03-01", expiry_date="2025-03-31")
    found = mapped(data).quote
    assert (found.title.value, found.description.value) == ("Laptops", "Phase one")
    assert (str(found.date.value), str(found.expiry_date.value)) == ("2025-03-01", "2025-03-31")


def test_a_quote_that_says_none_of_it_writes_none_of_it() -> None:
    found = mapped(quote()).quote
    assert (found.description, found.date, found.expiry_date) == (UNSET, UNSET, UNSET)


def test_the_hash_of_a_quote_is_that_of_its_fields_in_every_mode() -> None:
    for with_rules in (rules(), NEW, FIRST_ONLY):
        found = mapped(quote(status="sent", po_number="1"), with_rules).quote
        sealed = msgspec.structs.replace(found, state_hash="")
        assert group_hashes(sealed) == group_hashes(found)
