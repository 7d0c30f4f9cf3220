"""The `quotes` section of a tenant file: which quotes are written to Halo, and how."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, StrictBool, StrictStr

from hub.tenants.file_hosts import FileHost
from hub.tenants.names import by_folded_name, folded
from hub.tenants.values import OnRejected, Section, Table, Text

_PO_FIELD = re.compile(r"^(po_number|number|custom\.\S.*)$")


def _po_field(value: str) -> str:
    if not _PO_FIELD.match(value):
        raise ValueError("is no field of a quote's; there are po_number, number and custom.<name>")
    return value


PoField: TypeAlias = Annotated[StrictStr, AfterValidator(_po_field)]


class Taxes(Section):
    """Which taxes are written."""

    push: StrictBool = True
    """Whether taxes are written at all."""
    skip: tuple[StrictStr, ...] = ("avalara",)
    """Calculators whose taxes are not written."""

    @cached_property
    def skipped(self) -> frozenset[str]:
        return frozenset(folded(calculator) for calculator in self.skip)


class Quotes(Section):
    """Quotes. A switch: `quotes: {}` turns them on; needs `opportunities` and `items.asset_group`."""

    push: Literal["published", "won"] = "published"
    """`published`: a quote is written when it is published; `won`: nothing of it before it is won."""
    revisions: Literal["new", "first_only", "overwrite"] = "overwrite"
    """What a new revision becomes.

    `overwrite`: one Halo quote, which takes each revision; `first_only`: one Halo quote, of which later revisions
    change the status alone; `new`: a Halo quote for each revision and each status.
    """
    statuses: Table = {}
    """Source status: Halo quote status. Equal names need no entry."""
    won: tuple[Text, ...] = ("accepted", "approved", "ordered", "fulfilled")
    """Source statuses that count as won."""
    taxes: Taxes = Taxes()
    """Which taxes are written."""
    po_number: PoField | None = None
    """Source field with the customer's PO number: `po_number`, `number` or `custom.<name>`.

    Default: it isn't written.
    """
    sales_order: StrictBool = False
    """Whether a won quote gets a Halo sales order."""
    pdf: StrictBool = True
    """Whether a quote's PDF is attached to its opportunity."""
    file_hosts: Annotated[tuple[FileHost, ...], Field(max_length=100)] = ()
    """Hosts that files of quotes may be fetched from; `*.` in front stands for any name below. None: no file is."""
    on_rejected_predecessor: OnRejected = "supersede"

    @cached_property
    def status_table(self) -> dict[str, str | int]:
        return by_folded_name(self.statuses)

    @cached_property
    def winning(self) -> frozenset[str]:
        return frozenset(map(folded, self.won))

    def unused(self) -> Iterator[tuple[str, str]]:
        """The settings that were given and have no effect beside the others, with why."""
        if "skip" in self.taxes.model_fields_set and not self.taxes.push:
            yield "quotes.taxes.skip", "has no effect: `quotes.taxes.push` is false, and no tax is sent"
        if "pdf" in self.model_fields_set and self.pdf and not self.file_hosts:
            yield (
                "quotes.pdf",
                "has no effect: `quotes.file_hosts` names no host that a PDF may be fetched from",
            )
