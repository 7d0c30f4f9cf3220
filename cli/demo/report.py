"""What the demo found out, as tables for people and as one document for scripts."""

import datetime as dt
from collections import Counter
from collections.abc import Sequence
from typing import Any

from cli.demo.course import Result
from cli.demo.place import Place
from cli.demo.verify import Check, money, number_of
from cli.output import print_table, say
from cli.story import Happening
from schemas.outcomes import DeadLetter

_WIDEST_FAULTS = 12


def show(result: Result) -> None:
    """Everything, in the order in which a person asks: what is there, what is not and why, at what price, is it so."""
    rows = quotes_in_halo(result)
    say("")
    print_table(
        ("quote", "Halo id", "opp.", "client", "status", "net"),
        [tuple(row[name] for name in _SHOWN) for row in rows],
        title=f"{len(rows)} quotes in Halo",
    )
    _show_not_written(result)
    used = requests_used(result.requests)
    say(
        f"\nHalo requests used: {used['total']} for {len(rows)} quotes, and {used['tokens']} for tokens",
        style="bold",
    )
    say(", ".join(f"{count} {call}" for call, count in used["calls"].items()))
    _show_story(result)
    _show_verdict(result)


_SHOWN = ("quote", "halo_id", "opportunity_id", "client", "status", "net")


def quotes_in_halo(result: Result) -> list[dict[str, Any]]:
    """A row for each quote that is in the sandbox."""
    clients = result.halo.by_id("Client")
    return [
        {
            "quote": number_of(str(row.get("title"))),
            "title": row.get("title"),
            "halo_id": row["id"],
            "opportunity_id": row.get("ticket_id"),
            "client": clients.get(int(row.get("client_id") or 0), {}).get("name"),
            "client_id": int(row.get("client_id") or 0),
            "status": result.halo.statuses.get(row.get("status")),
            "lines": len(row.get("lines") or ()),
            "net": str(money(row.get("revenue"))),
            "tax": str(money(row.get("tax_total"))),
        }
        for row in sorted(result.halo.new("Quotation"), key=lambda row: str(row.get("title")))
    ]


def not_written(result: Result) -> list[dict[str, Any]]:
    """What ended otherwise, with its reason: refused over HTTP, set aside by the mapper, rejected by the writer."""
    faults = [f"{fault['at']} {fault['problem']}" for fault in result.refusal["faults"]]
    refused = {
        "quote": result.day.refused["subject"],
        "where": "ingest",
        "reason": f"refused with {result.refusal['status']}",
        "message": "; ".join(faults),
        "fix": "correct the event and publish it again",
    }
    return [refused, *(_letter(letter) for letter in result.ledger.dead_letters)]


def _letter(letter: DeadLetter) -> dict[str, Any]:
    return {
        "quote": letter.subject,
        "where": letter.stage,
        "reason": letter.reason,
        "message": letter.message.removeprefix(": "),
        "fix": letter.fix,
    }


