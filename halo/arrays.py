"""What one answer to an array of records says of each of them. Pure, and cautious: in doubt it says nothing.

Nobody documents what Halo does with an array of which it refuses a part, so any refusal leaves a doubt about each
element. Only what came before anything was looked at (no connection, no token, the rate limit) surely did nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from halo.outcomes import Outcome
from halo.reply import Reply
from halo.wire import as_id

Row = dict[str, Any]


def of_elements(reply: Reply, elements: Sequence[Row]) -> list[Reply]:
    """The reply to an array as one for each of its elements, in their order; all share its request lines."""
    told = [_with_place(reply, place, len(elements)) for place in range(len(elements))]
    match reply.outcome:
        case Outcome.APPLIED:
            records = identified(elements, reply.body)
            return [_of_record(one, record) for one, record in zip(told, records, strict=True)]
        case outcome if outcome is Outcome.THROTTLED or reply.status is None:
            return told
        case _:
            # A missing right may be found at one element, after those before it were stored.
            return [
                one.as_ambiguous(reply.text or f"Halo answered {reply.status} to an array") for one in told
            ]


def identified(elements: Sequence[Row], body: Any) -> list[Row | None]:
    """For each element the record of the answer that surely is its own; None where that can't be told.

    An update is known by its id. A create is known by its place, if the answer has a record for every place and
    this one repeats a text of the element that no other element has.
    """
    rows = body if isinstance(body, list) else [body]
    ids = [_id(row) for row in rows]
    seen = Counter(ids)
    by_id = {halo_id: row for halo_id, row in zip(ids, rows, strict=True) if seen[halo_id] == 1}
    sent = {halo_id for element in elements if (halo_id := as_id(element.get("id"))) is not None}
    whole = len(rows) == len(elements)
    found: list[Row | None] = []
    for place, element in enumerate(elements):
        wanted = as_id(element.get("id"))
        if wanted is not None:
            found.append(by_id.get(wanted))
            continue
        made = ids[place] if whole else None
        known = made is not None and made not in sent and seen[made] == 1
        found.append(rows[place] if known and _repeats(rows[place], element, elements) else None)
    return found


def _repeats(row: Row, element: Row, elements: Sequence[Row]) -> bool:
    texts = {name: value for name, value in element.items() if isinstance(value, str) and value}
    telling = (name for name, value in texts.items() if sum(one.get(name) == value for one in elements) == 1)
    return any(row.get(name) == texts[name] for name in telling)


def _id(row: Any) -> int | None:
    try:
        return as_id(row.get("id")) if isinstance(row, dict) else None
    except ValueError:
        return None


def _with_place(reply: Reply, place: int, elements: int) -> Reply:
    lines = tuple(replace(line, place=place, elements=elements) for line in reply.lines)
    return replace(reply, lines=lines)


def _of_record(reply: Reply, record: Row | None) -> Reply:
    if record is None:
        return reply.as_ambiguous("the answer to the array does not tell this record")
    return replace(reply, body=record)
