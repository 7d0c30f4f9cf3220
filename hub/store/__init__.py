"""The hub's state: who owns a tenant, what Halo holds for each target, what waits, and what must still be published.

Each module is one concern, and its functions take a connection first, so that the caller decides what belongs to
one transaction. Times are seconds since the epoch; "now" is the store's own clock. PostgreSQL and SQLite behave
alike.
"""

from hub.store.engine import Store
from hub.store.errors import StoreError, StoreNotSupported, StoreUnavailable

__all__ = ["Store", "StoreError", "StoreNotSupported", "StoreUnavailable"]
