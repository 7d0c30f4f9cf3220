"""Where a command finds a tenant's rules: a file, the directory of tenant files, or the log."""

from pathlib import Path

from cli import context
from cli.errors import BadInput
from hub.settings import Settings
from hub.tenants.follower import RulesFollower
from hub.tenants.load import RulesInvalid, accept, from_text
from hub.tenants.model import RuleSet
from schemas.topics import CONTROL


def rules_of_file(path: Path) -> RuleSet:
    """The rules in a tenant file. Raises BadInput with every fault."""
    try:
        return from_text(accept(context.read_file(path)).text)
    except RulesInvalid as error:
        faults = "".join(f"\n  {fault.at or 'file'}: {fault.problem}" for fault in error.faults)
        raise BadInput(f"{path} can't be used:{faults}", error.faults) from None


async def rules_of(settings: Settings, named: str) -> RuleSet:
    """The rules in a file, or of a tenant: its file, else what is in force on the log. Raises BadInput."""
    rules = rules_without_network(settings, named)
    if rules is not None:
        return rules
    follower = RulesFollower()
    async for record in context.records_of(settings, CONTROL):
        follower.apply(record)
    found = follower.get(named)
    if found is None:
        known = ", ".join(sorted(follower.tenants())) or "none"
        raise BadInput(
            f"there is no tenant {named!r}: no file in {settings.tenants_dir}, and the log knows {known}"
        )
    return found.rules


def rules_without_network(settings: Settings, named: str) -> RuleSet | None:
    """The rules in a file, or in a tenant's own; None when the tenant has no file here. Raises BadInput."""
    path = _file_of(settings, named)
    if path is None:
        return None
    rules = rules_of_file(path)
    if not _is_path(named) and rules.tenant != named:
        raise BadInput(f"{path} is the file of tenant {rules.tenant!r}, not of {named!r}")
    return rules


def _is_path(named: str) -> bool:
    """A tenant's name has neither a slash nor an ending, so that no name leads out of the tenants' directory."""
    return "/" in named or Path(named).suffix in (".yaml", ".yml")


def _file_of(settings: Settings, named: str) -> Path | None:
    if _is_path(named):
        return Path(named)
    candidates = (settings.tenants_dir / f"{named}{suffix}" for suffix in (".yaml", ".yml"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)
