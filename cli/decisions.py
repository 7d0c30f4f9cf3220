"""`hub decisions`: what only a person can say, and saying it. An answer is an event on the log like any other."""

import datetime as dt
from collections.abc import AsyncIterator, Collection, Iterable
from typing import Annotated, Any

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli import context
from cli.dead_letters import message_of
from cli.errors import BadInput, CommandFailed
from cli.messages import action, who
from cli.output import Json, print_json, print_table, say
from hub.bus.records import Record
from hub.settings import Settings
from hub.store import pending, records
from hub.store.records import RecordKey
from schemas.answers import EXISTS, GONE, MISSING, SEVERAL, UNPROVEN
from schemas.control import DecisionAnswered, DecisionRequested
from schemas.targets import PICKED
from schemas.topics import CONTROL
from services.mapper.opportunity import link_of

ANSWERED = "decision.answered.v1"
_ID_SHOWN = 8
_WRITERS = (SEVERAL, UNPROVEN)
"""The questions that are open as long as their command waits, answered or not."""
_MAPPERS = (EXISTS, MISSING)
"""The questions that are open as long as the present state of their record asks them, and nobody has answered."""
app = typer.Typer(help="Questions that only a person can answer: list, answer.", no_args_is_help=True)
Tenant = Annotated[str | None, typer.Option(help="Only this tenant's.")]


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One question, as it was asked last. `ids` are all under which it was asked, `open` whether it waits still."""

    ids: tuple[str, ...]
    asked_at_ms: int
    tenant: str
    data: DecisionRequested
    answer: str | None = None
    by: str | None = None
    open: bool = True

    @property
    def id(self) -> str:
        return self.ids[-1]


@app.command("list")
def list_(
    tenant: Tenant = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that wait no more.")] = False,
    json: Json = False,
) -> None:
    """The questions that wait for an answer, oldest first."""
    found = [one for one in context.run(_read(context.settings(), tenant)) if all_ or one.open]
    if json:
        print_json([_line(one) for one in found])
        return
    if not found:
        say(f"no questions{'' if tenant is None else f' of tenant {tenant!r}'}", style="green")
        return
    rows = []
    for one in found:
        line = _line(one)
        given = f"\nanswered: {one.answer} ({one.by})" if one.answer else ""
        choices = ", ".join(one.data.choices) or "the id of a Halo record"
        what = f"{line['question']}: {line['message']}{given}"
        rows.append((one.id[:_ID_SHOWN], line["asked_at"], line["tenant"], line["target"], what, choices))
    print_table(("id", "asked", "tenant", "about", "question", "answers"), rows, whole=("id", "asked"))
    say("`hub decisions answer ID ANSWER` answers one")


@app.command()
def answer(
    question_id: Annotated[str, typer.Argument(metavar="ID", help="The question's id, or the start of it.")],
    choice: Annotated[str, typer.Argument(metavar="ANSWER", help="One of the answers that there are.")],
    tenant: Tenant = None,
    json: Json = False,
) -> None:
    """Answer a question; returns when the log has the answer. Another answer to it later takes this one's place."""
    settings = context.settings()
    question = _one(context.run(_read(settings, tenant)), question_id)
    data = question.data
    if not fits(data, choice):
        there_are = ", ".join(data.choices) or "the id of a Halo record"
        raise BadInput(f"{choice!r} is no answer to {data.question}; there are: {there_are}")
    # What a person has said of a quote may be said otherwise; the writer goes by no second answer.
    corrected = question.answer is not None and data.question in _MAPPERS
    if not (question.open or corrected):
        raise CommandFailed(f"the question {data.question} about {data.target.key} waits no more")
    given = DecisionAnswered(target=data.target, question=data.question, choice=choice, by=who())
    id_, record = action(ANSWERED, question.tenant, data.target.id, given)
    context.run(context.publish(settings, [record]))
    if json:
        print_json({"id": id_, "question": question.id, "target": data.target.key, "choice": choice})
    else:
        say(f"answered: {data.question} about {data.target.key}: {choice}")


