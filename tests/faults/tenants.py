"""Several tenants in one hub, each with a Halo of its own: what their tests publish, wait for and look at."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
from collections.abc import Iterable
from typing import Any
from unittest import mock

from cli.main import run
from hub.bus.producer import partition_of
from schemas.control import SyncRequested
from schemas.envelope import Envelope, headers_of
from schemas.registry import encode
from schemas.topics import BY_NAME, COMMANDS, CONTROL
from tests.faults.conftest import KNOWN, all_commands_ended, quotes_titled
from tests.faults.on_the_log import put
from tests.support.hub import SETTLE_S, Hub, Process, eventually, quote_event

PATIENCE_S = 120.0


def publish_quotes(
    hub: Hub, tenant: str, quotes: Iterable[str], *, revision: int = 1, **data: Any
) -> list[str]:
    """One event of each quote, of a customer that the tenant's Halo has unless `data` names another."""
    names = list(quotes)
    body = {"customer": KNOWN, **data}
    hub.publish(*(quote_event(name, revision, tenant=tenant, **body) for name in names))
    return names


def each_once(hub: Hub, tenant: str, quotes: Iterable[str], **expected: Any) -> None:
    """Wait until the tenant's Halo has them all with these values, and nothing waits any more; fail when one is there
    twice."""
    titles = [f"Quote {quote}" for quote in quotes]

    def present() -> bool:
        rows = quotes_titled(hub, *titles, tenant=tenant)
        good = [row for row in rows if all(row[name] == value for name, value in expected.items())]
        return {row["title"] for row in good} == set(titles)

    eventually(present, PATIENCE_S, what=f"{titles} of {tenant} with {expected}")
    eventually(lambda: all_commands_ended(hub) and not backlog(hub, tenant), PATIENCE_S, what="no backlog")
    assert sorted(str(row["title"]) for row in quotes_titled(hub, *titles, tenant=tenant)) == sorted(titles)
    opportunities = [row["summary"] for row in hub.halo(tenant).state("Opportunities")]
    assert sorted(summary for summary in opportunities if summary in titles) == sorted(titles)


def is_quiet(hub: Hub, *tenants: str) -> bool:
    """No write reached these tenants' Halos for longer than a lost one could take to be sent again."""
    before = [len(posts(hub, tenant)) for tenant in tenants]
    try:
        eventually(lambda: [len(posts(hub, tenant)) for tenant in tenants] != before, timeout_s=SETTLE_S / 2)
    except AssertionError:
        return True
    return False


def posts(
    hub: Hub, tenant: str, path: str = "", *, since: int = 0, containing: str = ""
) -> list[dict[str, Any]]:
    """The writes to a resource of the tenant's Halo whose body has this text, in order."""
    sent = hub.halo(tenant).requests(since=since, method="POST", path=path)
    return [entry for entry in sent if containing in str(entry["body"])]


def backlog(hub: Hub, tenant: str) -> list[dict[str, Any]]:
    """The tenant's rows, as `hub backlog` shows them."""
    rows: list[dict[str, Any]] = _shown(hub, tenant)["rows"]
    return rows


def summary(hub: Hub, tenant: str) -> dict[str, Any]:
    """What `hub backlog` says of the tenant as a whole."""
    found: dict[str, Any]
    (found,) = _shown(hub, tenant)["tenants"]
    return found


def _shown(hub: Hub, tenant: str) -> dict[str, Any]:
    # In this process: a test asks often, and each start of another one costs more than all that it asks for.
    said = io.StringIO()
    with mock.patch.dict(os.environ, hub.environment), contextlib.redirect_stdout(said):
        assert run(["backlog", "--tenant", tenant, "--json"]) == 0
    shown: dict[str, Any] = json.loads(said.getvalue())
    return shown


def at(entry: dict[str, Any]) -> float:
    """When a request reached Halo."""
    return dt.datetime.fromisoformat(entry["at"]).replace(tzinfo=dt.UTC).timestamp()


def ask_to_read(hub: Hub, tenant: str, *kinds: str) -> None:
    """What `hub tenant check --refresh` publishes: ingest is to read these kinds again."""
    now = dt.datetime.now(dt.UTC)
    envelope = Envelope(
        id=f"sync-{tenant}-{now.timestamp()}",
        source="/hub/cli",
        type="sync.requested.v1",
        subject=tenant,
        time=now,
        tenant=tenant,
    )
    asked = SyncRequested(by="a test", kinds=kinds)  # type: ignore[arg-type]
    put(hub, CONTROL, (tenant.encode(), encode(asked), headers_of(envelope)))


def partition(tenant: str) -> int:
    """Where the tenant's commands are."""
    return partition_of(tenant.encode(), BY_NAME[COMMANDS].partitions)


def assigned(process: Process) -> set[int]:
    """The partitions of commands that a writer was assigned last, by its log."""
    lines = [line for line in process.lines() if line["event"] == "bus.assigned"]
    ours = [line["partitions"] for line in lines if line["group"] == "hub-writer"]
    return {number for _, number in ours[-1]} if ours else set()


def owner_among(hub: Hub, tenant: str, *names: str) -> str:
    """Which of these running writers has the tenant's partition, once they have all partitions between them."""
    count = BY_NAME[COMMANDS].partitions

    def shared_out() -> bool:
        held = [assigned(hub.processes[name]) for name in names]
        return sum(map(len, held)) == count and set().union(*held) == set(range(count))

    eventually(shared_out, PATIENCE_S, what="every partition with one of the writers")
    return next(name for name in names if partition(tenant) in assigned(hub.processes[name]))


def errors(process: Process, tenant: str) -> list[dict[str, Any]]:
    """The ERROR lines that a process has logged about a tenant."""
    return [line for line in process.lines() if line["level"] == "error" and line.get("tenant") == tenant]
