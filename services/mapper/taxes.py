"""Which of a document's taxes are sent, and on which of its lines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import msgspec

from hub.tenants.names import folded
from hub.tenants.quotes import Taxes
from schemas.commands import Notice
from schemas.quotes import Tax
from services.mapper.money import from_cents, spread, to_cents
from services.mapper.parts import QuoteLines
from services.mapper.scope import plain


class LineTaxes(msgspec.Struct, frozen=True):
    """The tax of each line: None for all of them where none is sent. `unplaced` is sent, and has no line to be on."""

    on_lines: tuple[Decimal | None, ...]
    unplaced: Decimal = Decimal(0)
    notices: tuple[Notice, ...] = ()


def line_taxes(source: QuoteLines, line_cents: Sequence[int], rules: Taxes) -> LineTaxes:
    """The taxes as the lines give them, else the document's shared out by the lines' totals (`line_cents`).

    A line's tax doesn't say who calculated it, so lines' own count only where no calculator of the document is skipped.
    """
    none: tuple[Decimal | None, ...] = (None,) * len(source.lines)
    if not rules.push:
        return LineTaxes(none)
    skipped = [tax for tax in source.taxes if _is_skipped(tax, rules)]
    sent = [tax.amount for tax in source.taxes if not _is_skipped(tax, rules)]
    given = [line.tax for line in source.lines if line.tax is not None]
    # Either may be the whole: lines carry taxes that the document doesn't name, or it names a delivery's too.
    whole = max(sum(given, Decimal(0)), sum((tax.amount for tax in source.taxes), Decimal(0)), key=abs)
    if given and not skipped:
        own = tuple(Decimal(0) if line.tax is None else plain(line.tax) for line in source.lines)
        return LineTaxes(own, notices=left_out(whole - sum(given, Decimal(0)), any_sent=True))
    total = sum(sent, Decimal(0))
    notices = (*map(_skipped, skipped), *left_out(whole - total, any_sent=bool(sent)))
    if not sent or not source.lines:
        return LineTaxes(none, plain(total), notices)
    return LineTaxes(tuple(map(from_cents, spread(to_cents(total), line_cents))), notices=notices)


def left_out(amount: Decimal, *, any_sent: bool = False) -> tuple[Notice, ...]:
    """What Halo's total lacks of the tax at the source, if it lacks any."""
    if not amount:
        return ()
    shown = "" if any_sent else "; what tax Halo shows it reckons itself"
    message = f"{plain(amount)} of the tax at its source is not in the quote's total in Halo{shown}"
    return (Notice(code="tax.left_out", message=message),)


def _is_skipped(tax: Tax, rules: Taxes) -> bool:
    return bool(tax.calculator) and folded(tax.calculator or "") in rules.skipped


def _skipped(tax: Tax) -> Notice:
    message = f"the tax {tax.name!r} of {tax.amount} is not sent: {tax.calculator} is in quotes.taxes.skip"
    return Notice(code="tax.skipped", message=message)
