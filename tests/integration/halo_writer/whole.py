"""Mapper and writer in this process: source events in, Halo's records out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import msgspec

from cli.demo.like.log import only_people_help
from cli.demo.log_side import Ledger
from hub.bus.delivery import Delivery, Intake
from hub.bus.prefix import PartitionPrefix
from hub.bus.records import Outgoing, Partition, Record
from hub.dead_letter_box import DeadLetterBox
from hub.steps import Steps
from hub.telemetry.health import Condition
from hub.telemetry.metrics import Metrics
from hub.tenants.follower import Rules
from hub.tenants.load import accept, from_text
from schemas.control import DecisionAnswered, DecisionRequested
from schemas.envelope import Envelope, from_headers, from_structured
from schemas.outcomes import Outcome
from schemas.registry import decode
from schemas.topics import COMMANDS, CONTROL, OUTCOMES
from services.halo_writer.feeds import Feeds
from services.ingest.log import record_of
from services.mapper.service import Mapper
from tests.integration.halo_writer.bench import Bench
from tests.support.eventually import eventually
from tests.unit.halo_writer.build import TENANT, Tool

NOW = dt.datetime(2026, 11, 2, 12, tzinfo=dt.UTC)
TABLES = (
    "Client", "Site", "Users", "Item", "Faults", "Quotation", "SalesOrder",
    "Lookup", "Status", "TicketType", "Agent", "AssetGroup",
)  # fmt: skip


class Hub:
    """A mapper before the bench's lane. `text` is a tenant file of the bench's own tenant and Halo."""

    def __init__(self, bench: Bench, text: str) -> None:
        self.bench = bench
        bench.rules = from_text(accept(text.encode()).text)
        bench.tool = Tool(instance=bench.rules.instance)
        self.published: list[Outgoing] = []
        self.offset = 0
        self.mapper = Mapper(
            bench.store,
            self,
            self.publish,
            DeadLetterBox(self.publish, Condition()),
            Metrics(),
            max_message_bytes=1_000_000,
            now=lambda: NOW,
            steps=Steps({}),
        )

    def get(self, tenant: str) -> Rules | None:
        return Rules(TENANT, 1, "h", self.bench.rules) if tenant == TENANT else None

    async def publish(self, outgoing: Sequence[Outgoing]) -> None:
        self.published += outgoing

    async def take(self, events: Iterable[dict[str, Any]]) -> None:
        """All that these events come to, until what is left goes on only with people's help."""
        known = len(self.published)
        await self._map([self._event(event) for event in events])
        answers = [self._again(one) for one in self.published[known:] if one.topic == CONTROL]
        await Feeds(self.bench.store).take(answers)
        answered = {
            given.target.key
            for about, value in self._messages(CONTROL, known)
            if isinstance(given := decode(about.type, value), DecisionAnswered)
        }
        await self._map([delivery.record for delivery in answers])
        commands = [decode(about.type, value) for about, value in self._messages(COMMANDS, known)]
        async with self.bench.lane() as lane:
            await self.bench.submit(lane, commands)
            await eventually(lambda: self._at_rest(answered), timeout_s=60, every_s=0.05)

    async def _at_rest(self, answered: Collection[str]) -> bool:
        letters = (one.target.key for one in self.bench.dead_letters() if one.target is not None)
        return only_people_help(await self.bench.pending(), set(letters), answered)

    async def _map(self, records: Sequence[Record]) -> None:
        assert await self.mapper.process(records) == []

    def _event(self, event: dict[str, Any]) -> Record:
        attributes = {name: value for name, value in event.items() if name != "data"}
        envelope = from_structured({**attributes, "tenant": TENANT})
        return self._again(record_of(envelope, msgspec.json.encode(event["data"]))).record

    def _again(self, message: Outgoing) -> Delivery:
        """A message as it comes back from the log."""
        self.offset += 1
        record = Record(message.topic, 0, self.offset, 0, message.key, message.value, message.headers)
        prefix = PartitionPrefix()
        prefix.added([self.offset], 0.0)
        return Delivery(record, Intake(Partition(message.topic, 0), prefix, lambda _: None))

    def _messages(self, topic: str, since: int = 0) -> list[tuple[Envelope, bytes]]:
        found = (one for one in self.published[since:] if one.topic == topic)
        return [(from_headers(one.headers), one.value or b"") for one in found]

    def ledger(self, events: Iterable[dict[str, Any]]) -> Ledger:
        bench = self.bench
        return Ledger(
            events=tuple(
                from_structured({k: v for k, v in {**e, "tenant": TENANT}.items() if k != "data"})
                for e in events
            ),
            commands=tuple((about, decode(about.type, value)) for about, value in self._messages(COMMANDS)),
            outcomes=tuple(
                (about, data) for about, data in bench.messages(OUTCOMES) if isinstance(data, Outcome)
            ),
            suspected=(),
            dead_letters=tuple(bench.dead_letters()),
        )

    def questions(self) -> list[tuple[Envelope, DecisionRequested]]:
        own = [(about, decode(about.type, value)) for about, value in self._messages(CONTROL)]
        told = [*own, *self.bench.messages(CONTROL)]
        return [(about, data) for about, data in told if isinstance(data, DecisionRequested)]

    def state(self) -> dict[str, list[dict[str, Any]]]:
        return {table: self.bench.rows(table) for table in TABLES}
