"""The store's errors.

StoreError
├── StoreUnavailable    the database can't be reached or is too busy: nothing was committed; try again later
└── StoreNotSupported   the URL names a database that the hub can't keep its state in: change HUB_STORE_URL
"""

from __future__ import annotations

import re

from sqlalchemy import exc

# Connection failures, lack of resources, shutdown and start-up, lost races (serialization, deadlock), lock timeouts.
_PASSING = ("08", "53", "57", "40", "55P03", "25006")
_BUSY_SQLITE = re.compile(r"database is locked|database table is locked|unable to open|disk I/O|is full|busy")


class StoreError(Exception):
    """Base of the store's errors."""


class StoreUnavailable(StoreError):
    """The database did not answer, or ended the transaction; nothing of it was committed. Try again later.

    One exception: when the connection broke during the commit itself, the commit may have happened. All writes
    here are conditional, so a caller that reads again and repeats does no harm.
    """


class StoreNotSupported(StoreError):
    """The URL's database is neither PostgreSQL (asyncpg) nor an SQLite file. Change the URL."""


def unavailable(error: exc.SQLAlchemyError) -> StoreUnavailable | None:
    """What callers should see of a driver's error: StoreUnavailable if time may heal it, else None."""
    if isinstance(error, exc.TimeoutError):
        return StoreUnavailable("no connection to the store became free in time")
    if not isinstance(error, exc.DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    passing = (
        error.connection_invalidated
        or (isinstance(state, str) and state.startswith(_PASSING))
        or (isinstance(error, exc.InterfaceError) and state is None)
        or (isinstance(error, exc.OperationalError) and bool(_BUSY_SQLITE.search(str(error.orig))))
    )
    # The driver's text alone: SQLAlchemy's carries the statement's parameters, which are customers' data.
    return StoreUnavailable(f"the store is not available: {error.orig}") if passing else None
