"""Budget, request log, instances, fixtures, and the process itself."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.sandbox.server import ROOT, Sandbox, SandboxProcess, plain_client, start_sandbox
from tests.support.processes import is_running

pytestmark = pytest.mark.feature("beyond.simulate", part="sandbox")


def test_the_budget_is_a_rolling_window(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.configure(budget={"limit": 3, "window_s": 600})
    assert [halo.get("/Tax").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = halo.get("/Tax")
    assert refused.text == "Rate Limit Reached - 3 Requests per rolling 10 minute window."
    assert "retry-after" not in refused.headers
    sandbox.configure(budget={"limit": 3, "window_s": 0.6})
    deadline = time.monotonic() + 60
    # Refused calls don't keep the window full.
    while (answer := halo.get("/Tax")).status_code != 200:
        assert answer.text == "Rate Limit Reached - 3 Requests per rolling 0.6 second window."
        assert time.monotonic() < deadline


def test_the_budget_can_name_its_wait(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.configure(budget={"limit": 1, "window_s": 120, "retry_after": True})
    halo.get("/Tax")
    refused = halo.get("/Tax")
    assert refused.text == "Rate Limit Reached - 1 Requests per rolling 2 minute window."
    assert 30 <= int(refused.headers["retry-after"]) <= 120
    assert sandbox.requests()[-1]["fault"] == "budget"


def test_limit_0_is_no_limit(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.configure(budget={"limit": 0})
    assert {halo.get("/Team").status_code for _ in range(310)} == {200}


def test_instances_keep_apart(sandbox: Sandbox, halo: httpx.Client) -> None:
    with sandbox.named(f"{sandbox.instance}-blank", blank=True) as other, other.client() as client:
        assert client.get("/Client").json()["record_count"] == 0
        mine = halo.post("/Client", json=[{"name": "Mine"}]).json()
        theirs = client.post("/Client", json=[{"name": "Theirs"}]).json()
        assert mine["id"] == theirs["id"] == 101
        assert client.get(f"/Client/{mine['id']}").json()["name"] == "Theirs"
        assert {entry["instance"] for entry in other.requests()} == {other.instance}
        other.forget()


def test_the_default_instance_lives_at_the_root(sandbox_process: SandboxProcess) -> None:
    with Sandbox(sandbox_process.url) as default, default.client() as client:
        assert default.resource_url == f"{sandbox_process.url}/api"
        assert client.get("/Client/11").json()["accountsid"] == "ALD001"
        client.post("/Client", json=[{"name": "Passing"}])
        default.forget()
        assert "Passing" not in {row["name"] for row in default.state("Client")}


def test_an_unknown_instance_is_404(sandbox_process: SandboxProcess) -> None:
    assert plain_client(sandbox_process.url).get("/nobody/api/Tax").status_code == 404
    with Sandbox(sandbox_process.url, "nobody") as nobody, pytest.raises(AssertionError, match="404"):
        nobody.state("Client")


@pytest.mark.parametrize("name", ["api", "auth", "_sandbox", "Upper"])
def test_some_names_cannot_be_taken(sandbox_process: SandboxProcess, name: str) -> None:
    with Sandbox(sandbox_process.url, name) as taken, pytest.raises(AssertionError, match="400"):
        taken.configure()


def test_a_setting_that_does_not_exist_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(AssertionError, match="search_lag"):
        sandbox.configure(search_lag=1)


def test_the_log_tells_what_was_asked_answered_and_changed(sandbox: Sandbox, halo: httpx.Client) -> None:
    made = halo.post("/Client", json=[{"name": "Logged", "newclient_contactname": "Lo G"}]).json()
    halo.post("/Client", json=[{"id": made["id"], "website": "w"}])
    halo.post("/Client", json=[{"id": 4711}])
    halo.get("/Client", params={"search": "Logged"})
    halo.delete(f"/Client/{made['id']}")
    create, update, missing, search, delete = sandbox.requests()
    assert create["n"] < update["n"] < missing["n"] < search["n"] < delete["n"]
    assert (create["method"], create["path"], create["status"]) == ("POST", "/Client", 201)
    assert create["body"] == [{"name": "Logged", "newclient_contactname": "Lo G"}]
    assert create["created"] == [
        {"resource": "Client", "id": made["id"]},
        {"resource": "Site", "id": made["main_site_id"]},
        {"resource": "Users", "id": made["main_contact_id"]},
    ]
    assert create["updated"] == []
    assert update["updated"] == [{"resource": "Client", "id": made["id"]}]
    assert (missing["status"], missing["applied"]) == (404, False)
    assert (search["query"], search["body"], search["applied"]) == ({"search": "Logged"}, None, False)
    assert {one["resource"] for one in delete["deleted"]} == {"Client", "Site", "Users"}


def test_a_refusal_is_logged_with_its_words(sandbox: Sandbox, halo: httpx.Client) -> None:
    answer = halo.post("/Client", json=[{}])
    entry = sandbox.requests()[-1]
    assert (entry["status"], entry["error"], entry["created"]) == (400, answer.text, [])


def test_the_log_is_filtered(sandbox: Sandbox, halo: httpx.Client) -> None:
    halo.get("/Tax")
    mark = sandbox.last_request()
    halo.get("/Tax/1")
    halo.get("/Team")
    assert [entry["path"] for entry in sandbox.requests(since=mark)] == ["/Tax/1", "/Team"]
    assert [entry["path"] for entry in sandbox.requests(path="^/tax")] == ["/Tax", "/Tax/1"]
    assert sandbox.requests(method="POST") == []


def test_counts_sum_the_log_up(sandbox: Sandbox, halo: httpx.Client) -> None:
    before = sandbox.counts()["rows"]
    mark = sandbox.last_request()
    made = halo.post("/Client", json=[{"name": "x"}]).json()
    halo.post("/Client", json=[{"id": made["id"], "name": "y"}])
    halo.get("/Client")
    counts = sandbox.counts(since=mark)
    assert counts["rows"]["Client"] == before["Client"] + 1
    assert counts["requests"]["calls"] == {"POST Client": 2, "GET Client": 1}
    assert counts["requests"]["created"] == {"Client": 1, "Site": 1}
    assert counts["requests"]["updated"] == {"Client": 1}
    assert counts["requests"]["statuses"] == {"201": 2, "200": 1}


def test_a_fixture_adds_rows_that_are_found_at_once(sandbox: Sandbox, halo: httpx.Client) -> None:
    sandbox.configure(search_lag_s=60)
    loaded = sandbox.load(
        {
            "Client": [{"id": 500, "name": "Loaded"}, {"name": "Numbered"}],
            "Site": [{"name": "Somewhere", "client_id": 500}],
            "Users": [{"name": "Someone", "client_id": 500, "site_id": 201}],
            "config": {"main_contact_compulsory": True},
        }
    )
    assert loaded == {"Client": 2, "Site": 1, "Users": 1}
    row = halo.get("/Client", params={"search": "Loaded"}).json()["clients"][0]
    assert (row["id"], row["main_site_name"], row["main_contact_name"]) == (500, "Somewhere", "Someone")
    assert halo.post("/Client", json=[{"name": "x"}]).status_code == 400
    sandbox.load({"Client": [{"id": 7, "name": "Alone"}]}, replace=True)
    assert [client["id"] for client in sandbox.state("Client")] == [7]


def test_a_bad_fixture_says_every_fault(sandbox: Sandbox) -> None:
    rows = {"Client": [{"id": "x", "shoe_size": 4}], "Gadget": [], "config": {"colour": 1}}
    with pytest.raises(AssertionError) as refused:
        sandbox.load(rows)
    for part in ("Client[0].id", "Client[0].shoe_size", "Gadget", "config"):
        assert part in str(refused.value)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_process_cleanly_even_with_a_hanging_request(
    tmp_path: Path, stop: signal.Signals
) -> None:
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--ready-file", str(ready)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("sandbox listening on http://127.0.0.1:")
        with Sandbox(line.split()[-1]) as sandbox, sandbox.client() as client:
            sandbox.arm("drop_then_store", path="/Client", delay_s=600)
            with pytest.raises(httpx.RemoteProtocolError):
                client.post("/Client", json=[{"name": "Never"}])
            sandbox.arm("hang", path="/Tax")
            address = httpx.URL(sandbox.url)
            with socket.create_connection((address.host, address.port or 0)) as hanging:
                bearer = client.headers["authorization"]
                hanging.sendall(
                    f"GET /api/Tax HTTP/1.1\r\nHost: x\r\nAuthorization: {bearer}\r\n\r\n".encode()
                )
                while not sandbox.requests(path="/Tax"):
                    time.sleep(0.02)
                process.send_signal(stop)
                _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()
        process.wait()


def test_it_starts_with_a_fixture_of_ones_own_or_says_why_not(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("Client:\n  - {id: 5, name: Only}\n")
    process = start_sandbox(tmp_path, fixture=own)
    with Sandbox(process.url) as sandbox:
        assert [client["name"] for client in sandbox.state("Client")] == ["Only"]
    process.stop()
    assert not is_running(process.pid)
    own.write_text("Gadget: []\n")
    with pytest.raises(RuntimeError, match="Gadget"):
        start_sandbox(tmp_path, fixture=own)


@pytest.mark.skipif(shutil.which("curl") is None, reason="the examples are curl commands")
def test_the_examples_of_the_manual_work(tmp_path: Path, free_port: int) -> None:
    text = (ROOT / "docs/sandbox.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 7
    script = "\n".join(["set -euo pipefail", "trap 'kill $(jobs -p)' EXIT", *blocks])
    script = script.replace("8901", str(free_port)).replace("/tmp/", f"{tmp_path}/")
    script = script.replace(".venv/bin/python", sys.executable)
    script += '\nkill %1 && wait %1 && trap - EXIT && echo "ended cleanly"\n'
    done = subprocess.run(
        ["bash", "-c", script], check=False, cwd=ROOT, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    for part in (
        "Brightwater Dental Group",
        '"tax_total":379.6',
        "500\n",
        '"Stored all the same"',
        "edited.example",
    ):
        assert part in done.stdout
    assert done.stdout.endswith("ended cleanly\n")
