"""`hub demo` as a person runs it: its verdict, its count at the sandbox, what it leaves running, and what it ends."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from tests.docs.guides import blocks, execute, put_hub_on_the_path
from tests.support.hub import eventually
from tests.support.processes import is_running

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.timeout(900)
HUB = [sys.executable, "-m", "tests.e2e.patient"]
LIMIT_S = 600.0


@dataclass
class Demo:
    """A demo that stays: its process, and the document that it has printed."""

    popen: "subprocess.Popen[str]"
    told: dict[str, Any]

    def children(self) -> list[int]:
        tasks = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        return [int(pid) for pid in tasks.read_text().split()]

    def quotes(self) -> list[dict[str, Any]]:
        return self.rows("Quotation")

    def rows(self, resource: str) -> list[dict[str, Any]]:
        """What the sandbox holds of a resource."""
        url = self.told["go_on"]["halo"].split("'")[1].partition("?")[0]
        answer = httpx.get(url, params={"resource": resource}, trust_env=False, timeout=60.0)
        found: list[dict[str, Any]] = answer.json()[resource]
        return found

    @property
    def directory(self) -> Path:
        return Path(self.told["go_on"]["publish"].rpartition("@")[2]).parent

    def terminal(self, name: str) -> dict[str, str]:
        """The variables of a user's other terminal, in a place of its own."""
        commands = put_hub_on_the_path(self.directory / name)
        return {
            "PATH": f"{commands}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "DEMO": str(self.directory),
        }

    def run(self, name: str) -> str:
        """What one of the commands that the demo told answers, in a shell."""
        command = self.told["go_on"][name]
        ended = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=240, check=False)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    # Somebody's own hub and proxy must not be met by the demo.
    foreign = {
        "HUB_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "HUB_KAFKA_SASL_MECHANISM": "PLAIN",
        "http_proxy": "http://127.0.0.1:1",
    }
    popen = subprocess.Popen(
        [*HUB, "demo", "--stay", "--json"],
        cwd=ROOT,
        env={**os.environ, **foreign},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, and so would all that they start.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread runs yet
    )
    timer = threading.Timer(LIMIT_S, popen.kill)
    timer.start()
    assert popen.stdout is not None
    document = _document(popen.stdout)
    timer.cancel()
    if not document:
        assert popen.stderr is not None
        pytest.fail(f"hub demo said nothing; exit code {popen.wait()}:\n{popen.stderr.read()}")
    try:
        yield Demo(popen, json.loads(document))
    finally:
        popen.send_signal(signal.SIGINT)
        try:
            popen.wait(120)
        except subprocess.TimeoutExpired:
            # Its children end with it; without this they would outlive the tests.
            popen.kill()
            raise


def _document(stdout: IO[str]) -> str:
    """What comes up to the brace that ends a document at the beginning of a line."""
    lines: list[str] = []
    for line in stdout:
        lines.append(line)
        if line == "}\n":
            break
    return "".join(lines)


@pytest.mark.feature("hub.idempotent", part="writer")
@pytest.mark.feature("quote.out_of_order", part="mapper")
@pytest.mark.feature("quote.out_of_order", part="writer")
@pytest.mark.feature("beyond.simulate", part="sandbox")
@pytest.mark.feature("beyond.simulate", part="cli")
def test_the_day_is_in_the_sandbox_once_and_in_its_newest_revision(demo: Demo) -> None:
    checks = {check["about"]: check for check in demo.told["checks"]}

    assert [check for check in demo.told["checks"] if not check["ok"]] == []
    assert demo.told["ok"] is True
    assert checks["quotes, each in Halo once"]["found"] == 42
    assert checks["quotes in their newest revision"]["found"] == 42
    assert checks["opportunities, those of refused quotes too"]["found"] == 44
    assert checks["new clients"]["found"] == 7
    assert checks["events, each brought to an end"]["found"] == 56
    assert demo.told["published"] == {
        "deliveries": 66,
        "events": 56,
        "quotes": 44,
        "customers": 12,
        "refused": 1,
        "straight_to_kafka": 1,
    }
    assert 0 < demo.told["took_s"] < LIMIT_S


def test_the_sandbox_itself_counts_the_same(demo: Demo) -> None:
    titles = [row["title"].split(" ")[0] for row in demo.quotes()]

    assert len(titles) == len(set(titles))
    assert set(titles) - {"Q-2060"} == {quote["quote"] for quote in demo.told["quotes"]}


def test_the_writer_was_killed_after_halo_had_stored_what_it_sent(demo: Demo) -> None:
    killed = demo.told["killed"]
    quote = next(quote for quote in demo.told["quotes"] if quote["quote"] == killed["quote"])

    assert killed["exit_code"] == -signal.SIGKILL
    assert killed["answered"] is False
    assert 0 < killed["quotes_then"] < 42
    assert quote["halo_id"] == killed["halo_id"], (
        "the create that was never answered is the quote that is there"
    )
    assert quote["title"].endswith("revision 2"), "the revision published meanwhile took it over"


def test_what_is_not_in_halo_is_told_with_its_reason(demo: Demo) -> None:
    told = {(one["quote"], one["where"], one["reason"]) for one in demo.told["not_written"]}

    assert told == {
        ("Q-2098", "ingest", "refused with 400"),
        ("Q-2099", "mapper", "data.invalid"),
        ("Q-2042", "writer", "name.unknown"),
        ("Q-2043", "writer", "halo.rejected"),
    }
    assert all(one["message"] and one["fix"] for one in demo.told["not_written"])


