"""Draws whole quotes and their later revisions, as the JSON that a producer publishes."""

from __future__ import annotations

import random
from typing import Any

from tests.histories.ground import BY_KEY, KNOWN_CLIENTS, NEW_COMPANIES, ODD_PRODUCTS, PICKS, PRODUCTS
from tests.histories.rules import chance

Json = dict[str, Any]
_PRICES = ("949", "18.10", "2.5", "0.333333", "1250.07", "99.99", "0", "12.345", "7")
_QUANTITIES = ("1", "1", "2", "3", "5", "12", "0.5", "1.75", "250", "1")
_COSTS = (None, "5", "0.21", "760")
_ODD = 0.05


def first(rng: random.Random, quote: str) -> Json:
    """A quote when it is first published."""
    document: Json = {
        "title": f"{quote} a",
        "customer": customer(rng),
        "lines": [_line(rng, number) for number in range(1, rng.choice((1, 2, 2, 3, 4)) + 1)],
        "number": f"N-{quote}",
    }
    if chance(rng, 0.5):
        name = document["customer"]["name"]
        known = {client.name: client for client in KNOWN_CLIENTS}.get(name)
        document["contact"] = (
            {"name": known.contact, "email": known.email}
            if known is not None and chance(rng, 0.6)
            else {"name": f"Buyer of {name}", "email": f"buyer@{name.split()[0].lower()}.example"}
        )
    if chance(rng, 0.3):
        document["opportunity"] = rng.choice(
            ({"new": True}, {"halo_id": rng.choice(PICKS)}, {"halo_id": PICKS[0]}, {"id": "OPP-1"})
        )
    _amounts(rng, document)
    _terms(rng, document)
    _bundle(rng, document)
    return document


def revised(rng: random.Random, before: Json, title: str) -> Json:
    """A later revision of a quote: some of its lines, amounts and terms are others."""
    document = {name: value for name, value in before.items() if name not in ("status", "opportunity")}
    document["title"] = title
    lines = [dict(line) for line in before["lines"]]
    for line in lines:
        line.pop("bundle", None)
    for _ in range(rng.choice((1, 1, 2, 3))):
        _change(rng, lines)
    document["lines"] = lines
    if chance(rng, 0.4):
        for name in ("discount", "taxes", "shipping", "currency"):
            document.pop(name, None)
        _amounts(rng, document)
    if not lines:
        # Without a line there is nothing that a tax could be on.
        document.pop("taxes", None)
    if chance(rng, 0.3):
        _terms(rng, document)
    if chance(rng, 0.08):
        document["opportunity"] = rng.choice(({"new": True}, {"halo_id": rng.choice(PICKS)}, {"id": "OPP-1"}))
    _bundle(rng, document)
    return document


def customer(rng: random.Random) -> Json:
    if chance(rng, 0.5):
        client = rng.choice(KNOWN_CLIENTS)
        found: Json = {"name": client.name}
        if chance(rng, 0.3):
            found["halo_id"] = client.id
        return found
    name = rng.choice(NEW_COMPANIES)
    found = {"name": name}
    if chance(rng, 0.5):
        found["id"] = f"c-{name.split()[0].lower()}"
    if chance(rng, 0.3):
        found["address"] = {"street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA"}
    return found


def _change(rng: random.Random, lines: list[Json]) -> None:
    """One change that a person makes to the lines."""
    what = rng.choice(("add", "add", "drop", "reorder", "quantity", "price", "discount", "product", "plain"))
    if what == "add" or not lines:
        number = max((int(line["id"][1:]) for line in lines), default=0) + rng.choice((1, 1, 2))
        lines.insert(rng.randint(0, len(lines)), _line(rng, number))
        return
    place = rng.randrange(len(lines))
    line = lines[place]
    match what:
        case "drop":
            # Now and then the last line of all goes, too.
            if len(lines) > 1 or chance(rng, 0.2):
                del lines[place]
        case "reorder":
            lines.insert(0, lines.pop())
        case "quantity":
            line["quantity"] = rng.choice(_QUANTITIES)
        case "price":
            line["price"] = rng.choice(_PRICES)
        case "discount":
            line.pop("discount", None)
            _discount(rng, line)
        case "product":
            lines[place] = {**_line(rng, 1), "id": line["id"]}
        case "plain":
            for name in ("cost", "discount", "tax", "description"):
                line.pop(name, None)


def _line(rng: random.Random, number: int) -> Json:
    product = rng.choice(ODD_PRODUCTS) if chance(rng, _ODD) else rng.choice(PRODUCTS)
    fields = dict(product.fields)
    if product.key == "gadget" and chance(rng, 0.4):
        fields["id"] = "p-gadget"
    line: Json = {
        "id": f"l{number}",
        "product": fields,
        "quantity": rng.choice(_QUANTITIES),
        "price": rng.choice(_PRICES),
    }
    frequency = rng.choice(product.frequencies)
    if frequency is not None:
        line["frequency"] = frequency
    cost = rng.choice(_COSTS)
    if cost is not None:
        line["cost"] = cost
    if chance(rng, 0.2):
        line["description"] = f"{product.name}, as agreed"
    _discount(rng, line)
    return line


def _discount(rng: random.Random, line: Json) -> None:
    """The bargain's item allows 15 % at most: what is drawn is well below that, or far too much."""
    if chance(rng, 0.6):
        return
    if line["product"]["name"] == BY_KEY["bargain"].name:
        line["discount"] = {"percent": "40" if chance(rng, 0.15) else "2.5"}
    elif chance(rng, 0.6):
        line["discount"] = {"percent": rng.choice(("10", "7.5", "33.33", "100", "0"))}
    else:
        # A cent off a line that comes to nothing doesn't fit: such a document is faulty.
        line["discount"] = {"amount": rng.choice(("0.01", "0.1", "0.05"))}


def _amounts(rng: random.Random, document: Json) -> None:
    if chance(rng, 0.3):
        document["discount"] = rng.choice(
            ({"percent": "5"}, {"percent": "3.33"}, {"amount": "0.02"}, {"amount": "0.1"}, {"percent": "0"})
        )
    for line in document["lines"]:
        line.pop("tax", None)
    if document["lines"] and chance(rng, 0.5):
        if chance(rng, 0.6):
            document["taxes"] = [{"name": "VAT", "amount": rng.choice(("189.80", "0.01", "33.33"))}]
            if chance(rng, 0.3):
                document["taxes"].append({"name": "City", "amount": "4.44", "calculator": "Avalara"})
        else:
            for line in document["lines"]:
                if chance(rng, 0.8):
                    line["tax"] = rng.choice(("0.50", "3.33", "0"))
    if chance(rng, 0.35):
        document["shipping"] = rng.choice(("12.50", "9.99", "0"))
    if chance(rng, 0.4):
        document["currency"] = "Doubloon" if chance(rng, 0.1) else rng.choice(("GBP", "EUR", "USD"))


def _terms(rng: random.Random, document: Json) -> None:
    document["po_number"] = rng.choice(("PO-1", "PO-2", " "))
    document["custom"] = {"customer_po": rng.choice(("C-10", "C-11", ""))}
    if chance(rng, 0.3):
        del document[rng.choice(("po_number", "custom"))]
    if chance(rng, 0.3):
        document["note"] = "with thanks"


def _bundle(rng: random.Random, document: Json) -> None:
    lines = document["lines"]
    if len(lines) > 1 and chance(rng, 0.25):
        head, *parts = rng.sample(range(len(lines)), min(len(lines), rng.choice((2, 3))))
        for part in parts:
            lines[part]["bundle"] = lines[head]["id"]
