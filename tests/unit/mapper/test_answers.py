"""What people have answered is a part of the record: any order, any repetition and any replay end in the same."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from hub.bus.records import Record as LogRecord
from schemas.answers import QuestionAnswered
from schemas.control import DecisionAnswered, DecisionRequested, SyncRequested
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.ordering import order_of
from schemas.quotes import Answers, QuoteConversion, QuoteStatus
from schemas.registry import decode, encode
from schemas.targets import Kind, Target
from schemas.topics import COMMANDS, CONTROL, QUOTES
from services.mapper.intake import Event, NotOurs, Refused, read
from services.mapper.quote import Mapped, NothingToWrite
from services.mapper.record import fold, seq_of
from tests.unit.mapper.build import (
    ALL,
    BASIS,
    START,
    envelope,
    folded,
    map_quote,
    mapped,
    quote,
    rules,
    status,
)
from tests.unit.mapper.test_batch import event, results, run
from tests.unit.mapper.test_winning import DRAFT, ORDERED, completes, converted, won_rules

INSTANCE = rules().instance
MISSING = won_rules({"if_none": "ask"}, quotes={"push": "won"})
PICKED = quote(opportunity={"halo_id": 99})


def answered(
    number: int, question: str, choice: str, *, kind: Kind = "quote", scope: str = "", tenant: str = "acme"
) -> tuple[Envelope, Any]:
    target = Target(tenant=tenant, instance=INSTANCE, source="quoter", kind=kind, id="Q-1", scope=scope)
    about = Envelope(
        id=f"answer-{number}",
        source="/hub/cli",
        type="decision.answered.v1",
        subject="Q-1",
        time=START + dt.timedelta(seconds=number),
        tenant="acme",
    )
    return about, DecisionAnswered(target=target, question=question, choice=choice, by="ada")


def on_log(about: Envelope, data: Any, key: bytes = b"acme") -> LogRecord:
    return LogRecord(CONTROL, 0, 0, 0, key, encode(data), headers_of(about))


def came(number: int, question: str, choice: str, **options: Any) -> Event:
    found = read(on_log(*answered(number, question, choice, **options)), START)
    assert isinstance(found, Event)
    return found


@pytest.mark.feature("won.opp.exists", part="mapper")
@pytest.mark.parametrize(("choice", "expected"), [("convert", True), ("leave", False)])
def test_the_answer_completes_the_opportunity_or_leaves_it(choice: str, expected: bool) -> None:
    sold = (converted(2), ORDERED)
    assert not completes(rules(), DRAFT, sold)
    assert completes(rules(), DRAFT, sold, answered(3, "won.opp.exists", choice)) is expected
    made = map_quote(folded(DRAFT, sold, answered(3, "won.opp.exists", choice)), rules(), BASIS, ALL)
    assert made.questions == ()  # type: ignore[union-attr]


@pytest.mark.feature("won.opp.missing", part="mapper")
def test_the_answer_creates_the_won_opportunity_with_all_the_rest_or_nothing() -> None:
    sold = (converted(2), ORDERED)
    created = map_quote(folded(DRAFT, sold, answered(3, "won.opp.missing", "create")), MISSING, BASIS, ALL)
    assert isinstance(created, Mapped)
    assert {"client", "opportunity", "quote", "won"} <= {one.kind for one in created.commands}
    skipped = map_quote(folded(DRAFT, sold, answered(3, "won.opp.missing", "skip")), MISSING, BASIS, ALL)
    assert skipped == NothingToWrite("no_opportunity")


def test_any_order_and_any_repetition_of_events_and_answers_ends_in_the_same_record() -> None:
    history: list[tuple[Envelope, Any]] = [
        DRAFT,
        (converted(2), ORDERED),
        answered(3, "won.opp.exists", "leave"),
        answered(4, "won.opp.exists", "convert"),
    ]
    ends = {
        tuple(sorted((name, group.hash) for name, group in folded(*order, *order[:1]).groups.items()))
        for order in itertools.permutations(history)
    }
    assert len(ends) == 1
    for order in itertools.permutations(history):
        assert completes(rules(), *order)


def test_an_answer_that_comes_before_all_else_decides_no_order_of_the_record() -> None:
    """A replay reads the topics in any order; the producer's revisions count as they are."""
    for revision in (1, None):
        record = folded(answered(9, "won.opp.exists", "convert"), (envelope(1, revision=revision), quote()))
        assert record.ordering == ("time" if revision is None else "revision")
        assert fold(record, envelope(2, revision=2 if revision else None), quote()).status == "effective"


