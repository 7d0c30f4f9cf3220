"""The product family of source events: `product.upserted`, the whole of one product in the producer's catalogue."""

from __future__ import annotations

from decimal import Decimal

from schemas.base import Text
from schemas.quotes import ProductData


class SourceProduct(ProductData, frozen=True, kw_only=True):
    """A product by itself; its id is the event's subject, the one that lines give as their product's `id`.

    `price` and `cost` are for one, without tax; what is absent is left as it is in Halo. `frequency` is the producer's
    word for how often it recurs; none is one-time.
    """

    price: Decimal | None = None
    """The price of one, without tax."""
    cost: Decimal | None = None
    """What one costs the seller."""
    frequency: Text | None = None
    """How often it recurs, in the producer's word; none is one-time."""
