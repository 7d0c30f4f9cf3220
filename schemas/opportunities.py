"""An opportunity as a source of its own: `opportunity.upserted`, for producers that keep opportunities themselves.

Each event carries the whole opportunity. Quotes name it by its id at the producer.
"""

from __future__ import annotations

from decimal import Decimal

from schemas.base import HaloId, LongText, Name, SourceData, Text
from schemas.quotes import Contact, Customer, Person


class Opportunity(SourceData, frozen=True, kw_only=True):
    """The whole opportunity, as `opportunity.upserted` carries it.

    `halo_id` is the Halo opportunity when the producer took it from Halo. `status`, `type` and `team` are the
    producer's words; an event without a status leaves Halo's as it is. `value` is what the sale would come to, `profit`
    what it would earn.
    """

    title: Name
    customer: Customer
    halo_id: HaloId | None = None
    contact: Contact | None = None
    prepared_by: Person | None = None
    sales_rep: Person | None = None
    status: Name | None = None
    type: Text | None = None
    team: Text | None = None
    value: Decimal | None = None
    profit: Decimal | None = None
    note: LongText | None = None
    custom: dict[str, Text] = {}
