"""A quote's whole life, command by command, as it was recorded once.

Ids and hashes outlive a release: a command that is made again after an upgrade must be the same command. So a
difference here is either a mistake or a change that the release notes have to name. After a wanted change,
`python -m tests.unit.mapper.test_history` writes the file anew.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from hub.bus.records import Record
from hub.tenants.follower import Rules
from schemas.envelope import Envelope, from_headers, headers_of
from schemas.quotes import Quote, QuoteStatus
from schemas.registry import decode, encode
from schemas.topics import QUOTES
from services.mapper.batch import Batch, DesiredCache
from services.mapper.intake import Event, Refused, read
from tests.unit.mapper.build import START, envelope, line, quote, rules, status

FILE = Path(__file__).with_name("history.json")
RULES = rules(
    "nobody",
    agents={"owner": "sales_rep", "default": "Sales Desk", "map": {"rmiller": "Robert Miller"}},
    items={"asset_groups": {"Laptops": "Hardware"}},
    billing_periods={"month": "Monthly", "one_time": None},
    currencies={"GBP": "Pound Sterling"},
    opportunities={"status": "New"},
    quotes={"statuses": {"draft": "Draft", "sent": "Sent", "approved": "Accepted"}},
)
BASE: dict[str, Any] = {
    "customer": {
        "id": "c-1",
        "name": "Contoso Ltd",
        "site": "London",
        "address": {"street": "1 High Street", "city": "London", "region": "England"},
    },
    "contact": {"name": "Jo Roe", "email": "jo@contoso.example"},
    "sales_rep": {"username": "rmiller"},
    "currency": "GBP",
    "taxes": [{"name": "VAT", "amount": "101.01"}],
}
LINES = [
    line(
        1, product={"category": "Laptops", "manufacturer_part_number": "LT-14"}, quantity="3", price="333.33"
    ),
    line(2, frequency="month", price="12.50", discount={"percent": "7.5"}),
]
HISTORY: list[tuple[Envelope, Quote | QuoteStatus]] = [
    (status(2), QuoteStatus(status="sent")),
    (envelope(1), quote(status="draft", lines=LINES, **BASE)),
    (status(2), QuoteStatus(status="sent")),
    (envelope(3, "quote.updated.v1"), quote(lines=LINES[:1], discount={"amount": "10"}, **BASE)),
    (envelope(1), quote(status="draft", lines=LINES, **BASE)),
    (status(4, causationid="redrive-1"), QuoteStatus(status="approved")),
    (status(4, event_id="other"), QuoteStatus(status="declined")),
]


def told() -> list[dict[str, Any]]:
    """What each event of the history comes to."""
    records: dict[Any, Any] = {}
    story = []
    for about, data in HISTORY:
        event = read(_record(about, data), START)
        assert isinstance(event, Event)
        batch = Batch(
            records, lambda tenant: Rules(tenant, 7, "h", RULES), DesiredCache(), max_message_bytes=10**6
        )
        batch.run([event])
        records |= {record.key: record for record, _ in batch.changed()}
        (settled,) = batch.settled
        result = settled.result.reason if isinstance(settled.result, Refused) else settled.result
        messages = []
        letters = [settled.result.letter] if isinstance(settled.result, Refused) else []
        for message in [*letters, *batch.outgoing]:
            found = from_headers(message.headers)
            value = decode(found.type, message.value or b"")
            one: dict[str, Any] = {"type": found.type, "id": found.id}
            if hasattr(value, "seq"):
                one |= {"target": value.target.key, "seq": list(value.seq), "state_hash": value.state_hash}
            messages.append(one)
        story.append({"event": f"{about.type} {about.revision}", "result": result, "messages": messages})
    return story


def _record(about: Envelope, data: Any) -> Any:
    return Record(QUOTES, 0, 0, 0, about.key, encode(data), headers_of(about))


@pytest.mark.feature("quote.revision.overwrite", part="mapper")
@pytest.mark.feature("quote.out_of_order", part="mapper")
def test_a_quotes_life_is_told_as_it_was_recorded() -> None:
    assert told() == json.loads(FILE.read_text())


def test_the_recorded_life_has_each_kind_of_ending() -> None:
    results = [chapter["result"] for chapter in json.loads(FILE.read_text())]
    assert results == ["waiting", "mapped", "repeat", "mapped", "stale", "mapped", "revision.conflict"]


if __name__ == "__main__":
    FILE.write_text(json.dumps(told(), indent=1) + "\n")
