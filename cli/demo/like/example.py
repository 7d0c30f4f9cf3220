"""An example tenant of sandbox/examples: its file, what its Halo holds, its quotes by day, what is to come of them."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from cli.demo.day import Event
from cli.demo.place import Guest
from cli.errors import unknown
from hub.tenants.load import plain_yaml

SANDBOX = "http://127.0.0.1:8901"
"""Where `hub sandbox` listens by itself: the address in the tenant files."""


@dataclass(frozen=True)
class Example:
    """One example. `quotes` are the events of each in the order of their deliveries.

    `halo` is a fixture for the sandbox, `expected` what Halo holds in the end: of each quote under `quotes`, else
    `in_all`.
    """

    name: str
    tenant: str
    rules: str
    halo: str
    quotes: Mapping[str, tuple[Event, ...]]
    expected: Mapping[str, Any]

    @property
    def guest(self) -> Guest:
        """Its tenant in the demo, on an instance of the sandbox that is called like the example."""
        return Guest(
            self.tenant, self.name, lambda sandbox: self.rules.replace(SANDBOX, f"{sandbox}/{self.name}")
        )

    @property
    def days(self) -> tuple[tuple[Event, ...], ...]:
        """All events by the day of their time; within a day quote by quote."""
        days: dict[str, list[Event]] = {}
        for event in itertools.chain.from_iterable(self.quotes.values()):
            days.setdefault(_day(event), []).append(event)
        return tuple(tuple(days[day]) for day in sorted(days))

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(itertools.chain.from_iterable(self.days))


def names() -> list[str]:
    """The examples that there are."""
    return sorted(one.name for one in _directory().iterdir() if one.joinpath("tenant.yaml").is_file())


def example(name: str) -> Example:
    """The example of that name. Raises BadInput with the names that are near it."""
    known = names()
    if name not in known:
        raise unknown("example", name, known, f"there are {', '.join(known)}")
    directory = _directory().joinpath(name)
    rules = directory.joinpath("tenant.yaml").read_text(encoding="utf-8")
    return Example(
        name=name,
        tenant=plain_yaml(rules.encode())["tenant"],
        rules=rules,
        halo=directory.joinpath("halo.yaml").read_text(encoding="utf-8"),
        quotes=dict(map(_quote, sorted(directory.joinpath("quotes").iterdir(), key=lambda file: file.name))),
        expected=plain_yaml(directory.joinpath("expected.yaml").read_bytes()),
    )


def _directory() -> Traversable:
    return files("sandbox").joinpath("examples")


def _quote(file: Traversable) -> tuple[str, tuple[Event, ...]]:
    """A quote's number and its events: day by day, and within a day as they stand in its file."""
    events = sorted(plain_yaml(file.read_bytes()), key=_day)
    number = next(event["subject"] for event in events if event["type"] == "quote.published.v1")
    return number, tuple(events)


def _day(event: Event) -> str:
    return str(event["time"]).partition("T")[0]
