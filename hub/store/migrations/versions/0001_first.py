"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "catalogue",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("halo_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_key", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=True),
        sa.Column("email_key", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("usable", sa.Boolean(), nullable=False),
        sa.Column("inactive", sa.Boolean(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("read_id", sa.Text(), nullable=True),
        sa.Column("read_at", sa.Double(), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "instance", "kind", "halo_id", name="pk_catalogue"),
    )
    op.create_index(
        "ix_catalogue_email", "catalogue", ["tenant", "instance", "kind", "email_key"], unique=False
    )
    op.create_index("ix_catalogue_sku", "catalogue", ["tenant", "instance", "kind", "sku"], unique=False)
    op.create_index(
        "ix_catalogue_tenant_instance_kind_name_key",
        "catalogue",
        ["tenant", "instance", "kind", "name_key"],
        unique=False,
    )
    op.create_table(
        "catalogue_read",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("read_id", sa.Text(), nullable=True),
        sa.Column("records", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.Double(), nullable=True),
        sa.Column("complete_read_id", sa.Text(), nullable=True),
        sa.Column("complete_since", sa.Double(), nullable=True),
        sa.Column("list_read_id", sa.Text(), nullable=True),
        sa.Column("list_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "instance", "kind", name="pk_catalogue_read"),
    )
    op.create_table(
        "lease",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("share", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("spend", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "share", name="pk_lease"),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_tenant_id", "outbox", ["tenant", "id"], unique=False)
    op.create_table(
        "pending",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("message_type", sa.Text(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("not_before", sa.Double(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "stage", "target_key", name="pk_pending"),
    )
    op.create_index("ix_pending_stage_not_before", "pending", ["stage", "not_before"], unique=False)
    op.create_table(
        "position",
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("consumer_group", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("partition", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("cluster", "consumer_group", "topic", "partition", name="pk_position"),
    )
    op.create_table(
        "proof",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("lag_s", sa.Double(), nullable=False),
        sa.Column("tested_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "instance", "kind", "by", name="pk_proof"),
    )
    op.create_table(
        "record",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("ordering", sa.Text(), nullable=False),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "source", "kind", "id", name="pk_record"),
    )
    op.create_table(
        "reservation",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("match_key", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "instance", "kind", "match_key", name="pk_reservation"),
    )
    op.create_index("ix_reservation_target_key", "reservation", ["target_key"], unique=False)
    op.create_table(
        "rule_set",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("accepted_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "sequence", name="pk_rule_set"),
    )
    op.create_table(
        "store_generation",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_store_generation"),
    )
    op.create_table(
        "target",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("halo_id", sa.BigInteger(), nullable=True),
        sa.Column("owns", sa.Boolean(), nullable=False),
        sa.Column("children", sa.Text(), nullable=False),
        sa.Column("seq", sa.Text(), nullable=False),
        sa.Column("state_hash", sa.Text(), nullable=True),
        sa.Column("groups", sa.Text(), nullable=False),
        sa.Column("answered_hash", sa.Text(), nullable=True),
        sa.Column("intent", sa.Text(), nullable=True),
        sa.Column("look_first", sa.Boolean(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("last_command_id", sa.Text(), nullable=True),
        sa.Column("last_outcome", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "instance", "source", "kind", "id", "scope", name="pk_target"),
    )
    op.create_index("ix_target_target_key", "target", ["target_key"], unique=False)
    op.create_index("ix_target_tenant_halo_id", "target", ["tenant", "halo_id"], unique=False)
    op.create_index("ix_target_tenant_id", "target", ["tenant", "id"], unique=False)
    op.create_table(
        "target_owner",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("halo_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "instance", "kind", "halo_id", name="pk_target_owner"),
    )
