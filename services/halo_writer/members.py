"""Finding the sites and the people of a client, of which some were made in the client's own request."""

from __future__ import annotations

from halo import as_id
from halo.resources import CLIENT, SITE, USERS
from hub.store import catalogue
from schemas.commands import UpsertSite, UpsertUser
from schemas.targets import Target, TargetState
from services.halo_writer.decisions import GONE
from services.halo_writer.kinds.base import Refused, Resolved, value_of
from services.halo_writer.look_up import LookUp, id_in
from services.halo_writer.names import folded


async def sites_named(look: LookUp, command: UpsertSite, resolved: Resolved, name: str) -> list[int]:
    """Sites aren't in the catalogue, and no filter is exact: the client's sites are listed and compared."""
    client = value_of(command.client)
    if client is None:
        return []
    client_id = resolved.target(client)
    rows = await look.rows(SITE, client_id=client_id)
    return [
        id_in(row)
        for row in rows
        if folded(str(row.get("name", ""))) == folded(name) and as_id(row.get("client_id")) == client_id
    ]


async def site_born_with_client(look: LookUp, command: UpsertSite, name: str) -> int | None:
    """The site that was created in the client's own request, if it has that name: a search may not show it yet."""
    row = await _row(look, value_of(command.client))
    if row is None or "site" not in row.children:
        return None
    reply = await look.get(SITE, row.children["site"])
    same = reply.ok and folded(str(reply.body.get("name", ""))) == folded(name)
    return row.children["site"] if same else None


async def main_site(look: LookUp, command: UpsertSite, resolved: Resolved) -> int | None:
    """The client's main site, whoever made it. Raises Refused where the client was deleted in Halo."""
    client = value_of(command.client)
    if client is None:
        return None
    row = await _row(look, client)
    if row is not None and "site" in row.children:
        return row.children["site"]
    reply = await look.get(CLIENT, resolved.target(client))
    if reply.not_found:
        raise Refused(GONE, f"the client {resolved.target(client)} was deleted in Halo")
    return as_id(reply.body.get("main_site_id"))


async def people_with(
    look: LookUp, command: UpsertUser, resolved: Resolved, email: str, *, fresh: bool
) -> list[int]:
    """The client's active people with this address."""
    client = value_of(command.client)
    client_id = None if client is None else resolved.target(client)
    if client_id is None:
        return []
    target = command.target
    if fresh:
        async with look.store.read() as conn:
            rows = await catalogue.by_email(conn, target.tenant, target.instance, client_id, email)
        return [row.halo_id for row in rows if not row.inactive]
    answers = await look.rows(USERS, client_id=client_id, search=email)
    return [
        id_in(row)
        for row in answers
        if folded(str(row.get("emailaddress", ""))) == folded(email)
        and as_id(row.get("client_id")) == client_id
    ]


async def contact_born_with_client(look: LookUp, command: UpsertUser) -> int | None:
    """The main contact that was created in the client's own request, when it is this very person."""
    row = await _row(look, value_of(command.client))
    if row is None or "user" not in row.children:
        return None
    born, name, email = row.children["user"], value_of(command.name), value_of(command.email)
    target = command.target
    async with look.store.read() as conn:
        user = await catalogue.by_id(conn, target.tenant, target.instance, "user", born)
    if user is not None:
        theirs, address = user.name, user.email_key
    else:
        reply = await look.get(USERS, born)
        if reply.not_found:
            return None
        theirs, address = str(reply.body.get("name", "")), reply.body.get("emailaddress")
    if not name or folded(theirs) != folded(name):
        return None
    return None if email and address and folded(str(address)) != folded(email) else born


async def _row(look: LookUp, client: Target | None) -> TargetState | None:
    return None if client is None else await look.row(client)
