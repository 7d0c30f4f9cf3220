"""Takes groups back to where the store says they had come, after the store was restored to a former state.

What lies between is handed out again. That is safe for whoever finishes it again as it is for any redelivery.
"""

from collections.abc import Sequence

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CommitFailedError, for_code

from hub.bus.errors import GroupInUse
from hub.bus.positions import PositionStore, apart, stored_positions
from hub.bus.records import Partition
from hub.bus.settings import BusSettings, client_options


class Move(msgspec.Struct, frozen=True):
    """One partition to take back, from Kafka's committed offset to the stored one.

    Where nothing is stored that is the log's beginning. `lost` counts the records in between that the log holds no
    longer.
    """

    partition: Partition
    committed: int
    to: int
    lost: int


async def check_unused(settings: BusSettings, groups: Sequence[str]) -> None:
    """Return when none of the groups has a member.

    Raises:
        GroupInUse: processes are members of them, or were until a moment ago.
    """
    options = client_options(
        settings.bootstrap_servers, client_id=settings.client_id, security=settings.security
    )
    admin = AIOKafkaAdminClient(**options)
    await admin.start()
    try:
        # One at a time: aiokafka can't read an answer about several.
        answers = [answer for group in groups for answer in await admin.describe_consumer_groups([group])]
    finally:
        await admin.close()
    members = []
    for answer in answers:
        for error, group, *_, found in (row[:6] for row in answer.groups):
            if error:
                raise for_code(error)(f"the group {group} can't be looked at")
            members += [f"{group} ({client_id} at {host.lstrip('/')})" for _, client_id, host, *_ in found]
    if members:
        raise GroupInUse(sorted(members))


async def planned(settings: BusSettings, topics: Sequence[str], store: PositionStore) -> list[Move]:
    """The partitions whose committed offset is above the stored position, and where they have to go back to."""
    stored = await stored_positions(settings.group, topics, store)
    async with apart(settings, topics) as (reader, partitions):
        begins = await reader.beginning_offsets(partitions)
        moves = []
        for client_partition, begin in begins.items():
            partition = Partition(*client_partition)
            committed, position = await reader.committed(client_partition), stored.get(partition)
            if committed is not None and committed > (position or 0):
                to = begin if position is None else max(begin, position)
                lost = 0 if position is None else to - position
                moves.append(Move(partition, committed, to, lost))
    return sorted(moves, key=lambda move: move.partition)


async def rewind(
    settings: BusSettings, topics: Sequence[str], store: PositionStore, moves: Sequence[Move]
) -> None:
    """Commit the group's new offsets, for its members to start from; the store is told first.

    Raises:
        GroupInUse: a member has joined meanwhile; nothing was moved.
    """
    if not moves:
        return
    await store.save(settings.group, {move.partition: move.to for move in moves})
    async with apart(settings, topics) as (client, _):
        try:
            await client.commit({TopicPartition(*move.partition): move.to for move in moves})
        except CommitFailedError:
            raise GroupInUse([settings.group]) from None
