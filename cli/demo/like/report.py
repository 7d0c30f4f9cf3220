"""What came of an example: for each quote what was sent and what Halo now has, as a person would check it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cli.demo.day import Event
from cli.demo.like.compare import EVERYTHING, Compared
from cli.demo.like.course import Played, Result
from cli.demo.place import Place
from cli.demo.report import requests_used
from cli.output import print_table, say

_STORED = {
    "quote.published.v1": "published",
    "quote.updated.v1": "updated",
    "opportunity.upserted.v1": "opportunity",
    "product.upserted.v1": "product",
}


def show(played: Played) -> None:
    """Every example with its quotes, then every difference, then the verdict."""
    for result in played.results:
        _show_example(result)
    for result in played.results:
        _show_faults(result)
    count = sum(len(result.example.expected["quotes"]) for result in played.results)
    if played.ok:
        say(
            f"\nHalo holds what is expected of each of the {count} quotes ({played.took_s:g} s).",
            style="bold green",
        )
    else:
        say("\nHalo does not hold what is expected: see above.", style="bold red")


def document(played: Played) -> dict[str, Any]:
    """All of it, for scripts."""
    return {
        "ok": played.ok,
        "took_s": played.took_s,
        "examples": [
            {
                "like": result.example.name,
                "tenant": result.example.tenant,
                "ok": result.ok,
                "events": len(result.example.events),
                "faults": result.unended,
                "quotes": [
                    {
                        "quote": one.name,
                        "shows": one.shows,
                        "ok": one.ok,
                        "sent": sent(one.name, result),
                        "halo": one.found,
                        "faults": one.faults,
                    }
                    for one in result.compared
                ],
                "requests": requests_used(result.requests),
            }
            for result in played.results
        ],
    }


def sent(number: str, result: Result) -> list[str]:
    """The quote's events in the order of their deliveries, in a word or two each."""
    return [_word(event) for event in result.example.quotes.get(number, ())]


def _word(event: Event) -> str:
    data, revision = event["data"], event.get("revision")
    match event["type"]:
        case "quote.status_changed.v1":
            word = str(data["status"])
        case "quote.converted.v1":
            word = f"converted to {data['to']}"
        case "question.answered.v1":
            word = f"answered {data['choice']}"
        case other:
            word = _STORED.get(other, str(other))
    return word if revision is None else f"{word} ({revision})"


def _show_example(result: Result) -> None:
    rows = [
        (
            "✓" if one.ok else "✗",
            one.name,
            one.shows,
            "\n".join(sent(one.name, result)),
            "\n".join(_in_halo(one.found)),
        )
        for one in result.compared
        if one.name != EVERYTHING
    ]
    say("")
    title = f"{len(rows)} quotes like {result.example.name}'s, each counted at the sandbox"
    print_table(("", "quote", "shows", "sent", "Halo now has"), rows, title=title, whole=("quote",))
    beside = result.compared[-1].found
    new = [
        ("clients", ", ".join(beside["clients"])),
        ("leads", ", ".join(beside["leads"])),
        ("contacts", ", ".join(beside["contacts"])),
        ("products, new or changed", ", ".join(beside["items"])),
    ]
    say("\n".join(f"new {what}: {names or 'none'}" for what, names in new))
    used = requests_used(result.requests)
    say(f"Halo requests used: {used['total']}, and {used['tokens']} for tokens", style="bold")


def _in_halo(found: Mapping[str, Any]) -> Iterator[str]:
    opportunity = found["opportunity"]
    if opportunity is None:
        yield "nothing"
    else:
        lead = f", under the lead {opportunity['lead']}" if opportunity["lead"] else ""
        number = f", PO {opportunity['po_number']}" if opportunity["po_number"] else ""
        yield f"client {found['client']}{lead}"
        carries = f", {_count(opportunity['products'], 'product')}" if opportunity["products"] else ""
        yield f"opportunity {opportunity['status']}, {opportunity['value']}{number}{carries}"
    for quote in found["quotes"]:
        lines = _count(quote["lines"], "line")
        yield f"quote {quote['status']}, {lines}, {quote['net']} net, {quote['total']} total"
    for order in found["orders"]:
        yield f"sales order, {_count(order['lines'], 'line')}, {order['total']}"
    for name in ("asked", "rejected", "told"):
        if found[name]:
            yield f"{name}: {', '.join(found[name])}"


def _count(of: Sequence[str], what: str) -> str:
    return f"{len(of)} {what}{'' if len(of) == 1 else 's'}"


def _show_faults(result: Result) -> None:
    for fault in result.unended:
        say(f"{result.example.name}: {fault}", style="red")
    for one in _wrong(result):
        say(f"{result.example.name}, {one.name}:", style="bold red")
        say("\n".join(f"  {fault}" for fault in one.faults), style="red")


def _wrong(result: Result) -> list[Compared]:
    return [one for one in result.compared if not one.ok]


def show_stay(place: Place, played: Played) -> None:
    """What can be done while everything stays."""
    first = played.results[0].example
    quote = next(iter(first.expected["quotes"]))
    variables = f". {place.variables_file}"
    ways = [
        (f"the story of {quote}", f"{variables}; {place.hub} audit show {quote} --tenant {first.tenant}"),
        ("what was asked", f"{variables}; {place.hub} decisions list --all"),
        (
            "the quotes as Halo has them",
            f"curl -sS '{place.sandbox}/_sandbox/state?instance={first.name}&resource=Quotation'",
        ),
    ]
    say("\nEverything stays until Ctrl-C. In another shell:", style="bold")
    for text, command in ways:
        say(f"\n  # {text}\n  {command}")
    for result in played.results:
        say(
            f"\n  the rules: {place.tenant_file(result.example.tenant)} (a change is taken up as you save it)"
        )
    say(f"  the logs: {place.directory}/*.log")
