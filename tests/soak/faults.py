"""What each fault of a soak does when it begins and when it ends."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from tests.sandbox.server import Sandbox
from tests.soak import settings
from tests.soak.checker import Edit
from tests.soak.nemesis import Family
from tests.soak.tenants import EDITED, NO_RIGHT, NOISY, REFUSED_LOGIN
from tests.soak.world import World

End = Callable[[], None]
Begin = Callable[[World, random.Random, float], End]
"""Begins a fault that will last so many seconds; what it returns ends it."""

_SIGNALS = {"killed": signal.SIGKILL, "told to end": signal.SIGTERM, "frozen": signal.SIGSTOP}
_ACTIONS: dict[str, dict[str, Any]] = {
    "store_then_drop": {},
    "drop_then_store": {"delay_s": settings.LATE_S},
    "drop": {},
    "error_after_store": {"status": 502},
    "error": {"status": 503},
    "html": {"status": 504},
    "throttle": {},
    "slow": {"delay_s": settings.LATE_S, "apply": "after"},
    "trickle": {"delay_s": 0.2},
    "truncate": {},
    "cut": {},
    "hang": {"apply": "first"},
}
_STATUSES = {"error": (500, 503, 408), "error_after_store": (500, 502, 504), "html": (502, 503, 504)}
_EDITS = (("Quotation", "note"), ("Client", "website"), ("Item", "description"))


def nothing() -> None:
    """The end of a fault that is over at once."""


def signalled(service: str, how: str, world: World, rng: random.Random, lasts_s: float) -> End:
    member = rng.choice(world.of(service))
    if not world.signalled(member, _SIGNALS[how]):
        world.note(f"{member.name} could not be {how}: it is not running")
        return nothing
    world.note(f"{member.name} {how}")
    return partial(world.thaw, member) if how == "frozen" else nothing


def server_away(what: str, how: str, world: World, rng: random.Random, lasts_s: float) -> End:
    """Kafka or PostgreSQL stopped, killed or frozen; it is there again at the end."""
    world.note(f"{what} {how} for {lasts_s:.1f} s")
    world.is_down(what, True)
    server = world.kafka if what == "Kafka" else world.postgres
    pids = _family(server.pid) if server.pid else []
    if how == "frozen":
        _signal(pids, signal.SIGSTOP)
    else:
        (server.stop if how == "stopped" else server.kill)()

    def end() -> None:
        if how == "frozen":
            _signal(pids, signal.SIGCONT)
        elif what == "Kafka":
            # It needs seconds to come up: other faults go on meanwhile.
            world.kafka.start(wait=False)
        else:
            world.postgres.start()
        world.is_down(what, False)

    return end


def action(name: str, world: World, rng: random.Random, lasts_s: float) -> End:
    """One way to misbehave, for a third of the tenants and some of their requests."""
    chosen = rng.sample(sorted(world.sandboxes), max(1, len(world.sandboxes) // 3))
    rate = rng.choice((0.3, 0.6, 1.0))
    for tenant in chosen:
        how = {"action": name, **_ACTIONS[name]}
        if name == "throttle" and rng.random() < 0.5:
            how["retry_after_s"] = 1
        if name in _STATUSES:
            how["status"] = rng.choice(_STATUSES[name])
        world.sandboxes[tenant].chaos(rate, how, seed=rng.randrange(2**31), for_s=lasts_s)
    world.note(f"{name} for {lasts_s:.1f} s, rate {rate}: {' '.join(chosen)}")
    return nothing


def chaos(world: World, rng: random.Random, lasts_s: float) -> End:
    """Every way to misbehave at once, for all tenants."""
    choices = [{"action": name, **how} for name, how in _ACTIONS.items()]
    for sandbox in world.sandboxes.values():
        sandbox.chaos(0.15, *choices, seed=rng.randrange(2**31), for_s=lasts_s)
    world.note(f"chaos for {lasts_s:.1f} s")
    return nothing


def gateway_down(world: World, rng: random.Random, lasts_s: float) -> End:
    tenant, status = rng.choice(sorted(world.sandboxes)), rng.choice((None, 502, 503, 504))
    world.sandboxes[tenant].down(status, for_s=lasts_s)
    world.note(f"{tenant}'s Halo is down ({status or 'no answer'}) for {lasts_s:.1f} s")
    return nothing


def throttled(world: World, rng: random.Random, lasts_s: float) -> End:
    tenant = rng.choice(sorted(world.sandboxes))
    world.sandboxes[tenant].throttle_all(for_s=lasts_s, retry_after_s=rng.choice((None, 1)))
    world.note(f"{tenant}'s Halo answers 429 for {lasts_s:.1f} s")
    return nothing


def halo_frozen(world: World, rng: random.Random, lasts_s: float) -> End:
    """Every tenant's Halo stands still; what was sent meanwhile takes effect afterwards, below `LATE_S`.

    It is over at once: nothing else could begin meanwhile, since faults are armed there.
    """
    world.note(f"every Halo frozen for {lasts_s:.1f} s")
    os.kill(world.sandbox_pid, signal.SIGSTOP)
    time.sleep(lasts_s)
    os.kill(world.sandbox_pid, signal.SIGCONT)
    return nothing


def sign_in_broken(world: World, rng: random.Random, lasts_s: float) -> End:
    """No token is good any more, and new ones are hard to get."""
    tenant, name = (
        rng.choice(sorted(world.sandboxes)),
        rng.choice(("error", "hang", "drop", "slow", "cut", "html")),
    )
    sandbox = world.sandboxes[tenant]
    sandbox.arm(name, **_ACTIONS[name], on="token", times=0, for_s=lasts_s)
    sandbox.revoke_tokens()
    world.note(f"{tenant}'s sign-in answers {name} for {lasts_s:.1f} s")
    return nothing


def tokens_revoked(world: World, rng: random.Random, lasts_s: float) -> End:
    tenant = rng.choice(sorted(world.sandboxes))
    world.note(f"{tenant}: {world.sandboxes[tenant].revoke_tokens()} tokens revoked")
    return nothing


def login(how: str, world: World, rng: random.Random, lasts_s: float) -> End:
    sandbox = _of(world, REFUSED_LOGIN)
    sandbox.configure(login=how)
    world.note(f"{sandbox.instance}: login {how} for {lasts_s:.1f} s")
    return lambda: _configured(sandbox, login="good")


def right_missing(resource: str, world: World, rng: random.Random, lasts_s: float) -> End:
    sandbox = _of(world, NO_RIGHT)
    sandbox.configure(denied=[{"resource": resource}])
    world.note(f"{sandbox.instance}: no right for {resource} for {lasts_s:.1f} s")
    return lambda: _configured(sandbox, denied=[])


def record_denied(world: World, rng: random.Random, lasts_s: float) -> End:
    """The right for one quote is missing, for the others it is there."""
    sandbox = _of(world, NO_RIGHT)
    rows = [row["id"] for row in sandbox.state("Quotation")]
    if not rows:
        return nothing
    row = rng.choice(rows)
    sandbox.configure(denied=[{"resource": "Quotation", "id": row}])
    world.note(f"{sandbox.instance}: no right for quote {row} for {lasts_s:.1f} s")
    return lambda: _configured(sandbox, denied=[])


def edited(world: World, rng: random.Random, lasts_s: float) -> End:
    """A person writes into a field that the hub doesn't own, of a record that it does."""
    sandbox = _of(world, EDITED)
    table, name = rng.choice(_EDITS)
    rows = [row["id"] for row in sandbox.state(table)]
    if not rows:
        return nothing
    row, value = rng.choice(rows), f"by hand {rng.randrange(10**6)}"
    sandbox.edit(table, row, **{name: value})
    world.edits.setdefault(sandbox.instance, []).append(Edit(table, row, name, value))
    world.note(f"{sandbox.instance}: {table} {row} edited")
    return nothing


