"""The schema as the newest migration leaves it (a test compares the two).

JSON is kept as text that msgspec wrote and reads; bytes that may be anything are kept as bytes.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True)


lease = Table(
    "lease",
    metadata,
    _key("tenant"),
    _key("share"),
    Column("owner", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("until", Double, nullable=False),
    Column("spend", Text, nullable=False),
)

target = Table(
    "target",
    metadata,
    _key("tenant"),
    _key("instance"),
    _key("source"),
    _key("kind"),
    _key("id"),
    _key("scope"),
    Column("target_key", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("halo_id", BigInteger),
    Column("owns", Boolean, nullable=False),
    Column("children", Text, nullable=False),
    Column("seq", Text, nullable=False),
    Column("state_hash", Text),
    Column("groups", Text, nullable=False),
    Column("answered_hash", Text),
    Column("intent", Text),
    Column("look_first", Boolean, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("last_command_id", Text),
    Column("last_outcome", Text),
    # Not unique, though it repeats the primary key: a second unique index could fail where ON CONFLICT names the first.
)
Index(None, target.c.target_key)
Index(None, target.c.tenant, target.c.id)
Index(None, target.c.tenant, target.c.halo_id)

reservation = Table(
    "reservation",
    metadata,
    _key("tenant"),
    _key("instance"),
    _key("kind"),
    _key("match_key"),
    Column("target_key", Text, nullable=False),
)
Index(None, reservation.c.target_key)

target_owner = Table(
    "target_owner",
    metadata,
    _key("tenant"),
    _key("instance"),
    _key("kind"),
    Column("halo_id", BigInteger, primary_key=True, autoincrement=False),
    Column("target_key", Text, nullable=False),
)

store_generation = Table(
    "store_generation",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("generation", BigInteger, nullable=False),
    # When, and where each partition of the commands topic ended then: {"topic/partition": offset}.
    Column("raised_at", Double),
    Column("log_ends", Text),
)

hold = Table(
    "hold",
    metadata,
    _key("tenant"),
    _key("scope"),
    Column("reason", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("probe_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("note", Text),
)
Index(None, hold.c.probe_at)

pending = Table(
    "pending",
    metadata,
    _key("tenant"),
    _key("stage"),
    _key("target_key"),
    Column("message_id", Text, nullable=False),
    Column("message_type", Text, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("waits_for", Text),
    Column("not_before", Double, nullable=False),
    Column("since", Double, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("seq", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("note", Text),
)
Index(None, pending.c.stage, pending.c.not_before)

outbox = Table(
    "outbox",
    metadata,
    # A row's id gives the order of publication, so a removed row's id must not come back.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("headers", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
Index(None, outbox.c.tenant, outbox.c.id)

record = Table(
    "record",
    metadata,
    _key("tenant"),
    _key("source"),
    _key("kind"),
    _key("id"),
    Column("version", BigInteger, nullable=False),
    Column("ordering", Text, nullable=False),
    Column("groups", Text, nullable=False),
)

catalogue = Table(
    "catalogue",
    metadata,
    _key("tenant"),
    _key("instance"),
    _key("kind"),
    Column("halo_id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("sku", Text),
    Column("email_key", Text),
    Column("parent_id", BigInteger),
    Column("code", Text),
    Column("usable", Boolean, nullable=False),
    Column("inactive", Boolean, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("seen_at", Double, nullable=False),
    Column("read_id", Text),
    Column("read_at", Double),
    Column("data", Text, nullable=False),
)
Index(None, catalogue.c.tenant, catalogue.c.instance, catalogue.c.kind, catalogue.c.name_key)
Index("ix_catalogue_sku", catalogue.c.tenant, catalogue.c.instance, catalogue.c.kind, catalogue.c.sku)
Index("ix_catalogue_email", catalogue.c.tenant, catalogue.c.instance, catalogue.c.kind, catalogue.c.email_key)

catalogue_read = Table(
    "catalogue_read",
    metadata,
    _key("tenant"),
    _key("instance"),
    _key("kind"),
    # The newest read whose end was announced, and whether all of it has come.
    Column("read_id", Text),
    Column("records", BigInteger),
    Column("started_at", Double),
    # The newest read that has come whole.
    Column("complete_read_id", Text),
    Column("complete_since", Double),
    # The newest whole reference list.
    Column("list_read_id", Text),
    Column("list_at", Double),
)

rule_set = Table(
    "rule_set",
    metadata,
    _key("tenant"),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("accepted_at", Double, nullable=False),
)

decision = Table(
    "decision",
    metadata,
    _key("tenant"),
    _key("target_key"),
    _key("question"),
    Column("choice", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Double, nullable=False),
)

position = Table(
    "position",
    metadata,
    _key("cluster"),
    _key("consumer_group"),
    _key("topic"),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
)

proof = Table(
    "proof",
    metadata,
    _key("tenant"),
    _key("instance"),
    _key("kind"),
    _key("by"),
    Column("ok", Boolean, nullable=False),
    Column("lag_s", Double, nullable=False),
    Column("tested_at", Double, nullable=False),
)
