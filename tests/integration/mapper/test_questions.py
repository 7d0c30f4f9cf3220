"""What a person is asked about a record waits where all that waits is seen: the backlog, its metrics, its alert."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from cli.main import run
from hub.bus.records import Partition
from hub.bus.records import Record as LogRecord
from hub.store.engine import Store
from hub.store.pending import DECISION, Pending
from hub.store.tables import pending as table
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import Rules
from hub.tenants.model import RuleSet
from schemas.envelope import headers_of
from schemas.quotes import QuoteConversion, QuoteStatus
from schemas.registry import encode
from schemas.topics import COMMANDS, QUOTES
from services.mapper.release import release_waiting
from tests.integration.halo_writer.test_backlog_metrics import PARTITIONS, writer_on
from tests.unit.mapper.build import envelope, quote, status
from tests.unit.mapper.test_answers import answered
from tests.unit.mapper.test_answers import on_log as on_control
from tests.unit.mapper.test_batch import on_log
from tests.unit.mapper.test_service import Bench
from tests.unit.mapper.test_winning import converted, won_rules

ASKS = Rules("acme", 7, "h", won_rules({"if_exists": "ask"}))


@pytest.fixture
async def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'hub.db'}"
    monkeypatch.setenv("HUB_STORE_URL", url)
    opened = await Store.open(url)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
def bench(store: Store) -> Bench:
    made = Bench(store)
    made.present["acme"] = ASKS
    return made


def sold(number: int = 2, to: Any = "order", **attributes: Any) -> LogRecord:
    about = converted(number, **attributes)
    return LogRecord(QUOTES, 0, number, 0, about.key, encode(QuoteConversion(to=to)), headers_of(about))


async def ask(bench: Bench) -> Pending:
    await bench.mapper.process([on_log(envelope(1), quote(status="draft")), sold()])
    (row,) = await bench.rows()
    return row


@pytest.mark.feature("won.opp.exists", part="mapper")
async def test_a_question_waits_with_what_it_asks_until_it_is_answered(bench: Bench) -> None:
    row = await ask(bench)
    assert (row.reason, row.target_key) == (DECISION, "question/quoter/quote/Q-1")
    assert row.note == (
        "the quote was converted: shall its opportunity be completed as Won? (convert, leave)"
    )
    assert row.message_id in {dict(one.headers)["ce_id"].decode() for one in bench.published}, (
        "the id that answers it"
    )
    await bench.mapper.process([on_control(*answered(3, "won.opp.exists", "leave"))])
    assert await bench.rows() == []


async def test_what_is_asked_again_has_waited_since_it_was_asked_first(bench: Bench) -> None:
    row = await ask(bench)
    await aged(bench.store, 600.0)
    await bench.mapper.process([sold()])
    await bench.mapper.process([on_log(status(3), QuoteStatus(status="sent"))])
    (again,) = await bench.rows()
    assert (again.since, again.message_id) == (row.since - 600.0, row.message_id)


@pytest.mark.parametrize(
    "present", [won_rules({"if_exists": "convert"}), ASKS.rules.model_copy(update={"quotes": None})]
)
async def test_a_question_that_the_rules_ask_no_more_waits_no_more(bench: Bench, present: RuleSet) -> None:
    await ask(bench)
    bench.present["acme"] = Rules("acme", 8, "i", present)
    await bench.mapper.process([sold()])
    assert await bench.rows() == []


async def test_a_question_that_another_process_has_the_answer_to_is_not_put_back(bench: Bench) -> None:
    await ask(bench)

    async def meanwhile() -> None:
        other = Bench(bench.store)
        other.present["acme"] = ASKS
        await other.mapper.process([on_control(*answered(3, "won.opp.exists", "leave"))])

    bench.on_publish = meanwhile
    await bench.mapper.process([sold(4, "invoice")])
    assert await bench.rows() == []


async def test_a_question_makes_no_work_for_whoever_releases_what_waits(bench: Bench) -> None:
    await ask(bench)
    assert await release_waiting(bench.store, bench, bench.publish) == 0
    assert len(await bench.rows()) == 1


async def test_the_owner_of_its_tenant_tells_it_with_its_age(bench: Bench) -> None:
    await ask(bench)
    await aged(bench.store, 600.0)
    metrics = Metrics()
    writer = writer_on(bench.store, metrics)
    labels = {"tenant": "acme", "reason": DECISION}

    def told(name: str) -> float | None:
        return metrics.registry.get_sample_value(f"hub_pending_{name}", labels)

    await writer._sweep_once()
    assert told("rows") is None, "its owner tells it"
    await writer.assigned(frozenset(Partition(COMMANDS, number) for number in range(PARTITIONS)))
    await writer._sweep_once()
    assert told("rows") == 1
    assert (told("oldest_age_seconds") or 0) >= 600
    await bench.mapper.process([on_control(*answered(3, "won.opp.exists", "convert"))])
    await writer._sweep_once()
    assert told("rows") == 0


async def test_hub_backlog_lists_it_with_tenant_age_and_what_it_asks(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    row = await ask(bench)
    await aged(bench.store, 600.0)
    capsys.readouterr()
    assert await asyncio.to_thread(run, ["backlog", "--reason", "decision", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [(one["tenant"], one["reasons"]) for one in shown["tenants"]] == [("acme", {"decision": 1})]
    (line,) = shown["rows"]
    assert (line["tenant"], line["note"], line["message_id"]) == ("acme", row.note, row.message_id)
    assert line["age_s"] >= 600


async def aged(store: Store, by_s: float) -> None:
    """As if all that waits had begun to wait so much earlier."""
    async with store.write() as conn:
        await conn.execute(update(table).values(since=table.c.since - by_s))
