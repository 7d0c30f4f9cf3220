"""A migrated store, and a second one with connections of its own, as another process would have."""

from collections.abc import AsyncIterator

import pytest

from hub.store import Store


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    opened = await Store.open(store_url)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
async def other(store_url: str, store: Store) -> AsyncIterator[Store]:
    opened = await Store.open(store_url)
    yield opened
    await opened.close()
