"""What a document comes to, reckoned as on paper: every line to the cent, then the discount on the whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

Json = Mapping[str, Any]
CENT = Decimal("0.01")


def cents(amount: Decimal) -> Decimal:
    return amount.quantize(CENT, ROUND_HALF_UP)


def gross(line: Json) -> Decimal:
    return Decimal(line["quantity"]) * Decimal(line["price"])


def line_net(line: Json) -> Decimal:
    """What the line comes to after its own discount."""
    discount = line.get("discount") or {}
    if "percent" in discount:
        return cents(gross(line) * (100 - Decimal(discount["percent"])) / 100)
    return cents(gross(line) - Decimal(discount.get("amount", "0")))


def lines_net(document: Json) -> Decimal:
    return sum((line_net(line) for line in document["lines"]), Decimal(0))


def document_discount(document: Json) -> Decimal:
    discount = document.get("discount") or {}
    if "percent" in discount:
        return cents(lines_net(document) * Decimal(discount["percent"]) / 100)
    return cents(Decimal(discount.get("amount", "0")))


def net(document: Json) -> Decimal:
    """Without tax and without the charge for delivery."""
    return lines_net(document) - document_discount(document)


def share(line: Json, document: Json) -> Decimal:
    """What the line comes to with its part of the document's discount, exactly; a cent's rounding is anyone's."""
    whole = lines_net(document)
    if not whole:
        return line_net(line)
    return line_net(line) - document_discount(document) * line_net(line) / whole


def shipping(document: Json) -> Decimal:
    return cents(Decimal(document.get("shipping") or "0"))


def cost(document: Json) -> Decimal:
    """What a line doesn't say of costs counts as nothing."""
    costs = (Decimal(line["quantity"]) * Decimal(line.get("cost", "0")) for line in document["lines"])
    return sum(map(cents, costs), Decimal(0))


def tax(document: Json, taxes: Json) -> Decimal | None:
    """The tax that the source gives and the tenant wants in Halo; None where Halo reckons its own."""
    if not taxes.get("push", True):
        return None
    skipped = {word.casefold() for word in taxes.get("skip", ["avalara"])}
    given: Sequence[Json] = document.get("taxes", ())
    kept = [one for one in given if one.get("calculator", "").casefold() not in skipped]
    if len(kept) == len(given) and any("tax" in line for line in document["lines"]):
        return sum((Decimal(line.get("tax", "0")) for line in document["lines"]), Decimal(0))
    return cents(sum((Decimal(one["amount"]) for one in kept), Decimal(0))) if kept else None


def fits(document: Json) -> bool:
    """Whether each discount is one of what it is given on."""
    own = all(
        Decimal(line["discount"]["amount"]) <= max(gross(line), Decimal(0))
        for line in document["lines"]
        if "amount" in line.get("discount", {})
    )
    return own and (
        "amount" not in (document.get("discount") or {})
        or document_discount(document) <= max(lines_net(document), Decimal(0))
    )


def steepest(line: Json, document: Json) -> Decimal:
    """How much in percent is off the line's price, its part of the document's discount included."""
    whole = gross(line)
    own = Decimal((line.get("discount") or {}).get("percent", "0"))
    return (whole - share(line, document)) * 100 / whole if whole else own
