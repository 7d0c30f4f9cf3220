"""Signs in to a tenant's Halo and reads what its rules need: each step a line of the test's answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from cli.check_names import check_names, lookups_of
from halo import GateClosed, HaloClient, Outcome, ReadFailed, Reply, rows_of
from halo.resources import CLIENT, ITEM
from hub.tenants.model import RuleSet
from hub.tenants.names import halo_names
from schemas.commands import Lookup
from schemas.control import Check
from schemas.halo_events import ReferenceRow
from services.ingest import halo_rows
from services.ingest.catalogue import LookupMissing, Reader, Seen
from services.ingest.halo_rows import RowUnreadable


@dataclass
class Findings:
    """What the test has found so far; `lists` are the reference lists it read on the way."""

    checks: list[Check] = field(default_factory=list)
    lists: dict[Lookup, Sequence[ReferenceRow]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return all(check.verdict != "failed" for check in self.checks)

    def add(self, name: str, verdict: str, detail: str, fix: str | None = None) -> None:
        self.checks.append(Check(name=name, verdict=verdict, detail=detail, fix=fix))  # type: ignore[arg-type]


class NoLog:
    """Nothing that a check reads goes on the log."""

    async def append_seen(self, events: Sequence[Seen]) -> None:
        raise AssertionError(f"a check appends nothing, but was given {len(events)} events")


async def check_connection(client: HaloClient, rules: RuleSet) -> Findings:
    """Token, agent, one cheap read, then every name of the rules. Raises GateClosed."""
    findings = Findings()
    if await sign_in(client, findings):
        await read_lists(client, rules, findings, lookups_of(rules))
        findings.checks += check_names(rules, findings.lists)
    return findings


async def sign_in(client: HaloClient, findings: Findings) -> bool:
    """Whether the token, the agent and one cheap read go well. Raises GateClosed."""
    me = await client.whoami()
    if me.outcome is Outcome.UNAUTHORISED or me.status is None:
        findings.add("sign-in", "failed", me.text or "Halo refuses the sign-in")
        return False
    _judge_agent(me, findings)
    page = await client.list_page(CLIENT, page_size=1)
    if not page.ok:
        findings.add(
            "read", "failed", f"clients can't be read ({_status(page)}): {page.text}", right_hint(page)
        )
        return False
    findings.add("read", "ok", "the resource server answers")
    return True


def _judge_agent(me: Reply, findings: Findings) -> None:
    if not me.ok or not isinstance(me.body, dict):
        findings.add("agent", "unknown", f"Halo does not tell the application's agent ({_status(me)})")
        return
    name = me.body.get("name", "unnamed")
    if me.body.get("isdisabled") is True or me.body.get("inactive") is True:
        findings.add(
            "agent", "failed", f"the application acts as {name}, who is switched off", "activate the agent"
        )
    else:
        findings.add("agent", "ok", f"the application acts as {name}")


async def read_lists(
    client: HaloClient, rules: RuleSet, findings: Findings, lookups: Sequence[Lookup]
) -> None:
    """Adds each list to the findings, or a check that says why it can't be read."""
    reader = Reader(client, NoLog(), tenant=rules.tenant, instance=rules.instance, now=lambda: 0.0)
    for lookup in lookups:
        try:
            if lookup == "item":
                findings.lists[lookup] = await _items_named(client, rules)
            else:
                findings.lists[lookup] = await reader.names(lookup)
        except ReadFailed as error:
            findings.add(lookup, "failed", str(error), right_hint(error.reply))
        except (LookupMissing, RowUnreadable) as error:
            findings.add(lookup, "failed", str(error))
        except GateClosed as error:
            findings.add(lookup, "unknown", str(error))


async def _items_named(client: HaloClient, rules: RuleSet) -> list[ReferenceRow]:
    """The products that the rules name: of all that a Halo may hold, only these and what a search for them shows."""
    rows: dict[int, ReferenceRow] = {}
    for name in {name.name for name in halo_names(rules) if name.lookup == "item"}:
        if isinstance(name, int):
            reply = await client.get(ITEM, name, details=False)
            found = [reply.body] if reply.ok else []
        else:
            reply = await client.list_page(ITEM, 1, 100, search=name)
            found = rows_of(ITEM, reply.body) or [] if reply.ok else []
        if not reply.ok and not reply.not_found:
            raise ReadFailed(f"the item {name!r}", reply)
        for item in (halo_rows.item(row, "") for row in found):
            rows[item.id] = ReferenceRow(id=item.id, name=item.name, usable=not item.inactive)
    return list(rows.values())


def right_hint(reply: Reply) -> str | None:
    """What to do about a reply that a right is missing for."""
    if reply.outcome in (Outcome.DENIED, Outcome.UNAUTHORISED):
        return "give the application's agent the right to read this, and the application its scope"
    return None


def _status(reply: Reply) -> str:
    return "no answer" if reply.status is None else f"status {reply.status}"
