"""`hub decisions`: questions are listed while they are open, and answered with what may be answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from cli import context
from cli.decisions import fits, questions
from cli.main import run
from hub.bus.records import Outgoing, Record
from hub.store import pending, records
from hub.store.pending import DECISION, Pending
from schemas.control import DecisionAnswered, DecisionRequested
from schemas.envelope import from_headers
from schemas.registry import decode, encode
from schemas.topics import CONTROL
from services.ingest.log import record_of
from tests.unit.cli.topics import Topics, envelope, question, target
from tests.unit.mapper.build import envelope as quoted
from tests.unit.mapper.build import folded, quote

SEVERAL: dict[str, Any] = {
    "target": target("client", "c-1"),
    "question": "match.several",
    "choices": ("12", "13", "new"),
}


def answered(id_: str, asked: dict[str, Any], choice: str) -> Outgoing:
    data = DecisionAnswered(target=asked["target"], question=asked["question"], choice=choice, by="ada")
    return record_of(envelope("decision.answered.v1", id_, data.target.id, source="/hub/cli"), encode(data))


async def read(topics: Topics, *waiting: tuple[str, str]) -> list[tuple[str, bool, str | None]]:
    found = await questions(topics.read(CONTROL), set(waiting))
    return [(one.id, one.open, one.answer) for one in found]


async def test_a_question_of_the_mappers_is_open_while_its_record_asks_it_and_nobody_has_answered() -> None:
    topics, asks = Topics(), ("acme", "q-1")
    topics.add(question("q-1"))
    assert await read(topics) == [("q-1", False, None)], (
        "its record has moved on: the quote is no longer sold"
    )
    assert await read(topics, ("tailspin", "q-1")) == [("q-1", False, None)]
    assert await read(topics, asks) == [("q-1", True, None)]
    topics.add(answered("a-1", {"target": target("quote", "Q-1"), "question": "won.opp.exists"}, "convert"))
    assert await read(topics, asks) == [("q-1", False, "convert")], (
        "the mapper may not have seen the answer yet"
    )
    topics.add(question("q-1"))
    assert await read(topics, asks) == [("q-1", False, "convert")], (
        "an event that came again asks nothing new"
    )


async def test_a_question_about_a_deleted_opportunity_is_open_until_it_is_answered() -> None:
    """Its command has ended, as a dead letter: no row says that it waits."""
    topics = Topics()
    gone: dict[str, Any] = {"question": "opportunity.gone", "choices": ("new",)}
    topics.add(question("q-1", **gone))
    assert await read(topics) == [("q-1", True, None)]
    topics.add(answered("a-1", {"target": target("quote", "Q-1"), **gone}, "new"))
    assert await read(topics) == [("q-1", False, "new")]


async def test_a_question_of_the_writers_is_open_while_its_command_waits_whatever_was_answered() -> None:
    """It may have settled by itself, or the answer may fit no longer."""
    topics = Topics()
    topics.add(question("q-1", **SEVERAL))
    key = target("client", "c-1").key
    assert await read(topics) == [("q-1", False, None)]
    assert await read(topics, ("acme", key)) == [("q-1", True, None)]
    assert await read(topics, ("tailspin", key)) == [("q-1", False, None)]
    topics.add(answered("a-1", SEVERAL, "12"))
    assert await read(topics, ("acme", key)) == [("q-1", True, "12")]


async def test_what_is_asked_again_is_one_question_as_it_was_asked_last() -> None:
    topics = Topics()
    topics.add(question("q-1", **SEVERAL))
    topics.add(question("q-2", **{**SEVERAL, "choices": ("12", "13", "14", "new")}))
    (found,) = await questions(topics.read(CONTROL), ())
    assert (found.ids, found.data.choices) == (("q-1", "q-2"), ("12", "13", "14", "new"))


async def test_what_is_keyed_or_written_for_another_tenant_is_none() -> None:
    topics = Topics()
    topics.add(question("q-1", target=target("quote", "Q-1", tenant="tailspin")))
    topics.add(Outgoing(CONTROL, b"tailspin", question("q-2").value, question("q-2").headers))
    assert await read(topics) == []


@pytest.mark.parametrize(
    ("choices", "choice", "expected"),
    [
        (("12", "new"), "12", True),
        (("12", "new"), "new", True),
        (("12", "new"), "13", False),
        ((), "13", True),
        ((), "new", False),
        ((), "0", False),
        ((), "99999999999", False),
    ],
)
def test_an_answer_is_one_of_the_choices_or_an_id_where_that_is_asked_for(
    choices: tuple[str, ...], choice: str, expected: bool
) -> None:
    asked = DecisionRequested(target=target("client", "c"), question="q", message="?", choices=choices)
    assert fits(asked, choice) is expected


# The commands


async def asked(*ids: str) -> None:
    """Rows of the mapper's: these questions wait still."""
    async with context.store(context.settings()) as store, store.write() as conn:
        for id_ in ids:
            row = Pending(
                tenant="acme",
                stage="mapper",
                target_key=f"question/{id_}",
                message_id=id_,
                message_type="decision.requested.v1",
                headers=b"{}",
                value=b"{}",
                reason=DECISION,
                not_before=0.0,
                since=0.0,
            )
            await pending.put(conn, row)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `hub decisions` on a log with one question; what it publishes is on the log at once."""
    topics = Topics()
    topics.add(question("q-1000"))
    monkeypatch.setenv("HUB_STORE_URL", f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}")
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["store", "migrate"]) == 0
    asyncio.run(asked("q-1000"))

    async def records_of(_settings: Any, topic: str, *, key_filter: Any = None) -> AsyncIterator[Record]:
        async for record in topics.read(topic, key_filter):
            yield record

    class Publisher:
        async def publish(self, records: Sequence[Outgoing]) -> None:
            await topics.publish(records)

    @asynccontextmanager
    async def publisher(_settings: Any) -> AsyncIterator[Publisher]:
        yield Publisher()

    monkeypatch.setattr(context, "records_of", records_of)
    monkeypatch.setattr(context, "publisher", publisher)

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["decisions", *arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    call.topics = topics  # type: ignore[attr-defined]
    return call


def test_a_question_is_listed_answered_and_listed_no_more(hub: Any) -> None:
    code, out, _ = hub("list")
    assert code == 0
    assert all(
        word in out for word in ("q-1000", "won.opp.exists", "shall it be completed?", "convert, leave")
    )
    code, out, _ = hub("answer", "q-10", "convert", "--json")
    assert code == 0
    assert json.loads(out)["choice"] == "convert"
    record = hub.topics.records[CONTROL][-1]
    about = from_headers(record.headers)
    given: DecisionAnswered = decode(about.type, record.value)
    assert (about.type, about.tenant, record.key) == ("decision.answered.v1", "acme", b"acme")
    assert (given.target, given.question) == (target("quote", "Q-1"), "won.opp.exists")
    assert "@" in given.by
    # A cause would mark what follows as a redrive.
    assert about.causationid is None
    assert json.loads(hub("list", "--json")[1]) == []
    (one,) = json.loads(hub("list", "--all", "--json")[1])
    assert (one["open"], one["answer"]) == (False, "convert")
    assert hub("list")[1].strip() == "no questions"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("q-1000", "maybe"), 2, "there are: convert, leave"),
        (("q-2", "convert"), 2, "no questions have the id"),
        (("", "convert"), 2, "no questions have the id"),
        (("q-1000", "convert", "--tenant", "tailspin"), 2, "no questions have the id"),
    ],
)
def test_what_is_no_answer_or_no_question_publishes_nothing(
    hub: Any, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = len(hub.topics.records[CONTROL])
    found, _, err = hub("answer", *arguments)
    assert found == code
    assert said in err
    assert len(hub.topics.records[CONTROL]) == before


def test_what_waits_no_more_is_not_answered(hub: Any) -> None:
    hub.topics.add(question("q-2000", **SEVERAL))
    code, _, err = hub("answer", "q-2000", "12")
    assert code == 1
    assert "waits no more" in err


def test_what_was_said_of_a_quote_may_be_said_otherwise(hub: Any) -> None:
    assert hub("answer", "q-1000", "leave")[0] == 0
    assert hub("answer", "q-1000", "convert")[0] == 0
    (one,) = json.loads(hub("list", "--all", "--json")[1])
    assert one["answer"] == "convert"


def test_what_is_no_answer_leaves_its_question_open(hub: Any) -> None:
    asks = {"target": target("quote", "Q-1"), "question": "won.opp.exists"}
    hub.topics.add(answered("a-1", asks, "maybe"))
    (one,) = json.loads(hub("list", "--json")[1])
    assert (one["open"], one["answer"]) == (True, None)


@pytest.mark.parametrize(("named", "is_open"), [(99, True), (100, False), (None, False)])
def test_a_deleted_opportunity_is_asked_about_while_its_quote_names_it(
    hub: Any, named: int | None, is_open: bool
) -> None:
    gone: dict[str, Any] = {"target": replace(target("opportunity", "Q-1"), scope="halo:99")}
    hub.topics.add(question("q-2000", question="opportunity.gone", choices=("new",), **gone))
    assert "q-2000" in hub("list")[1]
    asyncio.run(linked(named))
    assert ("q-2000" in hub("list")[1]) is is_open
    assert hub("answer", "q-2000", "new")[0] == (0 if is_open else 1)


async def linked(halo_id: int | None) -> None:
    """The quote as the mapper has folded it, under this opportunity of Halo's, or under one of its own."""
    link = {"new": True} if halo_id is None else {"halo_id": halo_id}
    record = folded((quoted(1), quote(opportunity=link)))
    async with context.store(context.settings()) as store, store.write() as conn:
        await records.save_many(conn, [(replace(record, version=1), 0)])
