"""The schema's history. A released revision never changes; a new file under `versions/` follows it.

A revision only adds what the release before it can ignore, since both run side by side while one replaces the other.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

_ADVISORY_LOCK = 0x68616C6F  # "halo"


def upgrade(connection: Connection) -> str:
    """Run all outstanding revisions inside the caller's transaction; the revision that the schema is at then.

    Concurrent callers wait for one another. A schema that a newer release has made is left as it is.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    present = MigrationContext.configure(connection).get_current_revision()
    if present is not None and present not in known:
        return present
    command.upgrade(config, "head")
    return MigrationContext.configure(connection).get_current_revision() or ""
