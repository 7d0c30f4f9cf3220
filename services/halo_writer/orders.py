"""The sales order that Halo itself made of a quote, found without asking where Halo has told it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from halo import as_id
from halo.resources import SALES_ORDER
from hub.store import targets
from hub.store.engine import Store
from schemas.commands import CreateSalesOrder
from services.halo_writer.kinds.base import Resolved, value_of
from services.halo_writer.kinds.quote import OWN_ORDER

Rows = Callable[..., Awaitable[list[dict[str, Any]]]]


async def made_by_halo(
    store: Store, command: CreateSalesOrder, resolved: Resolved, rows_of: Rows
) -> int | None:
    """The order of the source quote, whichever of its Halo quotes was approved; the lowest id of several.

    What Halo said when a quote was written counts before its list, which may not show a new order yet.
    """
    opportunity, quote = value_of(command.opportunity), value_of(command.quote)
    if opportunity is None or quote is None:
        return None
    async with store.read() as conn:
        found = await targets.find(conn, quote.tenant, kind="quote", source=quote.source, id=quote.id)
    own = [row for row in found if row.target.instance == quote.instance]
    told = [row.children[OWN_ORDER] for row in own if OWN_ORDER in row.children]
    if told:
        return min(told)
    quotations = {row.halo_id for row in own} - {None}
    orders = await rows_of(SALES_ORDER, ticket_id=resolved.target(opportunity))
    ids = (as_id(order.get("id")) for order in orders if as_id(order.get("quotation_id")) in quotations)
    return min((order_id for order_id in ids if order_id is not None), default=None)
