"""What a request that changed nothing leaves to wait for. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from halo import GateClosed, Outcome, Reply
from schemas.outcomes import Request
from schemas.targets import Intent
from services.halo_writer.gate import TooLate
from services.halo_writer.standing import backoff
from services.halo_writer.tools import Parked, Timing, Trouble

_GATEWAY = frozenset({502, 503, 504})


def not_sent(closed: GateClosed, *, now: float, blocked_until: float) -> Parked:
    """What a closed gate leaves to wait for: one request's time, or the whole tenant's budget."""
    if isinstance(closed, TooLate):
        return Parked("limited", now + 1.0, note=str(closed))
    return limited(now, blocked_until, str(closed))


def wait_after(reply: Reply, *, now: float, timing: Timing, blocked_until: float, attempts: int) -> Parked:
    """Why the command waits, until when, and what its neighbours may have to be spared.

    Without a status no answer came: the login itself was refused, or Halo can't be had.
    """
    match reply.outcome:
        case Outcome.THROTTLED:
            return limited(now, blocked_until, reply.text)
        case Outcome.UNAUTHORISED:
            again = now + backoff(attempts, timing.denied_s, timing.denied_most_s)
            lost = reply.status is None
            trouble: Trouble = "login_lost" if lost else "unauthorised"
            return Parked("unauthorised" if lost else "denied", again, note=reply.text, trouble=trouble)
        case Outcome.DENIED:
            again = now + backoff(attempts, timing.denied_s, timing.denied_most_s)
            return Parked("denied", again, note=reply.text, trouble="denied")
        case _:
            again = now + backoff(attempts, timing.unreachable_s, timing.unreachable_most_s)
            return Parked("unreachable", again, note=reply.text, trouble=silence(reply))


def after_doubt(intent: Intent, requests: Iterable[Request], *, now: float, timing: Timing) -> float:
    """When to see how a write ended of which that isn't known: a create soon, an update once it has settled.

    `requests` are all of its command. One that ends so each time, as an upload too long for Halo's patience does, is
    sent ever more seldom: each time it keeps its tenant waiting.
    """
    doubtful = sum(one.method == "POST" and one.outcome == Outcome.AMBIGUOUS for one in requests)
    wait_s = backoff(max(0, doubtful - 1), timing.first_look_s, timing.ambiguous_most_s)
    settled_at = intent.sent_at + timing.settle_s
    if intent.operation == "create" and wait_s <= timing.settle_s:
        return min(settled_at, now + wait_s)
    return max(settled_at, now + wait_s)


def silence(reply: Reply) -> Trouble | None:
    """The trouble of a Halo that didn't answer; None when the answer, however bad, was its own."""
    return "unreachable" if reply.status is None or reply.status in _GATEWAY else None


def limited(now: float, again: float, note: str) -> Parked:
    """The tenant's budget or a 429 holds everything of the tenant's."""
    return Parked("limited", max(now + 1.0, again), note=note, trouble="limited")
