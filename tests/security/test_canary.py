"""Every secret of a running hub is a canary; then all that can go wrong does, and no canary may be found anywhere.

Each byte is searched that the hub has written or said: logs, topics, the store, pages and metrics, answers over HTTP,
what commands print, and command lines.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

import httpx
import pytest

from cli.main import run
from hub.bus.reader import read_range
from hub.bus.topics import create_topics
from hub.settings import Settings
from hub.telemetry.logging import configure_logging
from hub.telemetry.redaction import Redactor
from schemas.topics import DEAD_LETTERS, TOPICS
from tests.faults.conftest import prove, quotes_titled
from tests.sandbox.server import CLIENT_ID
from tests.security.canaries import Aviary, Canary
from tests.security.mirror import Echo, Mirror, running_mirror
from tests.security.outputs import command_lines, pages, tables, topics
from tests.security.test_disguises import FORMS
from tests.support.hub import DEFAULT_RULES, Hub, eventually, quote_event, running_hub
from tests.support.kafka import KafkaServer
from tests.support.postgres import PostgresServer
from tests.support.process_logging import own_logging

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECRET = Canary("a tenant's client secret", 'Kan"{}/+ =&<é\\')
WRONG = Canary("a client secret that Halo refuses", "wr'{}&%")
LITERAL = Canary("a client secret in a tenant file", "lit-{}")
TOKEN = Canary("an access token", "tok/{}+/==")
PRODUCER = Canary("a producer's token", "prod-{}/+=")
STRANGER = Canary("a bearer that nobody has", "str-{}")
TYPED = Canary("a token in a producers file", "file-{}")
STORE = Canary("the store's password", "pg/{}#:@")
SASL = Canary("Kafka's password", "sasl-{}$")
CANARIES = [SECRET, WRONG, LITERAL, TOKEN, PRODUCER, STRANGER, TYPED, STORE, SASL]

TENANT = """
tenant: {name}
halo:
  resource_server: {halo}/api
  authorization_server: {halo}/auth
  client_id: {client_id}
  client_secret: env:{variable}
  budget: {{requests: 100000, window: 10s}}
{rules}
"""
BAD_TENANT_FILES = {
    "literal": "tenant: literal\nhalo: {{url: https://a.example, client_id: i, client_secret: {0}}}",
    "no-space": "tenant: no-space\nhalo: {{url: https://a.example, client_id: i, client_secret:{0}}}",
    "no-yaml": "tenant: no-yaml\nhalo: {{client_secret: '{0}\n  client_id: ]",
    "in-address": "tenant: in-address\nhalo: {{url: 'https://i:{0}@a.example', client_id: i, client_secret: env:S}}",
    "in-query": "tenant: in-query\nhalo: {{url: 'https://a.example?s={0}', client_id: i, client_secret: env:S}}",
    "elsewhere": "tenant: elsewhere\nhalo: {{url: https://a.example, client_id: [{0}], scopes: {0}, budget: {0}}}",
    "twice": "tenant: twice\nhalo: {{client_secret: {0}, client_secret: {0}}}",
    "alias": "tenant: alias\nhalo: {{client_secret: *{0}, client_id: !{0} x}}",
}
BAD_PRODUCERS_FILES = (
    "producers: [{{name: a, token_sha256: {0}, tenants: '*', types: '*'}}]",
    "producers: [{{name: a, token_sha256:{0}, tenants: '*'}}]",
    "producers:\n  - name: a\n\ttoken: {0}",
    "{0}",
)


class Place(NamedTuple):
    hub: Hub
    mirror: Mirror
    said: dict[str, bytes]
    """What was answered and printed, by where."""


def _echoes(status: int, say: Callable[[str], str]) -> tuple[Echo, Echo, Echo]:
    """Answers that hold, in one form, the client's secret and what stood in the Authorization header."""
    long = 940  # where a text of the hub's is cut

    def plain(sent: str) -> tuple[int, bytes]:
        return status, f"{say(SECRET.value)} and {say(sent)}".encode()

    def in_json(sent: str) -> tuple[int, bytes]:
        said = {"ClassName": "System.Exception", "Message": f"you sent {say(SECRET.value)}, {say(sent)}"}
        return status, json.dumps(said).encode()

    def at_the_cut(sent: str) -> tuple[int, bytes]:
        return status, json.dumps(f"{'x' * long} {say(SECRET.value)} {say(sent)}").encode()

    return plain, in_json, at_the_cut


