"""The producers' guide names every answer of the door, with the limits that hold."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from cloudevents.core.bindings.kafka import to_binary_event
from cloudevents.core.v1.event import CloudEvent

from hub.settings import Settings
from hub.telemetry.server import HEAD_TIMEOUT_S, MAX_HEAD_BYTES
from schemas.envelope import from_headers
from schemas.faults import MAX_DEPTH
from services.ingest.http import MAX_HEADERS
from tests.docs.guides import ROOT, text_of

GUIDE = text_of("producing.md")
SOURCES = ("services/ingest/http.py", "services/ingest/content.py", "services/ingest/validate.py")
FRAMEWORKS = {(404, "not_found"), (405, "method_not_allowed")}
"""What FastAPI refuses by itself has its status for a code."""


def answers() -> Iterator[tuple[int, str]]:
    """Every refusal in the code of the door and of the server before it."""
    for source in SOURCES:
        for node in ast.walk(ast.parse((ROOT / source).read_text())):
            match node:
                case ast.Call(
                    func=ast.Name(id="Problem"),
                    args=[ast.Attribute(attr=status), ast.Constant(value=str(code)), *_],
                ):
                    yield HTTPStatus[status].value, code
                case ast.Call(func=ast.Name(id="_bad_body"), args=[ast.Constant(value=str(code)), _]):
                    yield 400, code
    for node in ast.walk(ast.parse((ROOT / "hub/telemetry/server.py").read_text())):
        match node:
            case ast.Assign(targets=[ast.Name(id="_PROBLEMS")], value=ast.Dict(keys=keys, values=values)):
                for key, value in zip(keys, values, strict=True):
                    assert isinstance(key, ast.Attribute)
                    yield HTTPStatus[key.attr].value, ast.literal_eval(value.elts[0])  # type: ignore[attr-defined]


@pytest.mark.feature("beyond.catalog", part="docs")
def test_every_answer_of_the_door_is_in_the_guide_and_no_other() -> None:
    told = {
        (int(status), code)
        for status, code in re.findall(r"^\| `(\d{3})` \| `([a-z_.]+)` \|", GUIDE, re.MULTILINE)
    }
    assert told == set(answers()) | FRAMEWORKS
    assert {status for status, _ in told} >= {408, 413, 431}


@pytest.mark.parametrize(
    "said",
    [
        f"deeper than {MAX_DEPTH} levels",
        f"more than {MAX_HEADERS} headers, or more than {MAX_HEAD_BYTES // 1024} KiB",
        f"headers took more than {HEAD_TIMEOUT_S:g} s",
        f"body took more than {Settings.model_fields['body_timeout_s'].default:g} s",
        f"over {Settings.model_fields['max_body_bytes'].default // 1024**2} MiB",
        f"more than {Settings.model_fields['max_batch_events'].default} events",
    ],
)
def test_its_limits_are_those_in_force(said: str) -> None:
    assert said in GUIDE


def test_no_command_of_the_guides_has_a_token_on_its_line() -> None:
    for guide in ("producing.md", "quick-start.md", "quoting.md"):
        for line in text_of(guide).splitlines():
            if "HUB_TOKEN" in line and not line.startswith("printf "):
                assert not re.search(r"\bcurl\b|^\s*-H", line), line


def test_an_sdks_kafka_binding_makes_headers_that_the_hub_reads() -> None:
    attributes = {
        "id": "e",
        "source": "/q",
        "type": "quote.updated.v1",
        "subject": "Q",
        "tenant": "a",
        "revision": 7,
    }
    message = to_binary_event(CloudEvent(attributes, {"a": 1}))
    headers = [(name, bytes(value)) for name, value in message.headers.items()]
    envelope = from_headers(headers)
    assert (envelope.id, envelope.tenant, envelope.revision) == ("e", "a", 7)
