"""An opportunity as a source of its own: `opportunity.upserted`, for producers that keep opportunities themselves.

Each event carries the whole opportunity. Quotes name it by its id at the producer.
"""

from __future__ import annotations

import datetime as dt
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
    """The title."""
    customer: Customer
    """Whose it is."""
    halo_id: HaloId | None = None
    """The Halo opportunity, when the producer took it from Halo."""
    contact: Contact | None = None
    """The person at the customer."""
    prepared_by: Person | None = None
    """Who entered it."""
    sales_rep: Person | None = None
    """Whose customer it is."""
    status: Name | None = None
    """The status, in the producer's word; `opportunities.statuses` makes a Halo status of it."""
    type: Text | None = None
    """The producer's word for the kind; `opportunities.ticket_types` makes a Halo ticket type of it."""
    team: Text | None = None
    """The producer's word for the team; `opportunities.teams` makes a Halo team of it."""
    value: Decimal | None = None
    """What the sale would come to."""
    profit: Decimal | None = None
    """What it would earn."""
    expected_close: dt.date | None = None
    """The day on which it is expected to be won; `fields.opportunities` links it to a field of Halo."""
    note: LongText | None = None
    """A longer text."""
    custom: dict[str, Text] = {}
    """Fields of the producer's own, by name."""