# Each form in one of the shapes: all of them in all shapes are what unit tests are for.
REJECTING = [_echoes(400, form)[number % 3] for number, form in enumerate(FORMS.values())]
WAITING = [_echoes(500, str)[1], _echoes(500, FORMS["json"])[0], _echoes(403, FORMS["url"])[0]]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Place]:
    """A hub whose every secret is a canary, with a mirror for a Halo, ready and with one quote written."""
    directory: Path = tmp_path_factory.mktemp("canaries")
    kafka = KafkaServer(directory / "kafka")
    kafka.start()
    try:
        asyncio.run(create_topics(kafka.bootstrap, TOPICS))
        with running_hub(directory, kafka.bootstrap, _store_url(postgres), tenants={}) as hub:
            hub.sandbox.configure(clients=[{"client_id": CLIENT_ID, "client_secret": SECRET.value}])
            with running_mirror(hub.sandbox.url, TOKEN.value) as mirror:
                _furnish(hub, mirror)
                hub.start_all()
                prove(hub)
                yield Place(hub, mirror, {})
                hub.stop_all()
    finally:
        kafka.stop()


def _store_url(postgres: PostgresServer) -> str:
    parts = urlsplit(postgres.create_database())
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"hub:{quote(STORE.value, safe='')}@{host}"))


def _furnish(hub: Hub, mirror: Mirror) -> None:
    tenants = Path(hub.environment["HUB_TENANTS_DIR"])
    for name, variable in (("acme", "ACME_SECRET"), ("refused", "WRONG_SECRET")):
        text = TENANT.format(
            name=name, halo=mirror.address, client_id=CLIENT_ID, variable=variable, rules=DEFAULT_RULES
        )
        (tenants / f"{name}.yaml").write_text(text)
    digest = hashlib.sha256(PRODUCER.value.encode()).hexdigest()
    producers = f"producers: [{{name: quoter, token_sha256: {digest}, tenants: [acme, refused], types: '*'}}]"
    Path(hub.environment["HUB_PRODUCERS_FILE"]).write_text(producers)
    hub.environment |= {
        "ACME_SECRET": SECRET.value,
        "WRONG_SECRET": WRONG.value,
        "HUB_KAFKA_SASL_USERNAME": "hub",
        "HUB_KAFKA_SASL_PASSWORD": SASL.value,
        "HUB_TOKEN": PRODUCER.value,
        "HUB_LOG_LEVEL": "DEBUG",
        # What is told of an answer is told of one that came in time, however slow the machine is.
        "HUB_REQUEST_TIMEOUT_S": "30",
        "HUB_LEASE_TTL_S": "60",
    }


def _post(place: Place, what: str, content: Any, token: str = PRODUCER.value, query: str = "") -> int:
    answer = httpx.post(
        f"http://127.0.0.1:{place.hub.http_port}/v1/events{query}",
        content=json.dumps(content),
        headers={
            "content-type": "application/cloudevents-batch+json",
            "authorization": f"Bearer {token}",
            "cookie": f"session={token}",
        },
        trust_env=False,
        timeout=90,
    )
    place.said[f"answer to {what}"] = repr(answer.headers).encode() + answer.content
    return answer.status_code


def _letters(hub: Hub) -> list[Any]:
    async def read() -> list[Any]:
        return [record async for record in read_range(hub.bootstrap, DEAD_LETTERS)]

    return asyncio.run(read())


def _log(hub: Hub, service: str) -> str:
    return hub.processes[service].log.read_text()


# What happens ---------------------------------------------------------------------------------------------------