def fits(asked: DecisionRequested, choice: str) -> bool:
    """Whether this is an answer to the question."""
    if asked.choices:
        return choice in asked.choices
    return choice.isascii() and choice.isdigit() and 0 < int(choice) < 2**31


async def questions(control: AsyncIterator[Record], waiting: Collection[tuple[str, str]]) -> list[Question]:
    """Every question on the log, oldest first, with its last answer.

    `waiting` are the (tenant, target key) whose commands wait for a person, and the (tenant, id) of questions that
    records still ask: what was asked may have settled by itself.
    """
    found: dict[tuple[str, str, str], Question] = {}
    async for record in control:
        message = message_of(record)
        if message is None or not isinstance(message[1], DecisionRequested | DecisionAnswered):
            continue
        envelope, data = message
        if record.key != envelope.tenant.encode() or data.target.tenant != envelope.tenant:
            continue
        key = (envelope.tenant, data.target.key, data.question)
        before = found.get(key)
        if isinstance(data, DecisionRequested):
            ids = () if before is None else tuple(one for one in before.ids if one != envelope.id)
            found[key] = Question(
                ids=(*ids, envelope.id),
                asked_at_ms=record.timestamp_ms,
                tenant=envelope.tenant,
                data=data,
                answer=None if before is None else before.answer,
                by=None if before is None else before.by,
            )
        elif before is not None and fits(before.data, data.choice):
            found[key] = msgspec.structs.replace(before, answer=data.choice, by=data.by)
    marked = (msgspec.structs.replace(one, open=_is_open(one, waiting)) for one in found.values())
    return sorted(marked, key=lambda one: one.asked_at_ms)


def _is_open(question: Question, waiting: Collection[tuple[str, str]]) -> bool:
    if question.data.question in _WRITERS:
        return (question.tenant, question.data.target.key) in waiting
    if question.data.question in _MAPPERS and not any(
        (question.tenant, id_) in waiting for id_ in question.ids
    ):
        return False
    return question.answer is None


async def _read(settings: Settings, tenant: str | None) -> list[Question]:
    async with context.store(settings) as store:
        async with store.read() as conn:
            commands = await pending.waiting_for(conn, "writer", pending.DECISION)
            asking = await pending.waiting_for(conn, "mapper", pending.DECISION)
        waiting = {(of, key) for of, key, _ in commands} | {(of, id_) for of, _, id_ in asking}
        found = await questions(context.records_of(settings, CONTROL), waiting)
        async with store.read() as conn:
            return [await _as_it_is_now(conn, one) for one in found if tenant in (None, one.tenant)]


async def _as_it_is_now(conn: AsyncConnection, question: Question) -> Question:
    """The question, open no more where the opportunity that is gone is no longer its quote's."""
    target = question.data.target
    if question.data.question != GONE or not question.open:
        return question
    key = RecordKey(target.tenant, target.source, "quote", target.id)
    record = (await records.load_many(conn, {key})).get(key)
    named = record is None or f"{PICKED}{link_of(record).halo_id}" == target.scope
    return question if named else msgspec.structs.replace(question, open=False)


def _line(question: Question) -> dict[str, Any]:
    at = dt.datetime.fromtimestamp(question.asked_at_ms / 1000, dt.UTC)
    return {
        "id": question.id,
        "asked_at": at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "tenant": question.tenant,
        "target": question.data.target.key,
        "question": question.data.question,
        "message": question.data.message,
        "choices": question.data.choices,
        "open": question.open,
        "answer": question.answer,
        "by": question.by,
    }


def _one(found: Iterable[Question], question_id: str) -> Question:
    known = list(found)
    chosen = [one for one in known if question_id in one.ids] or [
        one for one in known if question_id and any(id_.startswith(question_id) for id_ in one.ids)
    ]
    if len(chosen) != 1:
        raise BadInput(
            f"{len(chosen) or 'no'} questions have the id {question_id!r}; `hub decisions list` shows them"
        )
    return chosen[0]
