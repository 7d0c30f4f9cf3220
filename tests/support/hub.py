"""A whole hub of real processes on loopback: what end-to-end and fault tests drive, kill and restart.

Halo is the sandbox, and only the sandbox is asked what became of things. Windows and deadlines are scaled down:
a write settles after `SETTLE_S`, a lease ends after `LEASE_S`.
"""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, Sandbox, start_sandbox
from tests.support.processes import free_port, spawn, stop_pid

ROOT = Path(__file__).parents[2]
SETTLE_S = 3.0
LEASE_S = 2.5
REQUEST_TIMEOUT_S = 1.2
PATIENT = {"HUB_REQUEST_TIMEOUT_S": "30", "HUB_LEASE_TTL_S": "60", "HUB_KAFKA_SESSION_TIMEOUT_S": "15"}
"""Of tests that neither kill anybody nor wait for an answer in vain: a slow machine's answer isn't given up, and who
stands still for a while keeps leases and partitions."""
PRODUCER_TOKEN = "a-token-of-a-quoting-tool"
SERVICES = ("mapper", "writer", "ingest")


@dataclass
class Process:
    """One service: its process, its log, its health port."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    health_port: int

    def ended(self, timeout_s: float = 90.0) -> int:
        """The exit code once it has ended by itself; a negative one is a signal."""
        return self.popen.wait(timeout_s)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def freeze(self) -> None:
        """SIGSTOP: it stands still, and its clocks go on."""
        self.popen.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def is_frozen(self) -> bool:
        return Path(f"/proc/{self.popen.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def is_running(self) -> bool:
        return self.popen.poll() is None

    def stop(self, timeout_s: float = 90.0) -> int:
        """SIGTERM; the exit code after draining."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(timeout_s)

    def lines(self) -> list[dict[str, Any]]:
        """Its JSON log lines so far."""
        whole, _, _ = self.log.read_text().rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]


@dataclass
class Hub:
    """The processes of one hub, and the sandbox that they write to."""

    directory: Path
    bootstrap: str
    store_url: str
    sandbox: Sandbox
    environment: dict[str, str]
    http_port: int
    sandbox_pid: int
    processes: dict[str, Process] = field(default_factory=dict)
    halos: dict[str, Sandbox] = field(default_factory=dict)

    def halo(self, tenant: str) -> Sandbox:
        """The tenant's Halo: its own instance of the sandbox, or the one that all of them share."""
        return self.halos.get(tenant, self.sandbox)

    def start(self, service: str, name: str | None = None, **environment: str) -> Process:
        """Start a service and return at once; `environment` adds to or overrides its variables."""
        name = name or service
        log = self.directory / f"{name}-{uuid.uuid4().hex[:6]}.log"
        health_port = free_port()
        variables = {
            **os.environ,
            **self.environment,
            "HUB_HEALTH_PORT": str(health_port),
            **environment,
        }
        popen = _spawn([sys.executable, "-m", "cli.main", "run", service], log, variables)
        self.processes[name] = Process(name, popen, log, health_port)
        return self.processes[name]

    def wait_ready(self, *names: str, timeout_s: float = 120.0) -> None:
        """Return when the services' readiness says so; raises with their log when one does not come up."""
        deadline = time.monotonic() + timeout_s
        for name in names or tuple(self.processes):
            process = self.processes[name]
            while not self.answers(name):
                if process.popen.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"{name} is not ready:\n{process.log.read_text()[-4000:]}")
                time.sleep(0.05)

    def answers(self, name: str, probe: str = "ready") -> bool:
        """Whether a running process says that it is `ready` or `live`."""
        return _answers(f"http://127.0.0.1:{self.processes[name].health_port}/health/{probe}")

    def start_all(self) -> None:
        for service in SERVICES:
            self.start(service)
        self.wait_ready()

    def publish(self, *events: Mapping[str, Any]) -> None:
        """Publish structured CloudEvents over HTTP; they are on the log when this returns.

        What wasn't acknowledged is sent again with the same ids, as a producer does.
        """
        deadline = time.monotonic() + 90.0
        while (answer := self._post(events)).status_code == 503 and time.monotonic() < deadline:
            time.sleep(0.5)
        assert answer.status_code == 202, answer.text

    def _post(self, events: tuple[Mapping[str, Any], ...]) -> httpx.Response:
        return httpx.post(
            f"http://127.0.0.1:{self.http_port}/v1/events",
            content=json.dumps(list(events)),
            headers={
                "content-type": "application/cloudevents-batch+json",
                "authorization": f"Bearer {PRODUCER_TOKEN}",
            },
            trust_env=False,
            timeout=90.0,
        )

    def stop_all(self) -> None:
        for process in self.processes.values():
            if process.popen.poll() is None:
                stop_pid(process.popen.pid, timeout_s=60.0)
                process.popen.wait()