def poison(world: World, rng: random.Random, lasts_s: float) -> End:
    """Messages that are no events, between those that are."""
    producer = Producer(
        {"bootstrap.servers": world.kafka.bootstrap, "message.timeout.ms": 4000, "log_level": 0}
    )
    bad: tuple[tuple[bytes | None, list[tuple[str, str | bytes | None]]], ...] = (
        (b"\xff\xfe not JSON", []),
        (None, []),
        (b"{}", [("ce_specversion", b"1.0"), ("ce_type", b"quote.published.v1"), ("ce_tenant", b"\xff")]),
        (b'{"title": ' + b"[" * 500, [("ce_specversion", b"1.0")]),
    )
    for value, headers in bad:
        producer.produce(
            "hub.quotes.v1", value, rng.choice(sorted(world.sandboxes)).encode(), headers=headers
        )
    producer.flush(1)
    world.note(f"{len(bad)} poisoned messages")
    return nothing


KINDS: Mapping[str, Begin] = {
    **{
        f"{service} {how}": partial(signalled, service, how)
        for service in ("writer", "mapper", "ingest")
        for how in _SIGNALS
    },
    **{
        f"{what} {how}": partial(server_away, what, how)
        for what in ("Kafka", "PostgreSQL")
        for how in ("stopped", "killed", "frozen")
    },
    **{f"Halo: {name}": partial(action, name) for name in _ACTIONS},
    "Halo: chaos": chaos,
    "Halo: down": gateway_down,
    "Halo: 429 to everything": throttled,
    "Halo: frozen": halo_frozen,
    "Halo: sign-in broken": sign_in_broken,
    "Halo: tokens revoked": tokens_revoked,
    "Halo: login revoked": partial(login, "revoked"),
    "Halo: login refused": partial(login, "refused"),
    "Halo: right for quotes missing": partial(right_missing, "Quotation"),
    "Halo: right for items missing": partial(right_missing, "Item"),
    "Halo: right for one record missing": record_denied,
    "Halo: a person edits": edited,
    "poisoned messages": poison,
}


