"""Poll for a state instead of sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    check: Callable[[], T | Awaitable[T]], timeout_s: float = 10.0, every_s: float = 0.05
) -> T:
    """Return the first truthy value of `check`; an AssertionError inside it counts as "not yet".

    `check` may be a plain function or a coroutine function.

    Raises:
        AssertionError: `check` was not truthy within `timeout_s`; says what it returned or asserted last.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        failure: AssertionError | None = None
        value: T | None = None
        try:
            result = check()
            value = await result if inspect.isawaitable(result) else result
        except AssertionError as not_yet:
            failure = not_yet
        if value:
            return value
        if time.monotonic() > deadline:
            what = getattr(check, "__qualname__", repr(check))
            last = failure or repr(value)
            raise AssertionError(f"{what} did not hold within {timeout_s} s; last: {last}") from failure
        await asyncio.sleep(every_s)
