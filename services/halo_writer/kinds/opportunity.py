"""Opportunities (`/Opportunities`): tickets of an opportunity type, which quotes hang under."""

from __future__ import annotations

from halo.resources import OPPORTUNITIES
from schemas.commands import Command, UpsertOpportunity
from services.halo_writer.kinds.base import KindSpec, Resolved, Row, repeatable, value_of


def _key_scope(command: Command, resolved: Resolved) -> Row | None:
    assert isinstance(command, UpsertOpportunity)
    client = value_of(command.client)
    return None if client is None else {"client_id": resolved.target(client)}


SPEC = KindSpec(
    kind="opportunity",
    resource=OPPORTUNITIES,
    fills={
        "client": "client_id",
        "site": "site_id",
        "user": "user_id",
        "title": "summary",
        "ticket_type": "tickettype_id",
        "status": "status_id",
        "agent": "agent_id",
        "value": "oppvalue",
    },
    key_field="third_party_id_string",
    key_scope=_key_scope,
    repeatable=repeatable,
)
