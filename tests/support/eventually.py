"""Waiting for something to become true, instead of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    check: Callable[[], Awaitable[T]], timeout_s: float = 30, every_s: float = 0.05
) -> T: ...


@overload
async def eventually(check: Callable[[], T], timeout_s: float = 30, every_s: float = 0.05) -> T: ...


async def eventually(
    check: Callable[[], T | Awaitable[T]], timeout_s: float = 30, every_s: float = 0.05
) -> T:
    """Return the first truthy result of `check`; fails, with the last one, after `timeout_s`.

    An AssertionError that `check` raises counts as "not yet".
    """
    deadline = time.monotonic() + timeout_s
    while True:
        failure: AssertionError | None = None
        found: T | None = None
        try:
            result = check()
            found = await result if inspect.isawaitable(result) else result
        except AssertionError as error:
            failure = error
        if found:
            return found
        if time.monotonic() > deadline:
            raise failure or AssertionError(f"not within {timeout_s} s; last result: {found!r}")
        await asyncio.sleep(every_s)
