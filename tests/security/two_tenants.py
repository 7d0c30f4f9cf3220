"""Two tenants whose producers give the same ids: what of one must never show as the other's."""

from __future__ import annotations

import base64
import json
import uuid

import msgspec

from hub.bus.records import Outgoing, Record
from hub.store import holds, pending, rule_sets
from hub.store.engine import Store
from hub.store.holds import Hold
from hub.store.pending import Pending
from hub.store.rule_sets import RuleSetRow
from hub.tenants.load import accept
from schemas.envelope import from_headers
from schemas.topics import COMMANDS, DEAD_LETTERS
from tests.unit.cli.topics import Topics, a_whole_story, event, letter_of_event, question

OURS, THEIRS = "acme", "tailspin"
MARK = "THEIR-SECRET"
TENANT_FILE = (
    "tenant: {tenant}\nhalo: {{url: https://halo.example, client_id: {client_id}, client_secret: env:S}}\n"
)
LETTERS = {OURS: "aaaa0000-0000-5000-8000-000000000000", THEIRS: "aaaa1111-0000-5000-8000-000000000000"}
QUESTIONS = {OURS: "bbbb0000-0000-5000-8000-000000000000", THEIRS: "bbbb1111-0000-5000-8000-000000000000"}
# What a tenant's ids may be: nothing in them leads to the other tenant.
ODD_IDS = (
    f"{THEIRS}/quote/Q-1",
    f"../{THEIRS}/quote/Q-1",
    f"..%2F{THEIRS}%2Fquote%2FQ-1",
    "Q-1/",
    "%2F",
    "q-1",
    "Ԛ-1",
)


def _theirs(raw: bytes, ids: dict[bytes, bytes]) -> bytes:
    """The same record of the other tenant: its ids at the source and in Halo are the same, its words its own."""
    for ours, theirs in ids.items():
        raw = raw.replace(ours, theirs)
    raw = raw.replace(OURS.encode(), THEIRS.encode())
    return raw.replace(b"Bright Dental", MARK.encode()).replace(b"Halo said no", MARK.encode())


def _retold(record: Record, ids: dict[bytes, bytes]) -> Outgoing:
    value = record.value or b""
    if record.topic == DEAD_LETTERS:
        letter = json.loads(value)
        letter["key"], letter["value"] = (_in_base64(letter[name], ids) for name in ("key", "value"))
        letter["headers"] = [[name, _in_base64(told, ids)] for name, told in letter["headers"]]
        value = json.dumps(letter).encode()
    headers = tuple((name, _theirs(told or b"", ids)) for name, told in record.headers)
    return Outgoing(record.topic, _theirs(record.key or b"", ids), _theirs(value, ids), headers)


def _in_base64(text: str, ids: dict[bytes, bytes]) -> str:
    return base64.b64encode(_theirs(base64.b64decode(text), ids)).decode()


def log_of_two() -> Topics:
    """The story of one quote of each tenant; but for the ids that the hub makes, all ids are the same."""
    topics = a_whole_story()
    for record in topics.records[DEAD_LETTERS]:
        replaced = [
            (name, LETTERS[OURS].encode() if name == "ce_id" else told) for name, told in record.headers
        ]
        topics.records[DEAD_LETTERS] = [msgspec.structs.replace(record, headers=tuple(replaced))]
    hubs = [from_headers(record.headers).id for record in topics.records[COMMANDS]]
    ids = {one.encode(): str(uuid.uuid5(uuid.NAMESPACE_URL, one)).encode() for one in hubs}
    ids[LETTERS[OURS].encode()] = LETTERS[THEIRS].encode()
    ids[QUESTIONS[OURS].encode()] = QUESTIONS[THEIRS].encode()
    topics.add(question(QUESTIONS[OURS], "shall the opportunity of Bright Dental be completed?"))
    for records in list(topics.records.values()):
        for record in list(records):
            topics.add(_retold(record, ids))
    for number, odd in enumerate(ODD_IDS):
        topics.add(event(f"odd-{number}", odd))
    topics.add(_retold(topics.add(event("odd", f"{OURS}/quote/Q-1")), {}))
    # Set aside by the mapper, for an event whose id is that of one of ours.
    topics.add(_retold(Topics().add(_letter_of_event("e-1")), {}))
    return topics


def _letter_of_event(event_id: str) -> Outgoing:
    letter = letter_of_event("aaaa2222-0000-5000-8000-000000000000", event(event_id, "Q-9"))
    value = (
        (letter.value or b"").replace(b"e-bad", event_id.encode()).replace(b"data: is wrong", MARK.encode())
    )
    return msgspec.structs.replace(letter, value=value)


async def fill(url: str) -> None:
    """A store in which a row of each tenant waits, and each has rules."""
    store = await Store.open(url)
    await store.migrate()
    now = await store.now()
    async with store.write() as conn:
        for tenant, word in ((OURS, "ours"), (THEIRS, MARK)):
            text = accept(TENANT_FILE.format(tenant=tenant, client_id=word).encode()).text
            await rule_sets.put(
                conn, RuleSetRow(tenant=tenant, sequence=1, hash=word, text=text, accepted_at=now)
            )
            hold = Hold(
                tenant=tenant,
                scope=f"item of {word}",
                reason="denied",
                since=now,
                probe_at=now + 60,
                note=word,
            )
            await holds.put(conn, hold)
            row = Pending(
                tenant=tenant,
                stage="writer",
                target_key="quoter/quote/Q-1",
                message_id=f"command-of-{word}",
                message_type="upsert_quote.v1",
                headers=b"{}",
                value=b"{}",
                reason="decision",
                not_before=now,
                since=now,
                note=word,
            )
            await pending.put(conn, row)
            asks = msgspec.structs.replace(row, stage="mapper", message_id=QUESTIONS[tenant])
            await pending.put(conn, asks)
    await store.close()
