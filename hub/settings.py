"""What one process is told from outside, read once at its entry point from `HUB_*` variables.

A tenant's own settings (its Halo, budget, rules) are not here: they come from its tenant file.
"""

import re
import ssl
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
_LIKELY_SECRET_CHARS = 8
_SERVER = re.compile(r"([\w.-]+|\[[\da-fA-F:.]+\])(:\d{1,5})?")
_SECRET_NAME = re.compile("pass|secret|token", re.IGNORECASE)


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


def _servers(value: str) -> str:
    """What the Kafka client takes for addresses; what it doesn't it would meet with an error of its own."""
    if not all(_SERVER.fullmatch(server.strip()) for server in value.split(",")):
        # The value isn't told: what has a place for a name may hold a password.
        raise ValueError("must be host:port, several with commas between, and nothing else")
    return value


Place = Annotated[Path, AfterValidator(_absolute)]
Servers = Annotated[str, AfterValidator(_servers)]


class Settings(BaseSettings):
    """The process's settings. Frozen; values that may hold a secret show in no repr and in no `summary()`.

    The text below each is its line in docs/reference/configuration.md.
    """

    model_config = SettingsConfigDict(
        env_prefix="HUB_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    bootstrap_servers: Servers = "localhost:9092"
    """Kafka: host and port, several with commas between."""
    cluster: str = "main"
    """The name of the Kafka cluster in stored positions; never the same for two clusters."""
    kafka_security_protocol: SecurityProtocol = "PLAINTEXT"
    """How Kafka is spoken to."""
    kafka_sasl_mechanism: SaslMechanism | None = None
    """How the hub signs in to Kafka, with a `SASL_` protocol."""
    kafka_sasl_username: str | None = None
    """With which name."""
    kafka_sasl_password: SecretStr | None = None
    """With which password."""
    kafka_ssl_cafile: Place | None = None
    """The certificate authorities of Kafka's certificate (PEM); without it the system's."""
    kafka_ssl_certfile: Place | None = None
    """The hub's own certificate (PEM), where Kafka asks for one."""
    kafka_ssl_keyfile: Place | None = None
    """The key of that certificate (PEM)."""
    publish_timeout_s: Seconds = 10.0
    """How long Kafka may take to acknowledge; after that the door answers 503."""
    kafka_session_timeout_s: Seconds = 15.0
    """How long a process may be silent before Kafka gives its partitions to others."""
    accept_start_position: bool = False
    """For one start: take Kafka's committed positions where they differ from the store's."""
    any_partition_count: bool = False
    """For the embedded broker, which chooses partition counts itself."""

    store_url: str = Field(default="sqlite+aiosqlite:///hub.db", repr=False)
    """The store: `postgresql+asyncpg://…` where processes run on several machines."""

    tenants_dir: Place = Path("tenants")
    """The directory of the tenant files."""
    producers_file: Place = Path("producers.yaml")
    """Who may publish over HTTP."""

    http_host: str = "127.0.0.1"
    """The address of the door for events."""
    http_port: Port = 8080
    """Its port; 0 takes a free one."""
    health_host: str = "127.0.0.1"
    """The address of `/health/live`, `/health/ready` and `/metrics`."""
    health_port: Port = 8081
    """Their port, one for each process on a machine; 0 takes a free one."""
    max_body_bytes: int = Field(default=1024 * 1024, ge=1024)
    """The largest body of one HTTP request."""
    max_batch_events: int = Field(default=500, ge=1)
    """The most events in one HTTP request."""
    body_timeout_s: Seconds = 30.0
    """How long the body of one HTTP request may take to arrive."""

    settle_s: float = Field(default=180.0, ge=0)
    """How long a write to Halo may still take effect after it was sent.

    Longer than Halo's own gateway limit and the lag of its search together.
    """
    lease_ttl_s: Seconds = 45.0
    """How long a process owns a tenant without renewing.

    Longer than `HUB_REQUEST_TIMEOUT_S`, since nothing is sent that could outlive it, and the same for all processes.
    """
    request_timeout_s: Seconds = 30.0
    """The total time of one exchange with Halo."""
    drain_s: Seconds = 20.0
    """How long SIGTERM leaves for what is in hand."""
    reference_read_every_s: Seconds = 3600.0
    """How often Halo's lists (statuses, groups, agents) are read."""
    full_read_every_s: Seconds = 86400.0
    """How often Halo's records (clients, users, items) are read."""
    fresh_enough_s: float = Field(default=300.0, ge=0)
    """At start, what was read within this time is not read again."""

    log_level: LogLevel = "INFO"
    """The least level that is logged; lines are JSON on stderr."""

    @model_validator(mode="after")
    def _sasl_is_whole(self) -> Self:
        sasl = self.kafka_security_protocol.startswith("SASL")
        if sasl and not (self.kafka_sasl_username and self.kafka_sasl_password):
            raise ValueError(
                f"HUB_KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol}: "
                "set HUB_KAFKA_SASL_USERNAME and HUB_KAFKA_SASL_PASSWORD"
            )
        return self

    @model_validator(mode="after")
    def _leases_outlive_requests(self) -> Self:
        if self.lease_ttl_s <= self.request_timeout_s:
            raise ValueError(
                f"HUB_LEASE_TTL_S ({self.lease_ttl_s:g}) must be longer than HUB_REQUEST_TIMEOUT_S "
                f"({self.request_timeout_s:g}): no request could ever be sent"
            )
        return self

    def secrets(self) -> tuple[str, ...]:
        """The secrets among the settings, for whatever has to hide them."""
        password = self.kafka_sasl_password
        return (*(() if password is None else (password.get_secret_value(),)), *_secrets_of(self.store_url))

    def summary(self) -> dict[str, Any]:
        """What a service logs when it starts: every setting, where a secret is only said to be there or not."""
        shown: dict[str, Any] = {}
        for name, value in self:
            if name == "kafka_sasl_password":
                shown[f"{name}_configured"] = value is not None
            elif name == "store_url":
                shown["store"] = _place_of(self.store_url)
                shown["store_url_configured"] = "store_url" in self.model_fields_set
            else:
                shown[name] = str(value) if isinstance(value, Path) else value
        return shown


def mistyped(variables: Iterable[str]) -> dict[str, str]:
    """The variables that look like a setting and are none, each with the setting that was probably meant.

    What resembles no setting is left alone: Kubernetes itself sets `HUB_...` variables for Services of that name.
    """
    names = [f"HUB_{name.upper()}" for name in Settings.model_fields]
    strange = (name for name in variables if name.startswith("HUB_") and name not in names)
    close = {name: get_close_matches(name, names, n=1, cutoff=0.85) for name in strange}
    return {name: meant[0] for name, meant in close.items() if meant}


def tls_context(settings: Settings) -> ssl.SSLContext:
    """TLS to Kafka, verified against `kafka_ssl_cafile` or else the system, with our certificate where there is one."""
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
    if settings.kafka_ssl_certfile is not None:
        context.load_cert_chain(settings.kafka_ssl_certfile, settings.kafka_ssl_keyfile)
    return context


def _place_of(url: str) -> str:
    """The URL without user, password and query, by the rules of whoever connects with it: a password may hold `/`."""
    parsed = _parsed(url)
    if parsed is None:
        return "no URL of a store"
    host = parsed.host or ""
    port = f":{parsed.port}" if parsed.port else ""
    return f"{parsed.drivername}://{host}{port}/{parsed.database or ''}"


def _secrets_of(url: str) -> tuple[str, ...]:
    """The password in a URL, and those in its query."""
    parsed = _parsed(url)
    if parsed is None:
        # It can't be told what of it is secret.
        return (url, *(part for part in re.split("[/:@?#&=]", url) if len(part) >= _LIKELY_SECRET_CHARS))
    named = (values for name, values in parsed.query.items() if _SECRET_NAME.search(name))
    more = (value for values in named for value in ([values] if isinstance(values, str) else values))
    return tuple(filter(None, (parsed.password, *more)))


def _parsed(url: str) -> "URL | None":
    # SQLAlchemy takes a while to load, and not every command needs it.
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        return None
