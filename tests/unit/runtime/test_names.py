"""Looking up names: those of some tenants' Halos that nobody answers for keep no other from being reached."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from hub.runtime import serving


@pytest.mark.fault("F42")
async def test_names_that_are_not_answered_for_hold_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up, look_up = threading.Event(), socket.getaddrinfo

    def slow_for_some(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).startswith("gone"):
            given_up.wait(600.0)
            raise socket.gaierror("nobody answers")
        return look_up("127.0.0.1", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow_for_some)
    loop = asyncio.get_running_loop()
    async with serving("writer", host="127.0.0.1", port=0):
        gone = [asyncio.ensure_future(loop.getaddrinfo(f"gone{number}.example", 443)) for number in range(40)]
        try:
            await asyncio.sleep(0)
            async with asyncio.timeout(120):
                assert await loop.getaddrinfo("there.example", 443)
        finally:
            given_up.set()
            await asyncio.gather(*gone, return_exceptions=True)
