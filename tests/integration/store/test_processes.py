"""Several processes share one store, as the services of one deployment do."""

import asyncio
import sys
from pathlib import Path

from hub.store import Store, outbox, targets
from tests.integration.store.hammer import TARGET

ROOT = Path(__file__).resolve().parents[3]
PROCESSES, WRITES = 3, 100


async def test_processes_that_write_at_once_lose_nothing_and_meet_no_lock_error(store_url: str) -> None:
    command = [sys.executable, "-m", "tests.integration.store.hammer", store_url, str(WRITES)]
    running = [
        await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(PROCESSES)
    ]
    ended = await asyncio.gather(*(process.communicate() for process in running))
    assert [
        (process.returncode, errors.decode()) for process, (_, errors) in zip(running, ended, strict=True)
    ] == [(0, "")] * PROCESSES
    won = sum(int(output) for output, _ in ended)
    store = await Store.open(store_url)
    async with store.read() as conn:
        state = (await targets.load(conn, [TARGET]))[TARGET]
        published = await outbox.of_tenant(conn, "acme", 1000)
    await store.close()
    assert state.version == won == len(published)
    assert [int(row.value) for row in published] == list(range(1, won + 1))
    assert won >= WRITES
