"""Sales orders (`/SalesOrder`): created once for a won quote, tied to it and to its opportunity, never updated.

Our key travels as the external link alone: the one plain text that an order has belongs to the accounting system.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from halo.resources import SALES_ORDER
from schemas.commands import OrderLines, QuoteLine
from services.halo_writer.kinds.base import KindSpec, Resolved, Row
from services.halo_writer.kinds.quote import item_id_of, line_element

# Halo has no field for these on an order's line, or computes them there.
_OF_QUOTES = frozenset({"description", "tax", "ignoretaxcalc"})


def _agent(value: Any, resolved: Resolved) -> Row:
    agent = resolved.name(value)
    return {} if agent is None else {"assigned_agent": agent}


def _lines(value: OrderLines, resolved: Resolved) -> Row:
    accounts = {resolved.name(income.group): income.account for income in value.accounts}
    accounts.pop(None, None)
    return {"lines": [_line(place, line, accounts, resolved) for place, line in enumerate(value.lines)]}


def _line(place: int, line: QuoteLine, accounts: Mapping[int | None, str], resolved: Resolved) -> Row:
    """The quote's line. An item whose group has no account is left to Halo's own, never sent an empty one."""
    quoted = line_element(place, line, resolved)
    element = {name: value for name, value in quoted.items() if name not in _OF_QUOTES}
    sold = resolved.sold.get(item_id_of(line, resolved))
    account = None if sold is None else accounts.get(sold.group_id)
    return element if account is None else {**element, "nominalcode": account}


SPEC = KindSpec(
    kind="sales_order",
    resource=SALES_ORDER,
    fills={
        "opportunity": "ticket_id",
        "quote": "quotation_id",
        "client": "client_id",
        "site": "site_id",
        "user": "user_id",
        "title": "title",
        "agent": _agent,
        "currency": "currency_code",
        "po_number": "po_number",
        "lines": _lines,
    },
)
