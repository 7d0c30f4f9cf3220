"""Where the demo lives: a directory with store, tenant file, producers and logs; and what its processes are told."""

import hashlib
import os
import secrets
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.demo.day import ONE_MORE, PRODUCER, TENANT
from hub.settings import Settings

SETTLE_S = 3.0
LEASE_S = 3.0
REQUEST_TIMEOUT_S = 1.2
SESSION_TIMEOUT_S = 4.0
"""Longer than the 3 s for which the embedded broker gathers a group: else it would give up those that join."""
CLIENT_ID, CLIENT_SECRET = "sandbox-client", "sandbox-secret"
_SECRET_NAME = "DEMO_HALO_SECRET"  # noqa: S105 - the name of a variable

_TENANT_FILE = """\
tenant: {tenant}
halo:
  resource_server: {sandbox}/api
  authorization_server: {sandbox}/auth
  client_id: {client_id}
  client_secret: env:{secret_name}
  budget: {{requests: {requests}, window: {window_s}s}}
agents:
  map: {{alex: Alex Morgan}}
items:
  asset_group: Hardware
  asset_groups: {{Cloud: Managed Services, Labour: Services}}
billing_periods: {{every month: Monthly, every year: Yearly}}
opportunities:
  ticket_type: Opportunity
  status: Quote Sent
quotes:
  statuses: {{approved: Accepted, declined: Rejected}}
"""
_PRODUCERS_FILE = """\
producers:
  - name: {producer}
    token_sha256: [{digest}]
    tenants: [{tenant}]
    types: "*"
"""


@dataclass(frozen=True)
class Place:
    """The demo's directory and addresses. `token` is the producer's, `environment` what all processes are told."""

    directory: Path
    bootstrap: str
    sandbox: str
    http_port: int
    token: str
    environment: Mapping[str, str]

    @property
    def events_url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}/v1/events"

    def settings(self) -> Settings:
        """The settings with which the demo itself reads the log and the store."""
        return Settings(
            bootstrap_servers=self.bootstrap,
            cluster=self.environment["HUB_CLUSTER"],
            store_url=self.environment["HUB_STORE_URL"],
            any_partition_count=True,
        )

    @property
    def tenant_file(self) -> Path:
        return self.directory / "tenants" / f"{TENANT}.yaml"

    @property
    def one_more(self) -> str:
        """The id of a quote that is not of the day."""
        return ONE_MORE

    @property
    def one_more_file(self) -> Path:
        return self.directory / "one-more-quote.json"

    @property
    def hub(self) -> str:
        """The command as this installation has it."""
        beside = Path(sys.executable).with_name("hub")
        return str(beside) if beside.exists() else f"{sys.executable} -m cli.main"

    @property
    def variables_file(self) -> Path:
        return self.directory / "demo.env"


def furnish(
    directory: Path, *, bootstrap: str, sandbox: str, http_port: int, budget: tuple[int, int]
) -> Place:
    """Writes the tenant file, the producers and `demo.env`; `budget` is requests and seconds."""
    token = secrets.token_urlsafe(24)
    place = Place(
        directory, bootstrap, sandbox, http_port, token, _environment(directory, bootstrap, http_port)
    )
    place.tenant_file.parent.mkdir()
    place.tenant_file.write_text(
        _TENANT_FILE.format(
            tenant=TENANT,
            sandbox=sandbox,
            client_id=CLIENT_ID,
            secret_name=_SECRET_NAME,
            requests=budget[0],
            window_s=budget[1],
        )
    )
    digest = hashlib.sha256(token.encode()).hexdigest()
    producers = _PRODUCERS_FILE.format(producer=PRODUCER, digest=digest, tenant=TENANT)
    (directory / "producers.yaml").write_text(producers)
    exports = {name: value for name, value in place.environment.items() if name not in os.environ}
    exports |= {"HUB_TOKEN": token}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(exports.items())]
    place.variables_file.write_text("".join(lines))
    return place


def own_environment() -> dict[str, str]:
    """This process's variables without those of a hub and without proxies: the demo reaches nothing but itself."""
    foreign = ("HUB_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}


def _environment(directory: Path, bootstrap: str, http_port: int) -> dict[str, str]:
    return {
        **own_environment(),
        "HUB_BOOTSTRAP_SERVERS": bootstrap,
        "HUB_CLUSTER": "demo",
        "HUB_ANY_PARTITION_COUNT": "true",
        "HUB_STORE_URL": f"sqlite+aiosqlite:///{directory / 'hub.db'}",
        "HUB_TENANTS_DIR": str(directory / "tenants"),
        "HUB_PRODUCERS_FILE": str(directory / "producers.yaml"),
        "HUB_HTTP_PORT": str(http_port),
        "HUB_SETTLE_S": f"{SETTLE_S:g}",
        "HUB_LEASE_TTL_S": f"{LEASE_S:g}",
        "HUB_REQUEST_TIMEOUT_S": f"{REQUEST_TIMEOUT_S:g}",
        "HUB_KAFKA_SESSION_TIMEOUT_S": f"{SESSION_TIMEOUT_S:g}",
        "HUB_DRAIN_S": "3",
        _SECRET_NAME: CLIENT_SECRET,
    }
