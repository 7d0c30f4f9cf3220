"""How a service talks to Kafka: its connection, group and limits."""

from dataclasses import dataclass
from typing import Any

from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity

# Twice the largest HTTP body accepted by default, so that a dead letter can hold the encoded original.
DEFAULT_MAX_RECORD_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BusSettings:
    """One service's connection, group and limits.

    `security` is any of `faststream.security`'s classes (SSL, SASL). `max_record_bytes` must not exceed the
    topics' `max.message.bytes`. `revoke_drain_s` must stay below `rebalance_timeout_ms`, which the group
    waits for a member that is finishing its work.
    """

    bootstrap_servers: str
    client_id: str
    group: str = ""
    security: BaseSecurity | None = None
    session_timeout_ms: int = 15_000
    rebalance_timeout_ms: int = 30_000
    max_poll_interval_ms: int = 300_000
    max_batch_records: int = 500
    max_unsettled_per_partition: int = 5_000
    commit_interval_s: float = 0.2
    commit_timeout_s: float = 10.0
    revoke_drain_s: float = 5.0
    shutdown_drain_s: float = 10.0
    max_record_bytes: int = DEFAULT_MAX_RECORD_BYTES
    publish_timeout_s: float = 30.0
    max_unacknowledged_records: int = 50_000
    position_distance: int = 10_000
    accept_start_position: bool = False

    def __post_init__(self) -> None:
        if self.revoke_drain_s * 1000 >= self.rebalance_timeout_ms:
            raise ValueError(
                "revoke_drain_s must be shorter than rebalance_timeout_ms: the group waits no longer"
            )


def client_options(
    bootstrap_servers: str, *, client_id: str = "hub", security: BaseSecurity | None = None
) -> dict[str, Any]:
    """Return the options that every aiokafka client of the hub shares."""
    return {
        "bootstrap_servers": bootstrap_servers,
        "client_id": client_id,
        **parse_security(security),
    }
