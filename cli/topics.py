"""`hub topics`: the topics exist, with the partitions that their version fixes."""

from typing import Annotated

import typer

from cli import context
from cli.errors import CommandFailed
from cli.output import Json, print_json, print_table, say
from hub.bus.connect import KafkaError, security_of
from hub.bus.errors import BusError
from hub.bus.topics import check_topics, create_topics
from hub.settings import Settings
from schemas.topics import TOPICS

app = typer.Typer(help="The hub's topics on Kafka.", no_args_is_help=True)


@app.command()
def apply(
    check: Annotated[
        bool, typer.Option("--check", help="Create nothing; fail if something is amiss.")
    ] = False,
    replication: Annotated[
        int, typer.Option(help="Copies of each new topic; -1 takes the cluster's default.", min=-1)
    ] = -1,
    json: Json = False,
) -> None:
    """Create the topics that are missing, and check all."""
    settings = context.settings()
    created, counts = context.run(_apply(settings, check=check, replication=replication))
    if json:
        print_json({"created": created, "topics": counts})
        return
    kept = {topic.name: topic for topic in TOPICS}
    rows = [
        (name, count, kept[name].key, "created" if name in created else "there")
        for name, count in counts.items()
    ]
    print_table(("topic", "partitions", "key", ""), rows)
    say(f"{len(created)} created, {len(counts)} as they should be")


async def _apply(settings: Settings, *, check: bool, replication: int) -> tuple[list[str], dict[str, int]]:
    security = security_of(settings)
    try:
        created: list[str] = []
        if not check and not settings.any_partition_count:
            created = await create_topics(
                settings.bootstrap_servers, TOPICS, security=security, replication_factor=replication
            )
        counts = await check_topics(
            settings.bootstrap_servers,
            TOPICS,
            security=security,
            any_partition_count=settings.any_partition_count,
        )
    except BusError as error:
        raise CommandFailed(str(error)) from None
    except KafkaError as error:
        raise context.unreachable(settings, error) from None
    return created, counts
