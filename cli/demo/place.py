"""Where the demo lives: a directory with store, tenant file, producers and logs; and what its processes are told."""

import hashlib
import os
import secrets
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.demo.day import ONE_MORE, PRODUCER, TENANT
from hub.settings import Settings

SESSION_TIMEOUT_S = 4.0
"""Longer than the 3 s for which the embedded broker gathers a group: else it would give up those that join."""
CLIENT_ID, CLIENT_SECRET = "sandbox-client", "sandbox-secret"
_SECRET_NAME = "DEMO_HALO_SECRET"  # noqa: S105 - the name of a variable
_SANDBOX_SECRET_NAME = "SANDBOX_SECRET"  # noqa: S105 - that of the example tenants

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
_PRODUCER = """\
  - name: {producer}
    token_sha256: [{digest}]
    tenants: [{tenant}]
    types: "*"
"""


@dataclass(frozen=True)
class Times:
    """How long the services wait, scaled down: what takes minutes with a real Halo takes seconds here."""

    settle_s: float
    lease_s: float
    request_timeout_s: float


HURRIED = Times(settle_s=3.0, lease_s=3.0, request_timeout_s=1.2)
"""For a writer that is killed: its lease and its open request are soon over."""
UNHURRIED = Times(settle_s=8.0, lease_s=20.0, request_timeout_s=10.0)
"""For a busy machine, where nobody is killed."""


@dataclass(frozen=True)
class Guest:
    """A tenant of the demo and its producer; `rules_at` makes the tenant file for the address of a sandbox."""

    tenant: str
    producer: str
    rules_at: Callable[[str], str]


@dataclass(frozen=True)
class Place:
    """The demo's directory and addresses. `tokens` are the producers', `environment` what all processes are told."""

    directory: Path
    bootstrap: str
    sandbox: str
    http_port: int
    tokens: Mapping[str, str]
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

    def tenant_file(self, tenant: str = TENANT) -> Path:
        return self.directory / "tenants" / f"{tenant}.yaml"

    @property
    def token(self) -> str:
        """That of the first producer."""
        return next(iter(self.tokens.values()))

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

    @property
    def token_file(self) -> Path:
        """The first producer's token as a header for curl: what stands on a command line every user can read."""
        return self.directory / "token.header"


def guest_of_the_day(budget: tuple[int, int]) -> Guest:
    """The tenant and the producer of the day; `budget` is requests and seconds."""

    def rules_at(sandbox: str) -> str:
        return _TENANT_FILE.format(
            tenant=TENANT,
            sandbox=sandbox,
            client_id=CLIENT_ID,
            secret_name=_SECRET_NAME,
            requests=budget[0],
            window_s=budget[1],
        )

    return Guest(TENANT, PRODUCER, rules_at)


def furnish(
    directory: Path, *, bootstrap: str, sandbox: str, http_port: int, guests: Sequence[Guest], times: Times
) -> Place:
    """Writes the tenant files, the producers, `demo.env` and `token.header`, into a directory that is ours alone."""
    tokens = {guest.producer: secrets.token_urlsafe(24) for guest in guests}
    environment = _environment(directory, bootstrap, http_port, times)
    place = Place(directory, bootstrap, sandbox, http_port, tokens, environment)
    (directory / "tenants").mkdir()
    producers = "producers:\n"
    for guest in guests:
        place.tenant_file(guest.tenant).write_text(guest.rules_at(sandbox))
        digest = hashlib.sha256(tokens[guest.producer].encode()).hexdigest()
        producers += _PRODUCER.format(producer=guest.producer, digest=digest, tenant=guest.tenant)
    (directory / "producers.yaml").write_text(producers)
    exports = {name: value for name, value in place.environment.items() if name not in os.environ}
    exports |= {"HUB_TOKEN": place.token}
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(exports.items())]
    place.variables_file.write_text("".join(lines))
    place.token_file.write_text(f"Authorization: Bearer {place.token}\n")
    return place


def own_environment() -> dict[str, str]:
    """This process's variables without those of a hub and without proxies: the demo reaches nothing but itself."""
    foreign = ("HUB_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(foreign)}


def _environment(directory: Path, bootstrap: str, http_port: int, times: Times) -> dict[str, str]:
    return {
        **own_environment(),
        "HUB_BOOTSTRAP_SERVERS": bootstrap,
        "HUB_CLUSTER": "demo",
        "HUB_ANY_PARTITION_COUNT": "true",
        "HUB_STORE_URL": f"sqlite+aiosqlite:///{directory / 'hub.db'}",
        "HUB_TENANTS_DIR": str(directory / "tenants"),
        "HUB_PRODUCERS_FILE": str(directory / "producers.yaml"),
        "HUB_HTTP_PORT": str(http_port),
        "HUB_SETTLE_S": f"{times.settle_s:g}",
        "HUB_LEASE_TTL_S": f"{times.lease_s:g}",
        "HUB_REQUEST_TIMEOUT_S": f"{times.request_timeout_s:g}",
        "HUB_KAFKA_SESSION_TIMEOUT_S": f"{SESSION_TIMEOUT_S:g}",
        "HUB_DRAIN_S": "3",
        _SECRET_NAME: CLIENT_SECRET,
        _SANDBOX_SECRET_NAME: CLIENT_SECRET,
    }
