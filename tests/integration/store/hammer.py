"""A process that writes to a shared store as fast as it can; prints how many of its writes won.

python hammer.py URL WRITES
"""

import asyncio
import sys

import msgspec

from hub.store import Store, outbox, targets
from schemas.targets import Target, TargetState

TARGET = Target(tenant="acme", instance="acme.halopsa.com", source="quoter", kind="client", id="shared")


async def main(url: str, writes: int) -> None:
    won = 0
    # Opening, migrating and closing again and again: the last to close an SQLite file removes its log.
    for _ in range(5):
        store = await Store.open(url)
        await store.migrate()
        for _ in range(writes // 5):
            async with store.read() as conn:
                known = (await targets.load(conn, [TARGET])).get(TARGET) or TargetState(target=TARGET)
            state = msgspec.structs.replace(known, version=known.version + 1)
            async with store.write() as conn:
                if await targets.save(conn, state, expected_version=known.version, lease=None):
                    await outbox.add(conn, "acme", [("topic", b"key", (), str(state.version).encode())])
                    won += 1
        await store.close()
    sys.stdout.write(f"{won}\n")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
