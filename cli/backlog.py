"""`hub backlog`: what waits, for what, and for how long. Questions that only a person can answer are rows here too."""

import contextlib
import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Annotated, Any

import msgspec
import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from cli import context
from cli.errors import unknown
from cli.output import Json, print_json, print_table, say
from hub.drain import drain_s
from hub.settings import Settings
from hub.store import holds, pending, rule_sets
from hub.store.holds import WINDOW, Hold
from hub.store.pending import Backlog, Pending
from hub.tenants.load import RulesInvalid, from_text
from hub.tenants.shares import WRITE_SHARE, Allowance, allowance

REASONS = (
    "queued",
    "limited",
    "unreachable",
    "unauthorised",
    "denied",
    "ambiguous",
    "dependency",
    "reserved",
    "file",
    "base",
    "predecessor",
    "catalogue",
    "settings",
    "instance",
    "decision",
    "version",
    "fault",
)
"""Why something waits, as `docs/operating.md` tells of each. A newer release may have left others in the store."""


class Summary(msgspec.Struct, kw_only=True):
    """All that waits for one tenant in the writer and the mapper. Times are seconds.

    `drain_s` is how long the writer's part will take at most once nothing holds it, None without settings. `holds` are
    what of its Halo can't be used: scope, reason, since when, when it is tried again, and Halo's words.
    """

    tenant: str
    waiting: int
    oldest_s: float
    reasons: dict[str, int]
    drain_s: float | None
    holds: list[dict[str, Any]]


def backlog(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    reason: Annotated[
        str | None, typer.Option(help="Only what waits for this reason; `decision` waits for a person.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="The most rows to show.")] = 200,
    json: Json = False,
) -> None:
    """What waits in the hub: a line for each tenant, then the rows, oldest first."""
    summaries, rows, now = context.run(_read(context.settings(), tenant, reason, limit))
    if json:
        print_json({"tenants": summaries, "rows": [_document(row, now) for row in rows]})
        return
    if not rows and not summaries:
        of = "" if tenant is None else f" of tenant {tenant!r}"
        say(f"nothing{of} waits{'' if reason is None else f' for the reason {reason!r}'}", style="green")
        return
    print_table(
        ("tenant", "waiting", "oldest", "reasons", "drains in", "held by"),
        [
            (
                one.tenant,
                one.waiting,
                span(one.oldest_s),
                ", ".join(f"{name} {count}" for name, count in one.reasons.items()),
                drains_in(one.drain_s),
                "\n".join(f"{hold['scope']}: {hold['reason']}" for hold in one.holds),
            )
            for one in summaries
        ],
    )
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
    say(f"{len(rows)} rows shown; `hub audit show ID` with the id at its source tells the story of one")


def span(seconds: float) -> str:
    """A length of time as a person reads it."""
    whole = max(0, round(seconds))
    if whole < 120:
        return f"{whole} s"
    if whole < 7200:
        return f"{whole // 60} min"
    return f"{whole // 3600} h" if whole < 172_800 else f"{whole // 86_400} d"


def drains_in(seconds: float | None) -> str | None:
    """None when it isn't known, or nothing of the writer's waits; what waits never drains in no time."""
    return f"{span(math.ceil(seconds))} or less" if seconds else None


def summarised(
    counts: Iterable[Backlog], held: Iterable[Hold], paces: dict[str, Allowance], now: float
) -> list[Summary]:
    """A line for each tenant for which something waits or is held, those that wait longest first."""
    by_tenant: defaultdict[str, list[Backlog]] = defaultdict(list)
    for count in counts:
        by_tenant[count.tenant].append(count)
    holds_of: defaultdict[str, list[Hold]] = defaultdict(list)
    for hold in held:
        if hold.scope != WINDOW or hold.probe_at > now:
            holds_of[hold.tenant].append(hold)
    found = [
        _summary(tenant, by_tenant[tenant], holds_of[tenant], paces.get(tenant), now)
        for tenant in {*by_tenant, *holds_of}
    ]
    return sorted(found, key=lambda one: (-one.oldest_s, one.tenant))


def _summary(
    tenant: str, counts: list[Backlog], held: list[Hold], pace: Allowance | None, now: float
) -> Summary:
    reasons: defaultdict[str, int] = defaultdict(int)
    for count in counts:
        reasons[count.reason] += count.count
    writing = sum(count.count for count in counts if count.stage == "writer")
    wait_s = max((hold.probe_at - now for hold in held), default=0.0)
    return Summary(
        tenant=tenant,
        waiting=sum(reasons.values()),
        oldest_s=round(max((now - count.oldest_since for count in counts), default=0.0), 1),
        reasons=dict(sorted(reasons.items())),
        # Rounded up: what waits never drains in no time.
        drain_s=None if pace is None else math.ceil(10 * drain_s(writing, pace, wait_s=wait_s)) / 10,
        holds=[
            {
                "scope": hold.scope,
                "reason": hold.reason,
                "since_s": round(now - hold.since, 1),
                "again_in_s": round(max(0.0, hold.probe_at - now), 1),
                "note": hold.note,
            }
            for hold in held
        ],
    )


async def _read(
    settings: Settings, tenant: str | None, reason: str | None, limit: int
) -> tuple[list[Summary], list[Pending], float]:
    async with context.store(settings) as store:
        now = await store.now()
        async with store.read() as conn:
            rows = await pending.listing(conn, tenant=tenant, reason=reason, limit=limit)
            counts, held = await pending.count_by_reason(conn), await holds.everyone(conn)
            if reason is not None:
                _check_reason(reason, {one.reason for one in counts} | {one.reason for one in held})
            if tenant is not None:
                present = {one.tenant for one in counts} | {one.tenant for one in held}
                await _check_tenant(conn, tenant, present)
            counts = [one for one in counts if tenant in (None, one.tenant) and reason in (None, one.reason)]
            held = [one for one in held if tenant in (None, one.tenant) and reason in (None, one.reason)]
            paces = {}
            for name in {*(count.tenant for count in counts), *(hold.tenant for hold in held)}:
                rules = await rule_sets.latest(conn, name)
                # A revision of a newer release may be unreadable here: only its time to drain stays unknown.
                with contextlib.suppress(RulesInvalid):
                    if rules is not None:
                        paces[name] = allowance(from_text(rules.text), WRITE_SHARE)
        return summarised(counts, held, paces, now), rows, now


def _check_reason(reason: str, present: Collection[str]) -> None:
    """Raises BadInput for a reason that nothing ever waits for: "nothing waits" would be no answer to it."""
    if reason not in REASONS and reason not in present:
        raise unknown("reason", reason, (*REASONS, *present), f"there are {', '.join(REASONS)}")


async def _check_tenant(conn: AsyncConnection, tenant: str, present: Collection[str]) -> None:
    """Raises BadInput for a tenant of which the store holds no accepted file and nothing that waits."""
    if tenant in present or await rule_sets.latest(conn, tenant) is not None:
        return
    known = {*present, *await rule_sets.all_latest(conn)}
    raise unknown("tenant", tenant, known, "the store holds no accepted file of it, and nothing that waits")


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