def families(only: tuple[str, ...] = ()) -> list[Family]:
    """The faults by sort, with their pace; `only` those kinds where given."""

    def some(*beginnings: str) -> tuple[str, ...]:
        return tuple(kind for kind in KINDS if kind.startswith(beginnings) and (not only or kind in only))

    long = ("Halo: login", "Halo: right", "Halo: down", "Halo: sign-in", "Halo: 429")
    short = ("Halo: frozen", "Halo: tokens", "Halo: a person", "poisoned")
    found = [
        # Longer than a lease: who is frozen so long has been taken over when it goes on.
        Family(some("writer ", "mapper ", "ingest "), 12.0, (settings.LEASE_S + 1, settings.LEASE_S * 2.5)),
        Family(some("Kafka ", "PostgreSQL "), 60.0, (1.0, 8.0), alone=True),
        Family(tuple(k for k in some("Halo: ") if not k.startswith(long + short)), 4.0, (2.0, 7.0)),
        Family(some(*long), 25.0, (4.0, 20.0), alone=True),
        Family(some(*short), 6.0, (0.4, 1.2), alone=True),
    ]
    return [family for family in found if family.kinds]


def _of(world: World, tenant: str) -> Sandbox:
    """The sandbox of the tenant that this fault is for; in a small cast, of the first."""
    return world.sandboxes.get(tenant, world.sandboxes[NOISY])


def _configured(sandbox: Sandbox, **config: Any) -> None:
    sandbox.configure(**config)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _family(pid: int) -> list[int]:
    """A process and its children."""
    found = [pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[1]) == pid:
                found.append(int(stat.parent.name))
    return found
