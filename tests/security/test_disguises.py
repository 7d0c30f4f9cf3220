"""A known secret is hidden in whatever form it comes back: in Halo's answers, in log lines, in a traceback."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus, urlencode

import httpx
import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from halo import Connection, HaloClient, Reply, Secret, redact_text
from halo.disguises import marks_of
from halo.messages import MAX_TEXT_CHARS
from halo.resources import CLIENT
from hub.settings import Settings
from hub.telemetry.logging import configure_logging, hide, redacted
from hub.telemetry.redaction import Redactor
from hub.tenants.secrets import resolve
from tests.unit.halo.support import OpenGate

ROOT = Path(__file__).parents[2]
CORE = "GHJKMNPQRSTVWXYZ"
SECRET = f'Kan"{CORE}/+ =&<é\\'
FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": lambda s: quote(s, safe=""),
    "form": quote_plus,
    "url twice": lambda s: quote(quote(s, safe=""), safe=""),
    "json": lambda s: json.dumps({"Message": f"bad value {s}"}),
    "json as it is": lambda s: json.dumps(f"bad value {s}", ensure_ascii=False),
    "json within json": lambda s: json.dumps({"Message": json.dumps({"sent": s})}),
    "json three deep": lambda s: json.dumps(json.dumps(json.dumps(s))),
    ".NET's json": lambda s: "".join(c if c.isascii() and c.isalnum() else f"\\u{ord(c):04X}" for c in s),
    "json's slashes": lambda s: json.dumps(s).replace("/", "\\/"),
    "html": html.escape,
    "html, numbers": lambda s: "".join(c if c.isalnum() and c.isascii() else f"&#{ord(c)};" for c in s),
    "html, twice": lambda s: html.escape(html.escape(s)),
    "url in html": lambda s: html.escape(f"https://x.example/?{urlencode({'note': s})}&a=b"),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64, one before": lambda s: base64.b64encode(b"i:" + s.encode() + b"..").decode(),
    "base64, two before": lambda s: base64.b64encode(b":" + s.encode() + b".").decode(),
    "base64 for urls": lambda s: base64.urlsafe_b64encode(b"client:" + s.encode()).decode(),
    "base64 in json": lambda s: json.dumps(base64.b64encode(s.encode()).decode()).replace("/", "\\/"),
    "hex": lambda s: s.encode().hex(),
    "HEX": lambda s: s.encode().hex().upper(),
    "repr": lambda s: repr(s.encode("latin-1"))[2:-1].replace("\\xe9", "%E9"),
}


def traces(secret: str) -> set[str]:
    """What must be nowhere: the telling middle of the secret, and of its encodings."""
    middle = secret.encode()
    cores = (
        {base64.b64encode(bytes(n) + middle).decode()[4:-4] for n in range(3)} if len(middle) > 12 else set()
    )
    return {secret, middle.hex(), middle.hex().upper(), *cores}


@pytest.mark.invariant("INV-14")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_hidden_in_every_form(form: Callable[[str], str]) -> None:
    text = f"before {form(SECRET)} after"
    for shown in (redact_text(text, [SECRET]), Redactor([SECRET]).text(text)):
        assert CORE not in shown
        assert not any(trace in shown for trace in traces(SECRET)), shown
        assert shown.startswith("before ")
        assert shown.endswith(" after")


_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
_SECRETS = st.text(
    alphabet=st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=12, max_size=40
)


@pytest.mark.invariant("INV-14")
@settings(max_examples=200, deadline=None)
@given(
    secret=_SECRETS,
    before=_TEXT,
    after=_TEXT,
    form=st.sampled_from(sorted(set(FORMS) - {"repr", ".NET's json"})),
)
@example(secret="++//++//++//", before="", after="", form="base64")
def test_whatever_the_secret_is_no_form_of_it_survives(
    secret: str, before: str, after: str, form: str
) -> None:
    said = FORMS[form](secret)
    text = f"{before} {said} {after}"
    others = Redactor([secret, "another-known-secret"])
    for shown in (redact_text(text, [secret]), others.text(text)):
        left = shown.replace("[hidden]", "").replace("***", "")
        assert said not in left
        if secret not in f"{before} {after}":
            assert not any(trace in left for trace in traces(secret) if len(trace) > 8), shown


@given(secret=_SECRETS)
def test_a_text_without_a_mark_of_the_secret_is_not_searched_for_it(secret: str) -> None:
    for form in ("plain", "url", "json", "html", "base64", "hex", "HEX"):
        assert any(mark in FORMS[form](secret) for mark in marks_of(secret))


def test_the_two_copies_are_equal() -> None:
    """`halo` and `hub` import nothing of each other."""
    copies = [(ROOT / place / "disguises.py").read_bytes() for place in ("halo", "hub/telemetry")]
    assert copies[0] == copies[1]


@pytest.mark.parametrize(
    "text",
    [
        "\\" * 100_000,
        "%25" * 30_000,
        "&amp;" * 20_000,
        "a-" * 50_000,
        "token" * 20_000,
        "://" * 30_000,
        '"' * 100_000,
    ],
)
def test_no_text_makes_hiding_slow(text: str) -> None:
    began = time.process_time()
    redact_text(text, ['"\\/&%secret'])
    Redactor(['"\\/&%secret']).text(text)
    assert time.process_time() - began < 20.0


# Halo's answers -----------------------------------------------------------------------------------------------

TOKEN = f"tok-{CORE[::-1]}-en"


def _answering(status: int, body: bytes) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _request: httpx.Response(status, content=body)


async def _reply(answer: Callable[[httpx.Request], httpx.Response], *, token: str = TOKEN) -> Reply:
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/token"):
            return httpx.Response(200, json={"access_token": token, "expires_in": 3600})
        return answer(request)

    connection = Connection(
        "https://acme.example/api", "https://acme.example/auth", "id", Secret(SECRET), None, ("all",)
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        return await HaloClient(connection, http, OpenGate()).get(CLIENT, 1)


def _shown(reply: Reply) -> str:
    return f"{reply!r} {reply} {reply.text} {reply.lines}"


@pytest.mark.invariant("INV-14")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["client secret", "access token"])
async def test_what_halo_echoes_of_our_secrets_is_not_in_its_reply(
    form: Callable[[str], str], secret: str
) -> None:
    for body in (
        form(secret).encode(),
        json.dumps({"Message": f"you sent {form(secret)}"}).encode(),
        json.dumps({f"$.{form(secret)}": [form(secret)]}).encode(),
        f"<html><title>x</title><p>{html.escape(form(secret))}</p></html>".encode(),
    ):
        shown = _shown(await _reply(_answering(400, body)))
        assert not any(trace in shown for trace in (*traces(secret), CORE, CORE[::-1])), shown


@pytest.mark.invariant("INV-14")
@pytest.mark.parametrize("at", range(MAX_TEXT_CHARS - len(SECRET) - 3, MAX_TEXT_CHARS + 3))
async def test_a_secret_at_the_place_where_a_text_is_cut_does_not_show_by_halves(at: int) -> None:
    """Cut first and redacted then, its first half would be in the dead letter."""
    body = json.dumps("x" * at + SECRET)
    reply = await _reply(_answering(400, body.encode()))
    assert not any(CORE[n : n + 4] in reply.text for n in range(len(CORE) - 3))
    assert "xxx" in reply.text


@pytest.mark.invariant("INV-14")
async def test_of_a_huge_page_only_the_beginning_is_told_and_no_secret() -> None:
    page = "<p>" + "no " * 50_000 + SECRET + "</p>"
    for content in (page, json.dumps(page)):
        reply = await _reply(_answering(502, content.encode()))
        assert CORE[:4] not in reply.text
        assert len(reply.text) <= MAX_TEXT_CHARS + 200


@pytest.mark.parametrize("token", ["tok\nen-of-two-lines", "tök-en-that-is-no-ascii", "tok en", "tok\x00en"])
async def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(token: str) -> None:
    reply = await _reply(_answering(200, b"{}"), token=token)
    assert not reply.ok
    assert "no header can carry" in reply.text
    assert token not in _shown(reply)


# Logs --------------------------------------------------------------------------------------------------------


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    stream = io.StringIO()
    configure_logging("test", redactor=Redactor(), stream=stream)
    yield stream
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    structlog.reset_defaults()
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.invariant("INV-14")
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_tenants_secret_is_hidden_in_the_log_from_its_first_use(
    stream: io.StringIO, form: Callable[[str], str]
) -> None:
    assert resolve("env:CANARY", {"CANARY": SECRET}) == SECRET
    try:
        try:
            raise RuntimeError(form(SECRET))
        except RuntimeError as cause:
            raise ValueError(f"Halo said {form(SECRET)}") from cause
    except ValueError as error:
        structlog.get_logger().error("lane.failed", exc_info=error, said={form(SECRET): [form(SECRET)]})
        logging.getLogger("asyncio").warning("never retrieved: %s", form(SECRET), exc_info=error)
    written = stream.getvalue()
    assert written.count("\n") == 2
    assert not any(trace in written for trace in (*traces(SECRET), CORE)), written
    assert not any(trace in redacted(form(SECRET)) for trace in (*traces(SECRET), CORE))


@pytest.mark.invariant("INV-14")
def test_what_ends_a_process_or_a_thread_is_a_redacted_line(
    stream: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    hide(SECRET)
    error = RuntimeError(f"connecting with {SECRET}")
    sys.excepthook(RuntimeError, error, None)
    threading.excepthook(threading.ExceptHookArgs((RuntimeError, error, None, None)))
    thread = threading.Thread(target=lambda: int(SECRET))
    thread.start()
    thread.join()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["process.failed"] * 3
    assert "ValueError" in lines[2]["exception"]
    assert CORE not in stream.getvalue() + "".join(capsys.readouterr())


# Settings ----------------------------------------------------------------------------------------------------


@pytest.mark.invariant("INV-14")
@pytest.mark.parametrize("password", ["12/canary#1", "can:ary", "ca?nary=1", "canary/5432", "c%40nary"])
@pytest.mark.parametrize("query", ["", "?sslpassword=canary@home", "?a=b&token=canary"])
def test_a_store_password_shows_in_no_summary_whatever_its_characters(password: str, query: str) -> None:
    settings = Settings(store_url=f"postgresql+asyncpg://hub:{password}@db.example:5432/hub{query}")
    shown = json.dumps(settings.summary()) + repr(settings)
    assert not any(part in shown for part in ("canary", "nary", password)), shown
    hidden_in_logs = Redactor(settings.secrets()).text(settings.store_url)
    assert "nary" not in hidden_in_logs, hidden_in_logs


@pytest.mark.parametrize("url", ["canary", "postgresql://hub:canary@db:port/hub", "://canary"])
def test_a_store_url_that_is_none_is_not_shown_at_all(url: str) -> None:
    settings = Settings(store_url=url)
    assert "canary" not in json.dumps(settings.summary())
    assert "canary" not in Redactor(settings.secrets()).text(f"can't open {url}")
