"""How a tenant's request budget is divided. Each share is spent by the holder of that share's lease alone."""

from __future__ import annotations

from typing import NamedTuple

from hub.tenants.model import RuleSet

WRITE_SHARE = 0.7
READ_SHARE = 0.2
OPS_SHARE = 0.1
_SLACK_S = 10.0
_BUCKET_S = 10.0


class Allowance(NamedTuple):
    """At most `limit` requests in any `window_s`, counted in buckets of `bucket_s`."""

    limit: int
    window_s: float
    bucket_s: float


def allowance(rules: RuleSet, share: float) -> Allowance:
    """A share of the tenant's budget; at least one request, however small the whole is.

    A request may reach Halo later than it was counted, so the window is a little longer than Halo's.
    """
    whole = rules.halo.budget
    tenth_s = whole.window / 10
    return Allowance(
        max(1, int(whole.requests * share)), whole.window + min(_SLACK_S, tenth_s), min(_BUCKET_S, tenth_s)
    )
