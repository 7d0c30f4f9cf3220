"""Tenant files as real ones are: a quoting tool's few lines, and the whole of a tenant that sets everything."""

from __future__ import annotations

import datetime as dt

from hub.bus.records import Outgoing
from hub.tenants.load import accept
from hub.tenants.publisher import message

_ACCEPTED_AT = dt.datetime(2026, 11, 2, 8, tzinfo=dt.UTC)

MINIMAL_RULES = """
items:
  asset_group: Hardware
opportunities:
  ticket_type: Opportunity
quotes:
  statuses: {draft: Draft, sent: Sent, approved: Accepted, declined: Rejected, expired: Expired}
"""

FULL_RULES = """
clients: {match: [halo_id, external_id, name]}
users: {match: [halo_id, external_id, email]}
agents:
  owner: sales_rep
  map:
    jane.doe: Jane Doe
    rmiller: Robert Miller
    p.okafor: Patience Okafor
    s.lindqvist: Sara Lindqvist
addresses: {line1: street, line2: apartment, line3: city, line4: county}
items:
  match: [halo_id, sku, name]
  asset_group: Hardware
  asset_groups: {Laptops: Hardware, Labor: Professional Services, M365: Cloud Subscriptions}
  name_from: name
billing_periods: {one_time: null, month: Monthly, monthly: Monthly, quarter: Quarterly, year: Yearly}
currencies: {GBP: Pound Sterling, USD: US Dollar, EUR: Euro}
opportunities:
  ticket_type: Opportunity
quotes:
  revisions: overwrite
  statuses: {draft: Draft, sent: Sent, approved: Accepted, declined: Rejected, expired: Expired}
  taxes: {push: true, skip: [avalara, taxjar]}
sources:
  quotewerks:
    items: {asset_groups: {Networking: Network Equipment}}
  quoter:
    quotes: {taxes: {push: false}}
  marketplace:
    agents: {owner: logged_in_user}
"""


def tenant_rules(number: int) -> str:
    """The rules of the nth tenant: every other one sets everything."""
    return FULL_RULES if number % 2 else MINIMAL_RULES


def settings_of(tenant: str, number: int) -> Outgoing:
    """The event of the nth tenant's first accepted settings, on a Halo that nobody serves."""
    connection = f"""
tenant: {tenant}
halo:
  url: https://{tenant}.halopsa.com
  client_id: 9f6b2c70-{tenant}
  client_secret: env:{tenant.upper()}_HALO_SECRET
"""
    return message(accept((connection + tenant_rules(number)).encode()), 1, _ACCEPTED_AT)
