"""Whether Halo's own settings let the hub write what the rules ask for. What can't be read is unknown, never fine.

Three questions of Halo: its settings as a whole, and for each ticket type of opportunities its list of fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.check_connection import Findings, right_hint
from cli.check_names import find
from halo import HaloClient, Reply
from halo.resources import CONTROL, TICKET_TYPE
from hub.tenants.model import RuleSet
from hub.tenants.opportunities import Opportunities
from schemas.control import Check

Row = Mapping[str, Any]

MANDATORY = 2
"""How a field's list says "Visible - Required" for a new ticket; the numbers are in no document of Halo's."""
TARGET_DATE = "targetdate"
_FILLED = frozenset({"summary", "client_id", "site_id", "tickettype_id", "oppvalue"})
"""What every opportunity of a quote comes with; a user, an agent or a team only where the quote has one."""

_USERS = "Configuration > Users > General Settings"
_TICKETS = "Configuration > Tickets > General Settings"
_QUOTATIONS = "Configuration > Quotations"
_FIELD_LIST = "Configuration > Tickets > Opportunity Types > {} > Field List"

_ORDER_ON_APPROVAL = "create_so_on_quote_approved"
_AN_ORDER_EACH = (
    "Halo makes a sales order by itself of each quote that is approved, and with quotes.revisions: new each approved "
    "revision and status is a quote of its own: what was sold once is ordered several times"
)
_ONE_ORDER = f"{_QUOTATIONS}: switch off the sales order on approval, or choose another quotes.revisions"

SWITCHES: tuple[tuple[str, str, str, str], ...] = (
    (
        "clientMainContactCompulsary",
        "main contact",
        "Halo takes no new client without a main contact: a quote for an unknown customer needs a contact",
        f'{_USERS}: switch off "Make main contact details compulsory", or send a contact with each customer',
    ),
    (
        "checkreassignappclashes",
        "appointment check",
        "Halo asks about the agent's appointments when a ticket is assigned, and refuses a new opportunity instead",
        f'{_TICKETS}: switch off "When reassigning Tickets to Agents, check for ongoing Appointments"',
    ),
    (
        _ORDER_ON_APPROVAL,
        "sales orders of approved quotes",
        "Halo makes a sales order by itself of each quote that is approved, beside one that the hub made before",
        f"{_QUOTATIONS}: switch off the sales order on approval, or leave quotes.sales_order off",
    ),
    (
        "createnewitemsfromquotes",
        "items made from quotes",
        "Halo makes items of a quote's lines by itself, beside those that the hub creates or matches",
        f"{_QUOTATIONS}: switch off the creation of items from quotes",
    ),
    (
        "oppvalue_from_quote",
        "opportunity value from quotes",
        "Halo overwrites an opportunity's value with its quote's, whatever opportunities.value says",
        f"{_QUOTATIONS}: switch off the opportunity's value from its quote",
    ),
)


async def check_settings(client: HaloClient, rules: RuleSet, findings: Findings) -> None:
    """Adds a line for each setting that is known to stand in the way. Raises GateClosed."""
    if rules.opportunities is None:
        return
    reply = await client.get(CONTROL)
    findings.checks += (
        _unread(reply) if not _is_row(reply) else judge_switches(reply.body, revises_anew(rules))
    )
    for name, type_id in _types(rules, findings).items():
        reply = await client.get(TICKET_TYPE, type_id)
        if _is_row(reply):
            findings.checks += judge_fields(name, reply.body, linked_fields(rules))
        else:
            findings.checks += [_unknown(f"{what} of {name}", reply) for what in ("target date", "fields")]


def revises_anew(rules: RuleSet) -> bool:
    """Whether the quotes of any source are a Halo quote for each revision and status."""
    every = [rules, *(rules.for_source(source) for source in rules.sources)]
    return any(one.quotes is not None and one.quotes.revisions == "new" for one in every)


def judge_switches(control: Row, several_quotes: bool = False) -> Iterator[Check]:
    """What Halo's settings mean for the hub, a line each; `several_quotes` where one quote is several in Halo."""
    for key, name, why, fix in SWITCHES:
        value = control.get(key)
        if value is True and key == _ORDER_ON_APPROVAL and several_quotes:
            yield Check(name=name, verdict="warning", detail=_AN_ORDER_EACH, fix=_ONE_ORDER)
        elif value is True:
            yield Check(name=name, verdict="warning", detail=why, fix=fix)
        elif value is False:
            yield Check(name=name, verdict="ok", detail="switched off in Halo")
        else:
            yield Check(name=name, verdict="unknown", detail="Halo does not tell this setting", fix=fix)


