"""The store's errors.

StoreError
├── StoreUnavailable    the database can't be reached or is too busy: nothing was committed; try again later
└── StoreNotSupported   the URL names a database that the hub can't keep its state in: change HUB_STORE_URL
"""

from __future__ import annotations

import re

# Connection failures, transactions given up, lost races (serialization, deadlock), lack of resources, shutdown and
# time-outs, locks.
_PASSING_STATES = ("08", "25P03", "40", "53", "57", "55P03")
_PASSING_SQLITE = re.compile(r"is locked|unable to open|disk I/O|is full|is busy")


class StoreError(Exception):
    """Base of the store's errors."""


class StoreUnavailable(StoreError):
    """The database did not answer, or ended the transaction; nothing of it was committed. Try again later.

    One exception: when the connection broke during the commit itself, the commit may have happened. All writes
    here are conditional, so a caller that reads again and repeats does no harm.
    """


class StoreNotSupported(StoreError):
    """The URL's database is neither PostgreSQL (asyncpg) nor an SQLite file. Change the URL."""


def passes(error: Exception, is_disconnect: bool) -> bool:
    """Whether a driver's error is one that time may heal; others are mistakes of ours or of the schema."""
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_PASSING_STATES)
    return is_disconnect or bool(_PASSING_SQLITE.search(str(error)))