def eventually(check: Any, timeout_s: float = 60.0, every_s: float = 0.1, what: str = "") -> Any:
    """The first truthy answer of `check`; raises with its last one when time is up."""
    deadline = time.monotonic() + timeout_s
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not in {timeout_s} s: {what or check}; last seen {found!r}")
        time.sleep(every_s)


@contextmanager
def running_hub(
    directory: Path,
    bootstrap: str,
    store_url: str,
    *,
    tenants: Mapping[str, str] | None = None,
    fixture: Path | None = None,
    own_halos: bool = False,
) -> Iterator[Hub]:
    """A hub that is configured but not started, with a sandbox of its own; all of it is stopped at the end.

    With `own_halos` each tenant has an instance of the sandbox for itself.
    """
    sandbox_process = start_sandbox(directory, fixture=fixture)
    sandbox = Sandbox(sandbox_process.url)
    # Limits are for the tests that are about them; a module's hundreds of requests are not.
    sandbox.configure(budget={"limit": 0})
    tenants_dir = directory / "tenants"
    tenants_dir.mkdir()
    halos: dict[str, Sandbox] = {}
    for name, text in ({"acme": ""} if tenants is None else tenants).items():
        if own_halos:
            halos[name] = sandbox.named(name, budget={"limit": 0})
        (tenants_dir / f"{name}.yaml").write_text(tenant_file(name, halos.get(name, sandbox), text))
    http_port = free_port()
    producers = directory / "producers.yaml"
    producers.write_text(producers_text())
    environment = {
        "HUB_BOOTSTRAP_SERVERS": bootstrap,
        "HUB_STORE_URL": store_url,
        "HUB_TENANTS_DIR": str(tenants_dir),
        "HUB_PRODUCERS_FILE": str(producers),
        "HUB_HTTP_PORT": str(http_port),
        "HUB_SETTLE_S": str(SETTLE_S),
        "HUB_LEASE_TTL_S": str(LEASE_S),
        "HUB_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
        "HUB_KAFKA_SESSION_TIMEOUT_S": "1.5",
        "SANDBOX_SECRET": CLIENT_SECRET,
        "PYTHONUNBUFFERED": "1",
    }
    hub = Hub(
        directory, bootstrap, store_url, sandbox, environment, http_port, sandbox_process.pid, halos=halos
    )
    try:
        yield hub
    finally:
        hub.stop_all()
        for halo in (sandbox, *halos.values()):
            halo.close()
        sandbox_process.stop()


def tenant_file(name: str, sandbox: Sandbox, more: str = "") -> str:
    """A quoting tenant whose Halo is the sandbox."""
    return f"""
tenant: {name}
halo:
  resource_server: {sandbox.resource_url}
  authorization_server: {sandbox.auth_url}
  client_id: {CLIENT_ID}
  client_secret: env:SANDBOX_SECRET
  budget: {{requests: 100000, window: 10s}}
{more or DEFAULT_RULES}
"""


DEFAULT_RULES = """
items:
  asset_group: Hardware
opportunities:
  ticket_type: Opportunity
quotes:
  statuses: {draft: Draft, sent: Sent, approved: Accepted, declined: Rejected, expired: Expired}
"""


def quote_event(
    quote: str, revision: int, *, tenant: str = "acme", event_type: str = "quote.published.v1", **data: Any
) -> dict[str, Any]:
    """A structured CloudEvent of one quote; `data` overrides the quote's fields."""
    body: dict[str, Any] = {
        "title": f"Quote {quote}",
        "customer": {"id": "org-1", "name": "Brackenridge Foods"},
        "lines": [
            {
                "id": "l1",
                "product": {"name": "Firewall", "manufacturer_part_number": "FW-100"},
                "quantity": 1,
                "price": "499.00",
            }
        ],
        "status": "sent",
    } | data
    if event_type.startswith("quote.status_changed"):
        body = {"status": data["status"]}
    return {
        "specversion": "1.0",
        "id": f"{quote}-{revision}",
        "source": "/quoter",
        "type": event_type,
        "subject": quote,
        "time": f"2026-11-02T08:{revision % 60:02d}:00Z",
        "tenant": tenant,
        "revision": revision,
        "datacontenttype": "application/json",
        "data": body,
    }


def producers_text() -> str:
    """A producers file with one producer that may publish everything, by `PRODUCER_TOKEN`."""
    import hashlib

    digest = hashlib.sha256(PRODUCER_TOKEN.encode()).hexdigest()
    return f"""
producers:
  - name: quoter
    token_sha256: [{digest}]
    tenants: "*"
    types: "*"
"""


def _spawn(command: list[str], log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        return spawn(command, log=log, detached=False, cwd=ROOT)
    finally:
        os.environ.clear()
        os.environ.update(before)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=10.0).status_code == 200
    except httpx.TransportError:
        return False