def test_each_answer_raises_the_order_of_the_commands() -> None:
    before = folded(DRAFT, (converted(2), ORDERED))
    once = folded(DRAFT, (converted(2), ORDERED), answered(3, "won.opp.exists", "leave"))
    twice = fold(once, *answered(4, "won.opp.exists", "convert")).record
    places = [order_of(seq_of(record, 7)) for record in (before, once, twice)]
    assert places == sorted(set(places))
    assert fold(twice, *answered(4, "won.opp.exists", "convert")).status == "repeat"
    assert fold(twice, *answered(3, "won.opp.exists", "leave")).status == "repeat"


@pytest.mark.feature("opp.attach_or_new", part="mapper")
def test_a_picked_opportunity_that_is_gone_gives_way_to_one_of_the_quotes_own_when_a_person_says_so() -> None:
    new = answered(2, "opportunity.gone", "new", kind="opportunity", scope="halo:99")
    made = mapped(folded((envelope(1), PICKED), new))
    own = mapped(quote()).opportunity
    assert (made.opportunity.target, made.opportunity.state_hash) == (own.target, own.state_hash)
    assert made.quote.opportunity.value == made.opportunity.target


@pytest.mark.feature("opp.attach_or_new", part="mapper")
def test_that_answer_is_about_the_named_opportunity_alone() -> None:
    new = answered(2, "opportunity.gone", "new", kind="opportunity", scope="halo:99")
    later = (envelope(3, "quote.updated.v1"), quote(opportunity={"halo_id": 100}))
    assert mapped(folded((envelope(1), PICKED), new, later)).opportunity.target.scope == "halo:100"
    other = answered(2, "opportunity.gone", "new", kind="opportunity", scope="halo:98")
    assert mapped(folded((envelope(1), PICKED), other)).opportunity.target.scope == "halo:99"


# On the log


def test_a_question_is_on_the_log_with_the_same_id_however_often_it_is_asked() -> None:
    asks = [event(*DRAFT), event(converted(2), ORDERED)]  # type: ignore[arg-type]
    for events in (asks, [*asks, asks[1]]):
        made = run(*events)
        messages = [one for one in made.outgoing if one.topic == CONTROL]
        told = [from_headers(one.headers) for one in messages]
        assert len({one.id for one in told}) == 1
        assert len(told) == len(events) - 1
        asked: DecisionRequested = decode(told[0].type, messages[0].value or b"")
        assert (asked.question, asked.choices) == ("won.opp.exists", ("convert", "leave"))
        assert asked.target == mapped(quote()).quote.target
        assert messages[0].key == b"acme"


@pytest.mark.feature("won.opp.exists", part="mapper")
@pytest.mark.parametrize(
    ("brought", "choice", "expected"),
    [("leave", "convert", True), ("convert", "leave", True), ("leave", "leave", False)],
)
def test_of_an_answer_that_came_along_and_a_persons_the_one_that_acts_is_acted_on(
    brought: Any, choice: str, expected: bool
) -> None:
    sold = QuoteConversion(to="order", answers=Answers(opportunity_exists=brought))
    events = (DRAFT, (converted(2), sold), answered(3, "won.opp.exists", choice))
    made = map_quote(folded(*events), won_rules({"if_exists": "ask"}), BASIS, ALL)
    assert isinstance(made, Mapped)
    assert made.questions == ()
    assert completes(won_rules({"if_exists": "ask"}), *events) is expected


def test_an_opportunity_that_was_made_as_a_won_one_is_not_asked_about_again() -> None:
    """It is there then, and a status that wins the quote may come after it."""
    won_later = (status(4), QuoteStatus(status="fulfilled"))
    said = answered(3, "won.opp.missing", "create")
    made = map_quote(folded(DRAFT, (converted(2), ORDERED), said, won_later), MISSING, BASIS, ALL)
    assert isinstance(made, Mapped)
    assert (made.questions, completes(MISSING, DRAFT, (converted(2), ORDERED), said, won_later)) == ((), True)


def test_an_answer_maps_the_whole_quote_anew() -> None:
    asks = [event(*DRAFT), event(converted(2), ORDERED)]  # type: ignore[arg-type]
    made = run(*asks, came(3, "won.opp.exists", "convert"))
    assert results(made) == ["mapped"] * 3
    last = [from_headers(one.headers) for one in made.outgoing if one.topic == COMMANDS]
    caused = [one for one in last if one.causationid == "answer-3"]
    assert {"complete_opportunity.v1", "upsert_quote.v1", "upsert_client.v1"} <= {one.type for one in caused}
    again = run(*asks, came(3, "won.opp.exists", "convert"))
    assert [one.headers for one in again.outgoing] == [one.headers for one in made.outgoing]


