"""The windows of a soak, scaled down: what a deployment counts in minutes, it counts in seconds."""

from __future__ import annotations

SETTLE_S = 5.0
LEASE_S = 4.0
REQUEST_TIMEOUT_S = 1.5
KAFKA_SESSION_S = 2.0
LATE_S = 2.0
"""How long after its arrival a request may still take effect: well below `SETTLE_S`, as a deployment's setting is."""

LATE_ACTIONS = {"drop_then_store": LATE_S, "slow": LATE_S}
"""The sandbox's actions that a soak arms so that they apply late, and how late."""

PROCESSES = {"writer": 3, "mapper": 2, "ingest": 2}

ENVIRONMENT = {
    "HUB_SETTLE_S": str(SETTLE_S),
    "HUB_LEASE_TTL_S": str(LEASE_S),
    "HUB_REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S),
    "HUB_KAFKA_SESSION_TIMEOUT_S": str(KAFKA_SESSION_S),
    "HUB_PUBLISH_TIMEOUT_S": "5",
    "HUB_DRAIN_S": "8",
}
