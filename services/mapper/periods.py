"""How often a line recurs: the source's frequency as a Halo billing period."""

from __future__ import annotations

from hub.tenants.model import RuleSet
from hub.tenants.names import folded
from schemas.commands import Named


def billing_period(frequency: str | None, rules: RuleSet) -> Named | None:
    """The Halo billing period, or None for a one-time line: no frequency, or one that the table sets to null.

    A frequency that is not in the table is taken by its own name, and rejected when Halo has none of that name:
    what recurs is never sold as one-time.
    """
    if not frequency:
        return None
    name: str | int | None = rules.billing_period_table.get(folded(frequency), frequency)
    if name is None:
        return None
    return Named(lookup="billing_period", name=name, setting="billing_periods")
