"""What a request that changed nothing leaves to wait for. Pure."""

from __future__ import annotations

from halo import Outcome, Reply
from services.halo_writer.tools import Parked, Timing


def wait_after(reply: Reply, *, now: float, timing: Timing, blocked_until: float) -> Parked:
    """Why the command waits, until when, and whether the tenant's others would fare no better.

    Without a status no answer came: the login itself was refused, or Halo can't be had. With one it may be this
    record's own trouble.
    """
    answered = reply.status is not None
    match reply.outcome:
        case Outcome.THROTTLED:
            return limited(now, blocked_until, reply.text)
        case Outcome.UNAUTHORISED:
            again = now + timing.denied_s
            return Parked("unauthorised", again, note=reply.text, others=None if answered else "unauthorised")
        case Outcome.DENIED:
            return Parked("denied", now + timing.denied_s, note=reply.text)
        case _:
            again = now + timing.unreachable_s
            return Parked("unreachable", again, note=reply.text, others=None if answered else "unreachable")


def limited(now: float, again: float, note: str) -> Parked:
    """The tenant's budget or a 429 holds everything of the tenant's."""
    return Parked("limited", max(now + 1.0, again), note=note, others="limited")