def test_no_request_is_spent_twice(demo: Demo) -> None:
    """One request creates a record, one writes each later state, and the answer that was lost costs two look-ups."""
    calls = demo.told["requests"]["calls"]

    # 44 are made; what five are worth changes with a revision, and such updates may share a request.
    assert 44 <= calls["POST /Opportunities"] <= 49
    assert calls["POST /Client"] == 7
    assert calls["POST /Item"] == 5
    assert calls["GET /ExternalLink"] == 1
    assert calls["GET /Quotation"] == 1
    assert 43 <= calls["POST /Quotation"] <= 60


def test_our_key_was_proven_first(demo: Demo) -> None:
    proofs = demo.told["tenant_check"]["proofs"]

    assert {proof["kind"] for proof in proofs if proof["ok"]} == {
        "client",
        "site",
        "user",
        "item",
        "opportunity",
        "quote",
        "attachment",
    }


@pytest.mark.feature("beyond.story", part="cli")
def test_what_stays_takes_one_more_quote_once_and_tells_its_story(demo: Demo) -> None:
    for _ in range(2):
        assert json.loads(demo.run("publish")) == {"ids": ["Q-2060-1"]}

    # What became of it is told a moment after it is in Halo.
    eventually(lambda: "applied" in demo.run("story"), what="the end of its story")
    assert "quote.published.v1" in demo.run("story")
    assert "Q-2042" in demo.run("dead_letters")
    assert len([row for row in demo.quotes() if row["title"].startswith("Q-2060")]) == 1


def test_the_quick_start_brings_a_quote_of_ones_own_into_halo(demo: Demo) -> None:
    environment = demo.terminal("bin")

    shown = execute("\n".join(blocks("quick-start.md", "bash")), environment, ROOT)

    assert '{"ids":["Q-7001-1"]}' in shown
    assert "upsert_quote.v1" in shown
    assert len([row for row in demo.quotes() if row["title"].startswith("My first quote")]) == 1
    accepted = [row["status"] for row in demo.quotes() if row["title"].startswith("Q-2001 ")]
    eventually(
        lambda: [row["status"] for row in demo.quotes() if row["title"] == "My first quote"] == accepted,
        what="the quote as it was accepted",
    )


def test_the_event_to_begin_from_becomes_a_quote(demo: Demo) -> None:
    send = """
        . "$DEMO/demo.env"
        hub event new quote.published.v1 --tenant demo --source quoter > "$DEMO/begin.json"
        hub event send "$DEMO/begin.json" --http "http://127.0.0.1:$HUB_HTTP_PORT"
    """
    execute(send, demo.terminal("begin"), ROOT)

    title = json.loads((demo.directory / "begin.json").read_text())["data"]["title"]
    (quote,) = eventually(lambda: [row for row in demo.quotes() if row["title"] == title], timeout_s=60)
    assert [bool(line["item_recurring"]) for line in quote["lines"]] == [False, True]


def test_the_story_of_a_quote_is_told_as_it_happens(demo: Demo) -> None:
    """The guide for quoting tools, each of its commands, and what Halo holds in the end."""
    environment = demo.terminal("quoting")

    told = execute("\n".join(blocks("quoting.md", "bash")), environment, ROOT, timeout_s=800)

    (quote,) = [row for row in demo.quotes() if row["title"].startswith("New practice")]
    assert quote["title"] == "New practice in Leeds, with docks"
    assert (quote["revenue"], quote["tax_total"]) == (2021.80, 404.36)
    assert [bool(line["item_recurring"]) for line in quote["lines"]] == [False, True, False]
    (order,) = [row for row in demo.rows("SalesOrder") if row["quotation_id"] == quote["id"]]
    assert order["ticket_id"] == quote["ticket_id"]
    (won,) = [row["id"] for row in demo.rows("Status") if row["name"] == "Won"]

    def opportunity() -> dict[str, Any]:
        return next(row for row in demo.rows("Opportunities") if row["id"] == quote["ticket_id"])

    eventually(lambda: opportunity()["status_id"] == won, what="its opportunity won")
    assert opportunity()["purchaseordernumber"] == "PO-4711"
    for event in (
        "quote.published",
        "quote.updated",
        "quote.status_changed",
        "quote.converted",
        "question.answered",
    ):
        assert f"{event}.v1" in told
    listed = dict(line.split(maxsplit=1) for line in blocks("quoting.md", "text")[0].splitlines())
    sent = json.loads((demo.directory / "updated.json").read_text())
    assert {
        f"ce_{name}": str(value) for name, value in sent.items() if name != "data"
    }.items() <= listed.items()


def test_ctrl_c_ends_every_process_and_leaves_no_files(demo: Demo) -> None:
    children = demo.children()
    directory = Path(demo.told["go_on"]["publish"].rpartition("@")[2]).parent
    assert len(children) == 5
    assert directory.is_dir()

    demo.popen.send_signal(signal.SIGINT)

    assert demo.popen.wait(120) == 0
    assert [pid for pid in children if is_running(pid)] == []
    assert not directory.exists()


@pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel ends the children of a killed parent on Linux alone"
)
def test_the_children_of_a_demo_that_is_killed_end_too(tmp_path: Path) -> None:
    starts = (
        "import os, pathlib, sys, time\n"
        "from cli.demo.processes import Family\n"
        "family = Family(pathlib.Path(sys.argv[1]))\n"
        "print(family.start('sandbox', ('sandbox', '--port', '0'), os.environ).pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", starts, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)

    parent.kill()
    parent.wait()

    eventually(lambda: not is_running(child), what="its end")
