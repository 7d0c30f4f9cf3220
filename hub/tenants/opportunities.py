"""The `opportunities` section of a tenant file: how the Halo opportunities look that quotes live under."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Literal

from pydantic import StrictBool, model_validator

from hub.tenants.names import by_folded_name
from hub.tenants.values import HaloName, OnRejected, Section, Table, Text

_LINES = "opportunities.lines"
_WON = "opportunities.won"


class OpportunityLines(Section):
    """What of a document's lines is written onto its opportunity as products. Quotes have lines of their own."""

    write: Literal["none", "summary", "detail"] = "none"
    """`detail`: each line of the document; `summary`: one line with its sums; `none`: no products there."""
    summary_part_number: Text | None = None
    """Part number of the one line that `write: summary` makes; required with it."""
    cost: StrictBool = True
    """Whether the lines show costs."""
    bundles: Literal["expand", "summary"] = "expand"
    """A bundle of lines as its members (`expand`), or as one product with its totals (`summary`)."""

    @model_validator(mode="after")
    def _numbered(self) -> OpportunityLines:
        if self.write == "summary" and self.summary_part_number is None:
            raise ValueError("`write: summary` needs `summary_part_number`, the part number of its one line")
        return self

    def unused(self) -> Iterator[tuple[str, str]]:
        """The settings that were given and have no effect beside the others, with why."""
        said = self.model_fields_set
        if "summary_part_number" in said and self.write != "summary":
            yield (
                f"{_LINES}.summary_part_number",
                f"has no effect: `{_LINES}.write` is {self.write}, not summary",
            )
        if "bundles" in said and self.write != "detail":
            yield f"{_LINES}.bundles", f"has no effect: `{_LINES}.write` is {self.write}, not detail"
        if "cost" in said and self.write == "none":
            yield f"{_LINES}.cost", f"has no effect: `{_LINES}.write` is none"


class Won(Section):
    """What becomes of the opportunity when its quote is converted."""

    when: Literal["order", "invoice", "never"] = "order"
    """Which conversion of the quote completes its opportunity as Won.

    An invoice is past an order; `never`: people do it in Halo.
    """
    if_none: Literal["ask", "create", "skip"] = "skip"
    """Where the quote has no opportunity when it is converted: create a won one, or don't, or ask."""
    if_exists: Literal["ask", "convert"] = "ask"
    """Where it has one: complete it, or ask first, at each conversion that doesn't bring the answer."""

    def unused(self, push: str) -> Iterator[tuple[str, str]]:
        """The settings that were given and have no effect beside the others, with why; `push` is the quotes'."""
        said = self.model_fields_set
        if self.when == "never":
            for name in ("if_none", "if_exists"):
                if name in said:
                    yield f"{_WON}.{name}", f"has no effect: `{_WON}.when` is never"
        elif "if_none" in said and push != "won":
            why = (
                "has no effect: a quote has its opportunity when it is converted, unless `quotes.push` is won"
            )
            yield f"{_WON}.if_none", why


class Opportunities(Section):
    """Present is on. Quotes need it, since a Halo quote lives under an opportunity."""

    ticket_type: HaloName
    """Halo ticket type of opportunities that the hub creates."""
    ticket_types: Table = {}
    """Source opportunity type: Halo ticket type. Equal names need no entry."""
    teams: Table = {}
    """Source team: Halo team. Equal names need no entry."""
    status: HaloName | None = None
    """Status of a new opportunity; never written later. Default: the ticket type's own."""
    statuses: Table = {}
    """Source opportunity status: Halo status. Equal names need no entry."""
    rename: StrictBool = False
    """Whether the opportunity takes its document's name with every update."""
    value: Literal["sale", "profit"] = "sale"
    """Which amount of the document is the opportunity's value."""
    lines: OpportunityLines = OpportunityLines()
    """Products on the opportunity; quotes have lines of their own."""
    won: Won = Won()
    """What becomes of it when its quote is converted."""
    on_rejected_predecessor: OnRejected = "supersede"

    @cached_property
    def won_status(self) -> str | int:
        """The Halo status of a won opportunity."""
        return self.status_table.get("won", "Won")

    @cached_property
    def ticket_type_table(self) -> dict[str, str | int]:
        return by_folded_name(self.ticket_types)

    @cached_property
    def team_table(self) -> dict[str, str | int]:
        return by_folded_name(self.teams)

    @cached_property
    def status_table(self) -> dict[str, str | int]:
        return by_folded_name(self.statuses)