def linked_fields(rules: RuleSet) -> dict[str, str]:
    """The fields of an opportunity that the rules link, folded, with the source's field that fills each."""
    every = [rules, *(rules.for_source(source) for source in rules.sources)]
    return {
        (link.custom_field or link.halo).casefold(): path
        for one in every
        for path, link in one.fields.opportunities.items()
        if link.writes
    }


def judge_fields(name: str, ticket_type: Row, links: Mapping[str, str] | None = None) -> Iterator[Check]:
    """Whether an opportunity of this type can be made from a quote, going by what its field list makes mandatory.

    `links` are fields that a quote brings only where the source says them.
    """
    fields = ticket_type.get("fields")
    if not isinstance(fields, list):
        for what in ("target date", "fields"):
            detail = "Halo does not tell the type's field list"
            yield Check(name=f"{what} of {name}", verdict="unknown", detail=detail)
        return
    mandatory = [field for field in fields if _mandatory(field)]
    linked = {
        _name(field): (links or {})[_name(field)] for field in mandatory if _name(field) in (links or {})
    }
    wanted = [field for field in mandatory if _name(field) not in linked]
    page = _FIELD_LIST.format(name)
    if TARGET_DATE in linked:
        yield _linked(f"target date of {name}", {TARGET_DATE: linked.pop(TARGET_DATE)})
    elif any(_is_target_date(field) for field in wanted):
        yield Check(
            name=f"target date of {name}",
            verdict="failed",
            detail="a target date is Visible - Required: Halo refuses opportunities without one",
            fix=f"{page} > Target Date: set what is Visible - Required to Visible - Not Required, "
            f"or link a date of the source to {TARGET_DATE} (fields.opportunities)",
        )
    else:
        yield Check(name=f"target date of {name}", verdict="ok", detail="not required")
    left = [_label(field) for field in wanted if not _is_target_date(field) and _name(field) not in _FILLED]
    if left:
        yield Check(
            name=f"fields of {name}",
            verdict="failed",
            detail=f"Halo refuses opportunities without {', '.join(left)}",
            fix=f"{page}: set these to Visible - Not Required, or link them (fields.opportunities)",
        )
    elif linked:
        yield _linked(f"fields of {name}", linked)
    elif ticket_type.get("hasmandatorytechfields") is True and not mandatory:
        detail = "Halo says that the type has mandatory fields, but its list does not show which"
        yield Check(name=f"fields of {name}", verdict="unknown", detail=detail, fix=f"look at {page}")
    else:
        yield Check(name=f"fields of {name}", verdict="ok", detail="none is mandatory that a quote lacks")


def _linked(what: str, linked: Mapping[str, str]) -> Check:
    said = ", ".join(f"{field} (the source's {path})" for field, path in linked.items())
    detail = f"Halo refuses opportunities without {said}: linked, and missing where the source doesn't say it"
    return Check(name=what, verdict="warning", detail=detail, fix="send it with every quote")


def _types(rules: RuleSet, findings: Findings) -> dict[str, int]:
    """The ticket types that opportunities of any source get, as far as Halo has them."""
    sections = [rules.opportunities, *(rules.for_source(source).opportunities for source in rules.sources)]
    rows = findings.lists.get("ticket_type", ())
    named = [name for section in sections if section is not None for name in _names(section)]
    found = (find(rows, name) for name in named)
    return {row.name: row.id for row in found if row is not None}


def _names(rules: Opportunities) -> list[str | int]:
    return [rules.ticket_type, *rules.ticket_types.values()]


def _is_row(reply: Reply) -> bool:
    return reply.ok and isinstance(reply.body, dict)


def _unread(reply: Reply) -> list[Check]:
    return [_unknown(name, reply) for _, name, _, _ in SWITCHES]


def _unknown(name: str, reply: Reply) -> Check:
    said = "no answer" if reply.status is None else f"status {reply.status}"
    return Check(
        name=name,
        verdict="unknown",
        detail=f"Halo's settings can't be read ({said})",
        fix=right_hint(reply) or "look at docs/halo-settings.md, and in Halo",
    )


def _mandatory(field: Any) -> bool:
    return isinstance(field, Mapping) and (
        field.get("technew") == MANDATORY or _info(field).get("mandatory") is True
    )


def _info(field: Row) -> Row:
    info = field.get("fieldinfo")
    return info if isinstance(info, Mapping) else {}


def _name(field: Row) -> str:
    return str(_info(field).get("name") or field.get("fieldname") or "").casefold()


def _label(field: Row) -> str:
    return str(_info(field).get("label") or field.get("fieldname") or _name(field) or field.get("fieldid"))


def _is_target_date(field: Row) -> bool:
    return TARGET_DATE in (_name(field), _label(field).replace(" ", "").casefold())
