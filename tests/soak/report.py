"""The page of a soak: drawn from the runs, which it carries in a comment. Pure, but for reading and writing it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.soak import settings
from tests.soak.verdict import ALL_VERDICTS, Run, added, from_json, to_json

_RUNS = re.compile(r"^<!-- runs: (.*) -->$", re.MULTILINE)
_MOST_FINDINGS = 30
_PROCESSES = ", ".join(f"{count} {service}s" for service, count in settings.PROCESSES.items())


def runs_of(page: str) -> list[Run]:
    """The runs that a page shows."""
    found = _RUNS.search(page)
    return from_json(found[1]) if found else []


def add_to(path: Path, run: Run) -> None:
    """Write the page with one run more; a run of the same seed is replaced."""
    before = runs_of(path.read_text()) if path.exists() else []
    path.write_text(page(added(before, run)))


def page(runs: Sequence[Run]) -> str:
    """The whole page."""
    return f"""# The soak

`make soak MINUTES=20 SEED=1 REPORT=docs/soak.md` runs the hub as it is deployed, breaks whatever it stands on for so
many minutes, lets it come to rest, and compares what Halo holds with what was published. This page is written by that
command. A run without `SEED` draws one and prints it; the same seed publishes the same events and plans the same
faults, but what they meet differs from run to run.

## What runs

{_PROCESSES}, each a process of its own; one Apache Kafka,
one PostgreSQL that keeps its commits when it is killed; 20 tenants, each with a [sandbox](sandbox.md) instance of its
own for a Halo. One tenant has half of all events. One has 60 requests in 10 s, in its file and in its Halo. One loses
its login, one its rights, one has a person who edits its records. Windows are scaled down:

| | here | default |
|---|---|---|
| how long a write may take effect after it was sent | {settings.SETTLE_S:g} s | 180 s |
| a lease | {settings.LEASE_S:g} s | 45 s |
| one request to Halo | {settings.REQUEST_TIMEOUT_S:g} s | 30 s |
| a Kafka session | {settings.KAFKA_SESSION_S:g} s | 15 s |

Events are new quotes of new and known customers with shared products, revisions of lines, titles and statuses,
states that come back (A, B, A); half over HTTP, half straight to Kafka; some sent twice, some after their successors.
What is not acknowledged is sent again. The ids of quotes and customers are the same in every tenant.

Processes are killed, told to end, and frozen for longer than their lease; Kafka and PostgreSQL are stopped, killed and
frozen; Halo misbehaves in every way that the sandbox can. When the time is up all that ends, and the hub is given until
nothing waits any more.

## What is judged

Only the sandbox is asked: its final rows, and its log of every request. What must be there is computed from the
acknowledged events alone.

* **lost** a quote, or the customer, contact, item or opportunity of one, isn't there, or a quote's newest title,
  status, lines or sum isn't.
* **doubled** two records for one thing, or more were ever made than are there.
* **out of order** a write brought an older title, status or lines of a quote after newer ones.
* **cross-tenant** a row or a request carries another tenant's mark.
* **unasked** a row that no event speaks of. **429 caused** a request over the small budget. **edit undone** a person's
  change of a field that the hub doesn't own is gone.
* **unacknowledged** an event that the hub never took. **not at rest** what still waited when all faults were over.
* **died by themselves** a process that ended though nobody ended it. **ended badly on SIGTERM** one that didn't end in
  time, or not with 0. A process that won't start while Kafka or PostgreSQL is away is started again, as a
  supervisor would; such starts are counted apart.

One window is left by design: a writer frozen between its last check and the socket, for longer than its lease. What
that doubles is counted as *excused*, and only if `duplicate.suspected` names the record and the request came right
after such a writer went on.

## What was measured

{_measured(runs)}
<!-- runs: {to_json(runs)} -->
"""


def _measured(runs: Sequence[Run]) -> str:
    if not runs:
        return "No run is recorded.\n"
    parts = [
        _table(
            "run",
            runs,
            [
                ("minutes of faults", lambda run: f"{run.minutes:g}"),
                ("seconds in all, to rest and judged", lambda run: f"{run.took_s:.0f}"),
                ("when", lambda run: run.at),
                ("commit", lambda run: f"`{run.commit}`"),
                ("machine", lambda run: run.machine),
                ("tenants", lambda run: str(run.tenants)),
                ("revisions a second", lambda run: f"{run.rate:g}"),
            ],
        ),
        _counts("events", runs, lambda run: run.events),
        _counts("requests to Halo", runs, lambda run: run.requests),
        _counts("faults begun", runs, lambda run: run.faults),
        _counts("requests that met a misbehaving Halo", runs, lambda run: run.met),
        _table(
            "verdict",
            runs,
            [
                *((name, _verdict(name)) for name in ALL_VERDICTS),
                ("excused", lambda run: str(run.excused)),
                ("starts refused, Kafka or PostgreSQL away", lambda run: str(run.starts_refused)),
            ],
        ),
        *(_findings(run) for run in runs if run.findings),
    ]
    return "\n".join(parts)


def _verdict(name: str) -> Callable[[Run], str]:
    return lambda run: f"**{run.verdicts.get(name, 0)}**"


def _counts(title: str, runs: Sequence[Run], of: Callable[[Run], dict[str, int]]) -> str:
    names = list(dict.fromkeys(name for run in runs for name in of(run)))

    def shown(name: str) -> Callable[[Run], str]:
        return lambda run: f"{of(run).get(name, 0):,}"

    return _table(title, runs, [(name, shown(name)) for name in names])


def _table(title: str, runs: Sequence[Run], rows: Sequence[tuple[str, Callable[[Run], str]]]) -> str:
    head = f"| {title} | {' | '.join(f'seed {run.seed}' for run in runs)} |"
    rule = "|---|" + "---:|" * len(runs)
    body = [f"| {name} | {' | '.join(show(run) for run in runs)} |" for name, show in rows]
    return "\n".join([head, rule, *body, ""])


def _findings(run: Run) -> str:
    shown = [f"* {text}" for text in run.findings[:_MOST_FINDINGS]]
    more = len(run.findings) - len(shown)
    if more > 0:
        shown.append(f"* and {more} more")
    return "\n".join([f"What was found with seed {run.seed}:", "", *shown, ""])
