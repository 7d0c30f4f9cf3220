"""`hub store`: its tables are made ahead of the services, and what has to be done by hand after a restore."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
import typer

from cli import context
from cli.errors import BadInput
from cli.output import Json, print_json, print_table, say
from hub.bus import rewind
from hub.bus.connect import KafkaError, bus_settings, security_of
from hub.bus.positions import committed_and_end
from hub.bus.settings import BusSettings
from hub.bus.topics import check_topics
from hub.settings import Settings
from hub.store import restore
from hub.store.engine import Store
from hub.store.positions import Positions
from schemas.topics import COMMANDS, CONTROL, HALO, TARGETS, TOPICS

app = typer.Typer(help="The hub's store.", no_args_is_help=True)


class Rewound(msgspec.Struct, frozen=True):
    """How far a group goes back on a topic; `lost` are records in between that the log no longer holds."""

    group: str
    topic: str
    partitions: int
    records: int
    lost: int


@app.command()
def migrate(json: Json = False) -> None:
    """Make the store's tables, or bring them to this release. Again does no harm.

    Services do so themselves when they start; this is for a job ahead of them, whose role may own the tables. What a
    newer release has made is left as it is.
    """
    revision = context.run(_migrated(context.settings()))
    if json:
        print_json({"revision": revision})
        return
    say(f"the store's tables are at revision {revision}")


@app.command()
def restored(
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
    json: Json = False,
) -> None:
    """Go on with a store that was restored or failed over to an older copy. Run it once, with all services stopped.

    What Kafka holds and the store has forgotten is handed out again, and what Halo may hold is looked for before
    anything is created. Again does no harm.
    """
    settings = context.settings()
    if not yes:
        _show(context.run(_planned(settings)))
        typer.confirm("was the store restored, and are all services stopped?", abort=True)
    generation, rewound = context.run(_restored(settings))
    if json:
        print_json({"generation": generation, "rewound": rewound})
        return
    _show(rewound)
    say(f"the store is in generation {generation}; start the services again", style="green")
    if any(line.lost for line in rewound):
        say(
            "records that the store has forgotten are no longer on the log (see the last column): what they led to "
            "in Halo stays as it is, until their sources publish them again",
            style="bold",
        )


async def _migrated(settings: Settings) -> str:
    async with context.store(settings, make=True) as store:
        return await store.migrate()


def _show(rewound: Sequence[Rewound]) -> None:
    if not rewound:
        say("no group has come further than the store: nothing is handed out again")
        return
    rows = [(line.group, line.topic, line.partitions, line.records, line.lost or "") for line in rewound]
    print_table(("group", "topic", "partitions", "records handed out again", "gone from the log"), rows)


async def _planned(settings: Settings) -> list[Rewound]:
    async with context.store(settings) as store:
        moves = await _moves(settings, store)
    return [_line(group, topic, found) for (group, topic), found in moves.items() if found]


async def _restored(settings: Settings) -> tuple[int, list[Rewound]]:
    """The store first: a group that is not taken back yet can't start, one that was would on a store that isn't fit."""
    async with context.store(settings) as store:
        moves = await _moves(settings, store)
        try:
            _, ends = await committed_and_end(
                bus_settings(settings, client_id="hub-cli"), [COMMANDS, TARGETS]
            )
            async with store.write() as conn:
                generation = await restore.begin(conn, {(at.topic, at.partition): ends[at] for at in ends})
            positions = Positions(store, settings.cluster)
            for (group, topic), found in moves.items():
                await rewind.rewind(_member_of(settings, group), [topic], positions, found)
        except KafkaError as error:
            raise context.unreachable(settings, error) from None
    return generation, [_line(group, topic, found) for (group, topic), found in moves.items() if found]


async def _moves(settings: Settings, store: Store) -> dict[tuple[str, str], list[rewind.Move]]:
    """What has to go back, by group and topic. Raises BadInput, CommandFailed, BusError."""
    groups, positions = _groups(), Positions(store, settings.cluster)
    if not [group for group in groups if await positions.load(group)]:
        raise BadInput(
            f"this store knows no positions of the cluster {settings.cluster!r}: it is empty or another's; "
            "check HUB_STORE_URL and HUB_CLUSTER"
        )
    # The copy may be older than the release.
    await store.migrate()
    try:
        await check_topics(
            settings.bootstrap_servers,
            TOPICS,
            security=security_of(settings),
            any_partition_count=settings.any_partition_count,
        )
        await rewind.check_unused(bus_settings(settings, client_id="hub-cli"), list(groups))
        return {
            (group, topic): await rewind.planned(_member_of(settings, group), [topic], positions)
            for group, topics in groups.items()
            for topic in topics
        }
    except KafkaError as error:
        raise context.unreachable(settings, error) from None


def _groups() -> Mapping[str, tuple[str, ...]]:
    """Every group of the hub, and what it reads."""
    from services.halo_writer.app import FEEDS_GROUP, GROUP
    from services.mapper.app import GROUP as MAPPER_GROUP
    from services.mapper.app import SOURCES

    return {MAPPER_GROUP: SOURCES, GROUP: (COMMANDS,), FEEDS_GROUP: (HALO, CONTROL)}


def _member_of(settings: Settings, group: str) -> BusSettings:
    return bus_settings(settings, client_id="hub-cli", group=group)


def _line(group: str, topic: str, moves: Sequence[rewind.Move]) -> Rewound:
    return Rewound(
        group=group,
        topic=topic,
        partitions=len(moves),
        records=sum(move.committed - move.to for move in moves),
        lost=sum(move.lost for move in moves),
    )