def requests_used(requests: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Requests to Halo since the first event, from the sandbox's own log."""
    calls = Counter(
        f"{entry['method']} /{entry['path'].strip('/').split('/')[0]}"
        for entry in requests
        if entry["kind"] == "api"
    )
    tokens = sum(entry["kind"] == "token" for entry in requests)
    return {"total": calls.total(), "tokens": tokens, "calls": dict(calls.most_common())}


def document(result: Result) -> dict[str, Any]:
    """All of it, for scripts."""
    killed = result.killed
    return {
        "ok": result.ok,
        "took_s": result.took_s,
        "published": {
            "deliveries": len(result.day.valid),
            "events": len(result.wanted.events),
            "quotes": len(result.wanted.opportunities),
            "customers": len(
                {event["data"]["customer"]["id"] for event in result.day.morning if "lines" in event["data"]}
            ),
            "refused": 1,
            "straight_to_kafka": 1,
        },
        "checks": [
            {"about": c.about, "ok": c.ok, "expected": c.expected, "found": c.found, "faults": c.faults}
            for c in result.checks
        ],
        "killed": {
            "exit_code": killed.exit_code,
            "pid": killed.pid,
            "quote": killed.subject,
            "request": killed.request,
            "halo_id": killed.halo_id,
            "answered": killed.answered,
            "quotes_then": killed.quotes_then,
        },
        "quotes": quotes_in_halo(result),
        "not_written": not_written(result),
        "requests": requests_used(result.requests),
        "tenant_check": result.tenant_check,
        "story": result.story,
    }


def _show_not_written(result: Result) -> None:
    say("\nNot in Halo, and why", style="bold")
    for one in not_written(result):
        say(f"{one['quote']}  {one['where']}: {one['reason']}", style="yellow")
        say(f"        {one['message']}")
        if one["fix"]:
            say(f"        what to do: {one['fix']}")


def _show_story(result: Result) -> None:
    killed = result.killed
    say(
        f"\nThe story of {killed.subject}, in whose create the writer was killed (hub audit show)",
        style="bold",
    )
    for one in result.story:
        at = dt.datetime.fromtimestamp(one.at_ms / 1000, dt.UTC).strftime("%H:%M:%S.%f")[:-3]
        say("\n          ".join((f"{at}  {one.what}: {one.said}", *_requests(one))))


def _requests(one: Happening) -> Sequence[str]:
    return [
        f"{request.method} {request.path}: {'no answer' if request.status is None else request.status}"
        for request in one.details.get("requests", ())
    ]


def _show_verdict(result: Result) -> None:
    say("")
    rows = [("✓" if c.ok else "✗", c.about, c.expected, c.found) for c in result.checks]
    print_table(
        ("", "counted at the sandbox", "expected", "found"), rows, title="Nothing lost, nothing doubled?"
    )
    for check in result.checks:
        _show_faults(check)
    if result.ok:
        text = "Nothing was lost and nothing was doubled, though the writer was killed in the middle"
        say(f"{text} ({result.took_s:g} s).", style="bold green")
    else:
        say("Something was lost, doubled or left undone: see above.", style="bold red")


def _show_faults(check: Check) -> None:
    if check.ok:
        return
    shown = [f"  {fault}" for fault in check.faults[:_WIDEST_FAULTS]]
    if len(check.faults) > _WIDEST_FAULTS:
        shown.append(f"  and {len(check.faults) - _WIDEST_FAULTS} more (--json has all)")
    say("\n".join([f"{check.about}: {check.expected} expected, {check.found} found", *shown]), style="red")


def show_next(_place: Place) -> None:
    """Where to look after the demo."""
    say("\nWhere next", style="bold")
    say("  make demo ARGS=--stay   leaves all of this running, to publish one more quote and look around")
    say("  README.md               what the hub is; ARCHITECTURE.md is how it keeps its word")
    say("  docs/sandbox.md         try your own tenant's rules on the sandbox")


def how_to_go_on(place: Place) -> dict[str, str]:
    """Commands for another shell while the demo stays; `publish` works as it stands, as often as it is run."""
    variables = f". {place.variables_file}"
    return {
        "publish": (
            f"curl -sS {place.events_url} -H @{place.token_file} "
            f"-H 'content-type: application/cloudevents+json' --data-binary @{place.one_more_file}"
        ),
        "story": f"{variables}; {place.hub} audit show {place.one_more}",
        "dead_letters": f"{variables}; {place.hub} dlq list",
        "halo": f"curl -sS '{place.sandbox}/_sandbox/state?resource=Quotation' | python3 -m json.tool | tail -60",
        "halo_log": f"curl -sS '{place.sandbox}/_sandbox/requests?method=POST' | python3 -m json.tool | tail -60",
    }


def show_stay(place: Place) -> None:
    """What can be done while everything stays."""
    ways = how_to_go_on(place)
    say("\nEverything stays until Ctrl-C. In another shell:", style="bold")
    for text, name in (
        (f"publish one more quote, {place.one_more} (its event is in {place.one_more_file})", "publish"),
        ("its story", "story"),
        ("the quotes as Halo has them", "halo"),
        ("what was asked of Halo", "halo_log"),
        ("what was set aside", "dead_letters"),
    ):
        say(f"\n  # {text}\n  {ways[name]}")
    say(f"\n  the tenant's rules: {place.tenant_file()} (a change is taken up as you save it)")
    say(f"  the logs: {place.directory}/*.log")
