"""What a tenant's Halo as a whole refuses, and where the log stood when the store was last restored."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "hold",
        sa.Column("tenant", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("probe_at", sa.Double(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "scope", name="pk_hold"),
    )
    op.create_index("ix_hold_probe_at", "hold", ["probe_at"], unique=False)
    op.add_column("store_generation", sa.Column("raised_at", sa.Double(), nullable=True))
    op.add_column("store_generation", sa.Column("log_ends", sa.Text(), nullable=True))
