"""Topics, events, dead letters and stories through `hub`, on a real Kafka whose content is made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from hub.bus.records import Outgoing, Record
from schemas.envelope import from_headers
from schemas.topics import CONTROL, QUOTES, TOPICS
from tests.unit.cli.topics import (
    basis,
    command,
    event,
    letter_of_command,
    letter_of_event,
    outcome,
    settings,
    snapshot,
)

Hub = Callable[..., Any]
Publish = Callable[[Sequence[Outgoing]], None]
Read = Callable[[str], list[Record]]


def of(tenant: str, outgoing: Outgoing) -> Outgoing:
    """The same message for a tenant of this test's own: the broker is shared."""

    def renamed(raw: bytes) -> bytes:
        return raw.replace(b"acme", tenant.encode())

    key = None if outgoing.key is None else renamed(outgoing.key)
    value = None if outgoing.value is None else renamed(outgoing.value)
    return Outgoing(outgoing.topic, key, value, tuple((name, renamed(raw)) for name, raw in outgoing.headers))


def test_topics_are_made_once_and_checked(broker: str, hub: Hub) -> None:
    answer = hub("topics", "apply")
    assert answer["created"] == []
    assert answer["topics"] == {topic.name: topic.partitions for topic in TOPICS}
    assert hub("topics", "apply", "--check")["topics"] == answer["topics"]


@pytest.mark.feature("beyond.catalog", part="cli")
def test_a_new_event_goes_straight_to_kafka_as_a_producer_would_send_it(
    hub: Hub, read: Read, tenant: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["event", "new", "quote.published.v1", "--tenant", tenant, "--source", "mytool"]) == 0
    made = json.loads(capsys.readouterr().out)
    file = tmp_path / "event.json"
    file.write_text(json.dumps(made))
    assert hub("event", "send", str(file)) == {"ids": [made["id"]]}
    (record,) = [r for r in read(QUOTES) if r.key == f"{tenant}/quote/Q-1001".encode()]
    envelope = from_headers(record.headers)
    assert (envelope.id, envelope.source, envelope.correlationid) == (made["id"], "/mytool", made["id"])
    assert json.loads(record.value or b"") == made["data"]


@pytest.mark.feature("beyond.redrive", part="cli")
def test_dead_letters_are_listed_shown_and_run_again_by_filter_once(
    hub: Hub, publish: Publish, read: Read, tenant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    because = basis("e-2", "Q-2")
    command_id, refused = command("quote", "Q-2", because)
    bad = letter_of_event(f"{tenant}-bad", event("e-bad", "Q-9"))
    publish(
        [
            of(tenant, message)
            for message in (
                event("e-2", "Q-2"),
                letter_of_command(f"{tenant}-refused", command_id, refused, because),
                bad,
            )
        ]
    )
    listed = hub("dlq", "list", "--tenant", tenant)
    assert {(line["id"], line["reason"], line["redriven"]) for line in listed} == {
        (f"{tenant}-refused", "halo.rejected", 0),
        (f"{tenant}-bad", "data.invalid", 0),
    }
    hidden = hub("dlq", "show", f"{tenant}-bad")
    assert "Bright Dental" not in json.dumps(hidden)
    assert "Bright Dental" in json.dumps(hub("dlq", "show", f"{tenant}-bad", "--reveal"))

    def events() -> list[Record]:
        return [record for record in read(QUOTES) if record.key == f"{tenant}/quote/Q-2".encode()]

    filtered = ("dlq", "redrive", "--tenant", tenant, "--reason", "halo.rejected", "--yes")
    assert hub(*filtered) == {"letters": 1, "events": 1, "lost": [], "too_large": []}
    first, again = events()
    assert (again.key, again.value) == (first.key, first.value)
    envelope = from_headers(again.headers)
    causes = {from_headers(r.headers).id for r in read(CONTROL) if r.key == tenant.encode()}
    assert envelope.id == "e-2"
    assert {envelope.causationid} == causes
    assert hub(*filtered) == {"letters": 0, "events": 0, "lost": [], "too_large": []}, (
        "what runs already is not run again"
    )
    assert hub("dlq", "redrive", f"{tenant}-refused") == {
        "letters": 1,
        "events": 1,
        "lost": [],
        "too_large": [],
    }
    assert len({record.value for record in events()}) == 1
    assert run(["dlq", "redrive", "--reason", "halo.rejected"]) == 2, "a filter names its tenant"
    assert run(["dlq", "redrive", "no-such-letter"]) == 2
    capsys.readouterr()


@pytest.mark.feature("beyond.story", part="cli")
def test_a_story_is_told_from_the_source_id_and_from_the_halo_id(
    hub: Hub, publish: Publish, tenant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    because = basis("e-1", f"Q-{tenant}")
    command_id, made = command("quote", f"Q-{tenant}", because)
    publish(
        [
            of(tenant, message)
            for message in (
                settings(3),
                event("e-1", f"Q-{tenant}"),
                made,
                outcome(command_id, "quote", f"Q-{tenant}", because, result="created", halo_id=77),
                snapshot("quote", f"Q-{tenant}", 77),
            )
        ]
    )
    by_source = hub("audit", "show", f"Q-{tenant}")
    by_halo = hub("audit", "show", "77", "--kind", "quote", "--tenant", tenant)
    assert [one["what"] for one in by_source] == ["rules", "event", "command", "outcome", "target"]
    assert by_halo == by_source
    assert run(["audit", "show", f"Q-{tenant}"]) == 0
    assert "POST /quote → 201" in capsys.readouterr().out
    assert run(["audit", "show", "Q-nobody-ever-sent", "--tenant", tenant]) == 1
    assert run(["audit", "show", "abc", "--kind", "quote"]) == 2
