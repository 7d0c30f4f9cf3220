"""The topics: names, keys, partitions and how long each is kept. The one source for brokers, manifests and docs.

A partition count is fixed for a version of a topic: changing it would send an entity's later events elsewhere.
"""

from __future__ import annotations

import msgspec

_DAY_MS = 24 * 60 * 60 * 1000
FOR_EVER: int | None = None


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One topic. `key` is the shape of its keys; `retention_ms` of None keeps records for ever."""

    name: str
    key: str
    what: str
    partitions: int
    retention_ms: int | None
    compacted: bool = False


QUOTES = "hub.quotes.v1"
CUSTOMERS = "hub.customers.v1"
PRODUCTS = "hub.products.v1"
SUBSCRIPTIONS = "hub.subscriptions.v1"
BILLING = "hub.billing.v1"
HALO = "hub.halo.v1"
COMMANDS = "hub.commands.v1"
OUTCOMES = "hub.outcomes.v1"
TARGETS = "hub.targets.v1"
IMPORTS = "hub.imports.v1"
DEAD_LETTERS = "hub.dead-letters.v1"
CONTROL = "hub.control.v1"

SOURCE_TOPICS = (QUOTES, CUSTOMERS, PRODUCTS, SUBSCRIPTIONS, BILLING)

_SOURCES = "tenant/kind/id"
TOPICS: tuple[TopicSpec, ...] = (
    TopicSpec(
        name=QUOTES,
        key=_SOURCES,
        what="source events: quotes, opportunities, files",
        partitions=12,
        retention_ms=FOR_EVER,
    ),
    TopicSpec(
        name=CUSTOMERS,
        key=_SOURCES,
        what="source events: organizations, contacts",
        partitions=12,
        retention_ms=FOR_EVER,
    ),
    TopicSpec(
        name=PRODUCTS, key=_SOURCES, what="source events: products", partitions=12, retention_ms=FOR_EVER
    ),
    TopicSpec(
        name=SUBSCRIPTIONS,
        key=_SOURCES,
        what="source events: subscriptions",
        partitions=12,
        retention_ms=FOR_EVER,
    ),
    TopicSpec(
        name=BILLING,
        key=_SOURCES,
        what="source events: payments, invoices, contracts",
        partitions=12,
        retention_ms=FOR_EVER,
    ),
    TopicSpec(
        name=HALO,
        key="tenant/kind/halo_id",
        what="Halo events: webhook, poll, full read",
        partitions=12,
        retention_ms=FOR_EVER,
    ),
    TopicSpec(name=COMMANDS, key="tenant", what="commands", partitions=24, retention_ms=365 * _DAY_MS),
    TopicSpec(
        name=OUTCOMES,
        key="tenant",
        what="outcomes: ids, hashes, requests, reasons; no bodies",
        partitions=12,
        retention_ms=FOR_EVER,
    ),
    TopicSpec(
        name=TARGETS,
        key="target",
        what="every change of a target row, whole",
        partitions=12,
        retention_ms=FOR_EVER,
        compacted=True,
    ),
    TopicSpec(
        name=IMPORTS,
        key=_SOURCES,
        what="Halo facts mapped back for producers",
        partitions=12,
        retention_ms=7 * _DAY_MS,
    ),
    TopicSpec(
        name=DEAD_LETTERS,
        key="tenant",
        what="what could not be processed, byte for byte, with the reason",
        partitions=3,
        retention_ms=FOR_EVER,
    ),
    TopicSpec(
        name=CONTROL,
        key="tenant",
        what="settings, syncs, decisions, every operator action",
        partitions=1,
        retention_ms=FOR_EVER,
    ),
)

BY_NAME: dict[str, TopicSpec] = {topic.name: topic for topic in TOPICS}


def key_on(topic: str, tenant: str, entity_key: bytes) -> bytes:
    """The key of a message on a topic: the tenant's name or its entity's key, as the topic is keyed."""
    return tenant.encode() if BY_NAME[topic].key == "tenant" else entity_key


def is_keyed_by(topic: str, key: bytes | None, tenant: str) -> bool:
    """Whether a record with this key is that tenant's: on every topic the key is the tenant, or begins with it."""
    if key is None:
        return False
    name = tenant.encode()
    return key == name if BY_NAME[topic].key == "tenant" else key.startswith(name + b"/")
