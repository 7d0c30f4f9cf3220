"""The hub's side of an example: whether it has come to rest, and what it said of each quote."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from cli import context
from cli.demo.like.compare import Said
from cli.demo.log_side import Backlog, Ledger, backlog, read_dead_letters
from hub.bus.records import Record
from hub.settings import Settings
from hub.store import pending
from hub.store.pending import DECISION, Pending
from schemas.control import DecisionAnswered, DecisionRequested
from schemas.envelope import Envelope, from_headers
from schemas.outcomes import DeadLetter
from schemas.registry import decode
from schemas.topics import CONTROL

_ASKED = "decision.requested.v1"
_MOST_WAITING = 1_000


class Rest(NamedTuple):
    """What is not done, and whether it waits for people: for an answer, or for another revision."""

    left: Backlog
    for_people: bool


async def rest(settings: Settings) -> Rest:
    """How far the hub is with all that was published."""
    left = await backlog(settings)
    if left.events or left.commands or left.unpublished or not left.waiting:
        return Rest(left, left.empty)
    async with context.store(settings) as store, store.read() as conn:
        rows = await pending.listing(conn, limit=_MOST_WAITING)
    letters = await read_dead_letters(settings)
    rejected = {one.target.key for one in letters if one.target is not None}
    return Rest(left, only_people_help(rows, rejected, await _answered(settings)))


def only_people_help(
    rows: Collection[Pending], rejected: Collection[str], answered: Collection[str] = ()
) -> bool:
    """Whether each row waits for a person's answer or for a record that was rejected, or for a row that does. Pure.

    Of what was answered, the row is still there until the writer comes to it.
    """
    asking = {row.target_key for row in rows if row.reason == DECISION} - set(answered)
    stuck = asking | (set(rejected) - {row.target_key for row in rows})
    while more := {row.target_key for row in rows if row.waits_for in stuck} - stuck:
        stuck |= more
    return all(row.target_key in stuck for row in rows)


async def _answered(settings: Settings) -> set[str]:
    """The targets of which the log's last word is an answer."""
    last: dict[str, bool] = {}
    async for record in context.records_of(settings, CONTROL):
        match decode(from_headers(record.headers).type, record.value or b""):
            case DecisionAnswered() | DecisionRequested() as said:
                last[said.target.key] = isinstance(said, DecisionAnswered)
    return {key for key, is_answer in last.items() if is_answer}


async def asked(settings: Settings) -> list[tuple[Envelope, DecisionRequested]]:
    """Every question on the log."""
    records = [record async for record in context.records_of(settings, CONTROL)]
    return [(envelope, data) for envelope, data in _questions(records)]


def _questions(records: Iterable[Record]) -> Iterator[tuple[Envelope, DecisionRequested]]:
    for record in records:
        envelope = from_headers(record.headers)
        if envelope.type == _ASKED:
            yield envelope, decode(envelope.type, record.value or b"")


def said_of(
    tenant: str, ledger: Ledger, questions: Iterable[tuple[Envelope, DecisionRequested]]
) -> Mapping[str, Said]:
    """What was asked, rejected and told of each of a tenant's records, by its id at the source. Pure."""
    subjects = {event.id: event.subject for event in ledger.events if event.tenant == tenant}
    subjects |= {
        envelope.id: command.basis.subject
        for envelope, command in ledger.commands
        if envelope.tenant == tenant
    }
    asked_of: dict[str, set[str]] = {}
    for envelope, question in questions:
        if envelope.tenant == tenant:
            asked_of.setdefault(subjects.get(envelope.causationid or "", ""), set()).add(question.question)
    rejected: dict[str, set[str]] = {}
    for letter in ledger.dead_letters:
        if letter.tenant == tenant:
            rejected.setdefault(_subject(letter), set()).add(letter.reason)
    told: dict[str, set[str]] = {}
    for envelope, outcome in ledger.outcomes:
        if envelope.tenant == tenant and outcome.notices:
            told.setdefault(outcome.basis.subject, set()).update(notice.code for notice in outcome.notices)
    return {
        subject: Said(*(tuple(sorted(of.get(subject, ()))) for of in (asked_of, rejected, told)))
        for subject in asked_of.keys() | rejected.keys() | told.keys()
    }


def _subject(letter: DeadLetter) -> str:
    return (letter.basis.subject if letter.basis is not None else letter.subject) or ""
