"""Winning a quote (a step on `/Opportunities`): what it brings onto its opportunity, or onto its company's lead."""

from __future__ import annotations

from typing import Any

from halo.resources import OPPORTUNITIES
from services.halo_writer.kinds.base import KindSpec, Resolved, Row, repeatable


def _named_by_its_id(value: Any, resolved: Resolved) -> Row:
    return {}


SPEC = KindSpec(
    kind="won",
    resource=OPPORTUNITIES,
    fills={
        "opportunity": _named_by_its_id,
        "client": "client_id",
        "site": "site_id",
        "status": "status_id",
        "po_number": "purchaseordernumber",
    },
    step_on="opportunity",
    repeatable=repeatable,
)