def _write_quotes(place: Place) -> None:
    """One that is written; as many as Halo has ways to tell our secrets back; one for a tenant that is refused."""
    hub, mirror = place.hub, place.mirror
    assert (
        _post(place, "a quote", [quote_event("ok", 1, customer={"id": "org-0", "name": "Well Ltd"})]) == 202
    )
    eventually(lambda: quotes_titled(hub, "Quote ok"), timeout_s=120, what="a quote in Halo")
    mirror.echo("^/api/Client$", [*REJECTING, *WAITING])
    events = [
        quote_event(f"bad-{n}", 1, customer={"id": f"org-{n}", "name": f"Customer {n}"})
        for n in range(1, len(REJECTING) + len(WAITING) + 1)
    ]
    # One that waits for good: the others may be through before anybody looks at what waits.
    mirror.always("Customer stuck", _echoes(500, str)[1])
    events.append(quote_event("bad-stuck", 1, customer={"id": "org-stuck", "name": "Customer stuck"}))
    assert _post(place, "quotes", events) == 202
    assert _post(place, "a quote of a refused tenant", [quote_event("no", 1, tenant="refused")]) == 202
    eventually(lambda: mirror.left == 0 or None, timeout_s=120, what="every echo told")
    rejected = len(REJECTING)
    eventually(lambda: len(_letters(hub)) >= rejected, timeout_s=120, every_s=0.5, what="dead letters")
    eventually(lambda: mirror.refused, timeout_s=120, what="a refused login")

    def waiting() -> bytes | None:
        rows = asyncio.run(tables(hub.store_url))["pending"]
        return rows if b"you sent ***" in rows else None

    # Kept as it is now: what a row says changes while it waits.
    place.said["what waited"] = eventually(waiting, timeout_s=120, what="a row that says what Halo told it")
    # What the echo of each form became is looked at, not what never happened.
    assert {TOKEN.value in sent for sent in mirror.told} == {True}


def _knock_at_the_door(place: Place) -> None:
    assert _post(place, "a stranger", [quote_event("x", 1)], STRANGER.value) == 401
    assert _post(place, "a foreign tenant", [quote_event("x", 1, tenant="contoso")]) == 403
    assert _post(place, "a faulty event", [quote_event("x", 1, title=5)]) == 400
    assert _post(place, "no event", "x" * 50) == 400
    assert _post(place, "too much", "x" * 2_000_000) == 413
    assert _post(place, "a query", [quote_event("x", 1)], STRANGER.value, f"?token={STRANGER.value}") == 401


def _spoil_files(place: Place) -> None:
    hub = place.hub
    tenants = Path(hub.environment["HUB_TENANTS_DIR"])
    for name, text in BAD_TENANT_FILES.items():
        (tenants / f"{name}.yaml").write_text(text.format(LITERAL.value))
    for name in BAD_TENANT_FILES.keys() - {"in-query"}:
        line = f'"file":"{name}.yaml"'
        eventually(lambda line=line: line in _log(hub, "mapper"), timeout_s=120, what=f"a word on {name}")
    producers = Path(hub.environment["HUB_PRODUCERS_FILE"])
    good = producers.read_text()
    for number, text in enumerate(BAD_PRODUCERS_FILES, start=1):
        producers.write_text(text.format(TYPED.value))

        def refused(number: int = number) -> bool:
            _post(place, "a quote meanwhile", [quote_event("meanwhile", 1)])
            return _log(hub, "ingest").count("producers.refused") >= number

        eventually(refused, timeout_s=120, what="a word on the producers file")
    producers.write_text(good)


def _crash(place: Place) -> None:
    """Processes that can't start, each for another reason; one that waits for its store; and one that is killed."""
    hub = place.hub
    url = hub.environment["HUB_STORE_URL"]
    no_port = url.rpartition(":")[0] + ":1/hub"
    no_number = url.rpartition(":")[0] + f":{STORE.core}/hub"
    waiting = [
        hub.start("writer", "no-store", HUB_STORE_URL=no_port),
        hub.start("mapper", "no-sasl", HUB_KAFKA_SECURITY_PROTOCOL="SASL_PLAINTEXT"),
    ]
    starts = [
        hub.start("ingest", "no-url", HUB_STORE_URL=no_number),
        hub.start("writer", "no-setting", HUB_KAFKA_SECURITY_PROTOCOL=SASL.value, HUB_LEASE_TTL_S=SASL.value),
    ]
    for process in starts:
        assert process.ended(120) != 0
    for process in waiting:
        eventually(lambda log=process.log: "service.waiting" in log.read_text(), timeout_s=120, what="a word")
        assert process.stop() == 0
    hub.processes["writer"].kill()
    hub.start("writer")
    hub.wait_ready("writer")


