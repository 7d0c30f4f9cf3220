"""How long a backlog takes at its tenant's pace. Pure."""

from __future__ import annotations

from hub.tenants.shares import Allowance

REQUESTS_PER_COMMAND = 2
"""The most that a command takes as a rule: one look, one write. Most take one."""


def drain_s(commands: int, allowance: Allowance, *, wait_s: float = 0.0) -> float:
    """Seconds until so many waiting commands have run, at most, if all of the share goes to them.

    `wait_s` is how long nothing can be sent at all.
    """
    if not commands:
        return 0.0
    return max(0.0, wait_s) + commands * REQUESTS_PER_COMMAND * allowance.window_s / allowance.limit