def test_an_answer_to_a_quote_that_has_not_come_waits_with_it() -> None:
    made = run(came(3, "won.opp.exists", "convert"))
    assert results(made) == ["waiting"]
    assert [record.groups.keys() for record, _ in made.changed()] == [{"answered"}]


def test_what_else_is_on_the_control_topic_is_passed_over() -> None:
    sync = replace(answered(1, "x", "y")[0], type="sync.requested.v1")
    assert read(on_log(sync, SyncRequested(by="ada")), START) == NotOurs()
    of_the_writer = answered(1, "match.several", "12", kind="client")
    assert read(on_log(*of_the_writer), START) == NotOurs()
    published = answered(1, "opportunity.gone", "new", kind="opportunity", scope="published")
    assert read(on_log(*published), START) == NotOurs()


def test_an_answer_of_another_tenant_is_not_taken() -> None:
    foreign = on_log(*answered(1, "won.opp.exists", "convert", tenant="tailspin"))
    found = read(foreign, START)
    assert isinstance(found, NotOurs)
    assert found.problem is not None
    misplaced = read(on_log(*answered(1, "won.opp.exists", "convert"), key=b"tailspin"), START)
    assert isinstance(misplaced, NotOurs)
    assert misplaced.problem is not None


@pytest.mark.parametrize(
    ("question", "choice", "more"),
    [
        ("won.opp.exists", "yes", {}),
        ("won.opp.missing", "convert", {}),
        ("won.opp.exist", "convert", {}),
        ("won.opp.exists", "convert", {"kind": "opportunity"}),
        ("opportunity.gone", "12", {"kind": "opportunity", "scope": "halo:99"}),
        ("opportunity.gone", "new", {"kind": "opportunity"}),
        ("match.several", "the id of a Halo record", {"kind": "client"}),
        ("create.unproven", "99999999999999", {"kind": "client"}),
    ],
)
def test_what_can_be_no_answer_is_refused_and_changes_nothing(
    question: str, choice: str, more: dict[str, Any]
) -> None:
    about = envelope(5, "question.answered.v1", revision=None)
    said = {"kind": "quote", "question": question, "choice": choice} | more
    came_in = LogRecord(QUOTES, 0, 0, 0, about.key, msgspec.json.encode(said), headers_of(about))
    refused = read(came_in, START)
    assert isinstance(refused, Refused)
    assert refused.reason == "data.invalid"


def test_no_answer_takes_the_place_of_one_and_none_counts_as_no() -> None:
    found = read(on_log(*answered(4, "won.opp.exists", "yes")), START)
    assert isinstance(found, NotOurs)
    assert found.problem == "'yes' is no answer to won.opp.exists"
    # As an earlier release may have kept it.
    record = folded(DRAFT, (converted(2), ORDERED), answered(3, "won.opp.exists", "yes"))
    made = map_quote(record, won_rules({"if_exists": "ask"}), BASIS, ALL)
    assert isinstance(made, Mapped)
    assert [one.id for one in made.questions] == ["won.opp.exists"]


@pytest.mark.parametrize(("by", "told"), [(None, "quoter"), ("Jane", "Jane (quoter)")])
def test_a_producers_answer_goes_on_the_control_topic_about_a_record_of_its_own(
    by: str | None, told: str
) -> None:
    about = envelope(5, "question.answered.v1", revision=None)
    said = QuestionAnswered(kind="client", question="match.several", choice="12", by=by)
    came = read(LogRecord(QUOTES, 0, 0, 0, about.key, encode(said), headers_of(about)), START)
    assert isinstance(came, Event)
    made, again = run(came), run(came)
    assert results(made) == ["mapped"]
    assert made.changed() == []
    (message,) = made.outgoing
    assert again.outgoing == made.outgoing
    relayed = from_headers(message.headers)
    given: DecisionAnswered = decode(relayed.type, message.value or b"")
    assert (message.topic, message.key, relayed.causationid) == (CONTROL, b"acme", None)
    assert (given.question, given.choice, given.by) == ("match.several", "12", told)
    assert given.target == mapped(quote(customer={"id": "Q-1", "name": "X"})).client.target
