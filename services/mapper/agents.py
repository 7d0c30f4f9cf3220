"""Who owns a quote and its opportunity in Halo: the source's user or sales rep as a Halo agent."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

from hub.tenants.model import Agents
from hub.tenants.names import folded
from schemas.commands import Field, Named, Notice
from schemas.quotes import Person
from services.mapper.parts import Parties

Owner = tuple[Field[Named] | UnsetType, Notice | None]


def owner_of(head: Parties, rules: Agents) -> Owner:
    """The agent of the person that `agents.owner` names, with a notice when the tenant has to map a sales rep.

    An agent that Halo doesn't know never stops a quote: it falls back to `agents.default`, or stays unset.
    """
    person = head.sales_rep if rules.owner == "sales_rep" else head.prepared_by
    if person is None:
        return _default(rules), None
    mapped = _mapped(person, rules)
    if mapped is not None:
        return _agent(mapped, rules), None
    return _agent(person.name or person.username, rules), _unmapped(person, rules)


def _mapped(person: Person, rules: Agents) -> str | int | None:
    for name in (person.username, person.name):
        if name and (mapped := rules.table.get(folded(name))) is not None:
            return mapped
    return None


def _agent(name: str | int, rules: Agents) -> Field[Named]:
    named = Named(lookup="agent", name=name, missing="leave", fallback=rules.default, setting="agents.map")
    return Field(value=named)


def _default(rules: Agents) -> Field[Named] | UnsetType:
    if rules.default is None:
        return UNSET
    named = Named(lookup="agent", name=rules.default, missing="leave", setting="agents.default")
    return Field(value=named)


def _unmapped(person: Person, rules: Agents) -> Notice | None:
    if rules.owner != "sales_rep":
        return None
    shown = f"{person.username} ({person.name})" if person.name else person.username
    otherwise = "no owner" if rules.default is None else f"{rules.default} (agents.default)"
    message = f"the sales rep {shown} is not in agents.map; without a Halo agent of the same name, {otherwise} is used"
    return Notice(code="agent.unmapped", message=message)
