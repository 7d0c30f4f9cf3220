"""The schema's history. A revision never changes once released; a new file under `versions/` follows it."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

_ADVISORY_LOCK = 0x68616C6F  # "halo"


def upgrade(connection: Connection) -> None:
    """Run all outstanding revisions inside the caller's transaction; concurrent callers wait for one another."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
