"""`hub backlog`: what waits, for what, and for how long. Questions that only a person can answer are rows here too."""

from typing import Annotated, Any

import typer

from cli import context
from cli.output import Json, print_json, print_table, say
from hub.settings import Settings
from hub.store import pending
from hub.store.pending import Pending


def backlog(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only what waits for this reason; `decision` waits for a person.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most rows to show.")] = 200,
    json: Json = False,
) -> None:
    """What waits in the hub, oldest first."""
    rows, now = context.run(_read(context.settings(), tenant, reason, limit))
    if json:
        print_json([_document(row, now) for row in rows])
        return
    if not rows:
        say("nothing waits", style="green")
        return
    print_table(
        ("tenant", "what", "reason", "waits for", "age", "again in", "tries", "note"),
        [
            (
                row.tenant,
                f"{row.message_type}\n{row.target_key}",
                row.reason,
                row.waits_for,
                span(now - row.since),
                span(row.not_before - now),
                row.attempts,
                row.note,
            )
            for row in rows
        ],
    )
    say(f"{len(rows)} shown; `hub audit show ID` with the id at its source tells the story of one")


def span(seconds: float) -> str:
    """A length of time as a person reads it."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 172_800 else f"{whole // 86_400} d"


async def _read(
    settings: Settings, tenant: str | None, reason: str | None, limit: int
) -> tuple[list[Pending], float]:
    async with context.store(settings) as store:
        async with store.read() as conn:
            rows = await pending.listing(conn, tenant=tenant, reason=reason, limit=limit)
        return rows, await store.now()


def _document(row: Pending, now: float) -> dict[str, Any]:
    return {
        "tenant": row.tenant,
        "stage": row.stage,
        "target": row.target_key,
        "message_id": row.message_id,
        "message_type": row.message_type,
        "reason": row.reason,
        "waits_for": row.waits_for,
        "age_s": round(now - row.since, 1),
        "again_in_s": round(max(0.0, row.not_before - now), 1),
        "attempts": row.attempts,
        "note": row.note,
    }
