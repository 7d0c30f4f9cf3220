"""The smallest file of a quoting tool, and what becomes of a file: rules, or faults."""

import pytest

from hub.tenants.load import RulesInvalid, accept, from_text
from hub.tenants.model import RuleSet

MINIMAL = """
tenant: acme
halo:
  url: https://acme.halopsa.com
  client_id: 0b5a3f1e-acme
  client_secret: env:ACME_HALO_SECRET
items:
  asset_group: Hardware
opportunities:
  ticket_type: Opportunity
quotes:
  statuses: {draft: Draft, sent: Sent, approved: Accepted, declined: Rejected, expired: Expired}
"""


def rules(text: str = MINIMAL) -> RuleSet:
    return from_text(accept(text.encode()).text)


def faults(text: str | bytes) -> dict[str, str]:
    with pytest.raises(RulesInvalid) as caught:
        accept(text.encode() if isinstance(text, str) else text)
    return {fault.at: fault.problem for fault in caught.value.faults}
