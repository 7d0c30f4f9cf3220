"""Halo users (`/Users`): the people of a client. Agents are another thing."""

from __future__ import annotations

from halo.resources import USERS
from schemas.commands import Command, UpsertUser
from services.halo_writer.kinds.base import KindSpec, Resolved, Row, repeatable, value_of
from services.halo_writer.kinds.links import linked_fields
from services.halo_writer.names import folded


def _key_scope(command: Command, resolved: Resolved) -> Row | None:
    assert isinstance(command, UpsertUser)
    client = value_of(command.client)
    return None if client is None else {"client_id": resolved.target(client)}


def _natural_keys(command: Command) -> tuple[str, ...]:
    assert isinstance(command, UpsertUser)
    client = value_of(command.client)
    emails = [str(match.value) for match in command.match if match.by == "email" and match.value]
    return tuple(f"email:{client.key}:{folded(email)}" for email in emails) if client is not None else ()


SPEC = KindSpec(
    kind="user",
    resource=USERS,
    fills={
        "client": "client_id",
        "site": "site_id",
        "name": "name",
        "first_name": "firstname",
        "last_name": "surname",
        "email": "emailaddress",
        "phone": "phonenumber",
        "title": "title",
        "links": linked_fields,
    },
    on_create=frozenset({"client", "site"}),
    key_field="third_party_id",
    key_scope=_key_scope,
    natural_keys=_natural_keys,
    repeatable=repeatable,
)