def _ask(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command that shows something of all this, in each of its ways."""
    ids = [dict(record.headers)["ce_id"].decode() for record in _letters(place.hub)]
    commands = [
        *(["tenant", "show", name] for name in ("acme", "refused", "literal", "in-query")),
        *(
            ["tenant", "check", name, "--json"]
            for name in ("acme", "refused", "literal", "no-space", "in-address")
        ),
        *(
            ["audit", "show", f"bad-{n}", "--tenant", "acme", *more]
            for n in (1, 3)
            for more in ([], ["--json"])
        ),
        ["audit", "show", "ok", "--tenant", "acme"],
        *(["dlq", "list", *more] for more in ([], ["--json"])),
        *(["dlq", "show", ids[n], "--reveal", *more] for n in (0, 2, -1) for more in ([], ["--json"])),
        *(["backlog", *more] for more in ([], ["--json"])),
        ["event", "send", str(place.hub.directory / "none.json")],
        ["event", "token"],
        ["topics", "apply", "--check"],
    ]
    for arguments in commands:
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        place.said[f"hub {' '.join(arguments)}: {code}"] = (captured.out + captured.err).encode()


# Where it is looked for -----------------------------------------------------------------------------------------


@pytest.fixture
def command_line(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process as `hub` sees it: its variables, its log, which is one more place to look at."""
    for name, value in place.hub.environment.items():
        monkeypatch.setenv(name, value)
    log = place.hub.directory / "command-line.log"
    with own_logging(), log.open("w") as stream:
        configure_logging("cli", redactor=Redactor(Settings().secrets()), level="DEBUG", stream=stream)
        yield


@pytest.mark.invariant("INV-14")
@pytest.mark.usefixtures("command_line")
def test_no_secret_is_found_anywhere(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    hub = place.hub
    lines = [command_lines()]
    for happening in (_write_quotes, _knock_at_the_door, _spoil_files, _crash):
        happening(place)
        lines.append(command_lines())
    _ask(place, capsys)
    lines.append(command_lines())
    searched: dict[str, bytes] = {f"command lines {n}": found for n, found in enumerate(lines)}
    searched |= dict(pages(hub))
    searched |= {f"table {name}": rows for name, rows in asyncio.run(tables(hub.store_url)).items()}
    searched |= dict(topics(hub))
    for process in hub.processes.values():
        process.kill()
    logs = {path.name: path.read_bytes() for path in hub.directory.glob("*.log")}
    searched |= logs | place.said
    _was_searched(place, searched, logs)
    aviary = Aviary(CANARIES)
    leaks = {where: found for where, data in searched.items() if (found := aviary.found_in(data))}
    assert leaks == {}, _around(searched, leaks)


def _was_searched(place: Place, searched: dict[str, bytes], logs: dict[str, bytes]) -> None:
    """That what went wrong has left its traces, so that looking for more than those means something."""
    every_log = b"\n".join(logs.values())
    for event in (b"settings.invalid", b"producers.refused", b"events.refused", b"service.starting"):
        assert event in every_log, event
    assert len(logs) >= 8
    told = b"\n".join(data for where, data in searched.items() if where.startswith(DEAD_LETTERS))
    assert told.count(b"halo.rejected") >= len(REJECTING)
    assert b"you sent ***" in told
    assert b"you sent ***" in searched["what waited"]
    answers = [where for where in place.said if where.startswith("hub ")]
    assert any("audit show" in where and where.endswith(": 0") for where in answers)
    assert any("tenant check refused" in where and where.endswith(": 1") for where in answers), answers
    assert any("dlq show" in where and "--reveal" in where and where.endswith(": 0") for where in answers)


def _around(searched: dict[str, bytes], leaks: dict[str, set[str]]) -> str:
    lines = []
    for where, found in leaks.items():
        for line in searched[where].splitlines():
            if Aviary(CANARIES).found_in(line):
                lines.append(f"{where} holds {', '.join(found)}: {line[:600]!r}")
                break
    return "\n".join(lines)


def test_canaries_are_found_in_every_form_and_by_halves() -> None:
    """Else nothing would be found where there is something."""
    aviary = Aviary(CANARIES)
    for canary in CANARIES:
        for name, form in FORMS.items():
            # A form may hold a piece of another's by chance; what counts is that this one is found.
            assert canary.what in aviary.found_in(f"x{form(canary.value)}y"), name
        assert aviary.found_in(canary.core[:12]) == {canary.what}
        assert aviary.found_in(canary.core[-12:].encode()) == {canary.what}
    began = time.process_time()
    assert aviary.found_in(Path(__file__).read_bytes() * 20) == set()
    assert time.process_time() - began < 20
