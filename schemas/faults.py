"""All the faults of a message at once: msgspec stops at the first, so a bad one is read again with its JSON Schema."""

from __future__ import annotations

import functools
import itertools
import re
from typing import Any

import jsonschema
import msgspec

from schemas import documents
from schemas.base import MAX_LINES
from schemas.envelope import Fault
from schemas.quotes import Line, unsaid_faults
from schemas.registry import SOURCE_TYPES, decode
from schemas.wanted import told

MAX_FAULTS = 100
MAX_DEPTH = 20
MAX_CHECKED_BYTES = 64 * 1024
"""Of what is read again with its JSON Schema, which takes a thousand times longer than a decode."""
_NOT_ALL = Fault("", "is too large for all its faults to be told at once: mend these and send it again")
_LINE = re.compile(r"^lines\[(\d+)\]")
# Possessive, and content with an unending string still matches: no input makes this take more than one pass.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


class DataInvalid(Exception):
    """The data don't fit their type's schema; `faults` lists all that is wrong, `reason` is the dead letter's code."""

    def __init__(self, reason: str, faults: tuple[Fault, ...]) -> None:
        self.reason = reason
        self.faults = faults
        super().__init__("; ".join(map(str, faults)))


def decode_source(event_type: str, value: bytes) -> Any:
    """The data of a source event; a valid one pays for one msgspec decode only. Raises DataInvalid with every fault."""
    if event_type not in SOURCE_TYPES:
        known = ", ".join(sorted(SOURCE_TYPES))
        raise DataInvalid(
            "type.unknown", (Fault("type", f"{event_type!r} is no source event; known are {known}"),)
        )
    try:
        return decode(event_type, value)
    except msgspec.ValidationError as error:
        raise DataInvalid("data.invalid", _faults(event_type, value, error)) from None
    except RecursionError:
        raise too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataInvalid("data.not_json", (Fault("", f"is not JSON: {error}"),)) from None


def too_deep() -> DataInvalid:
    return DataInvalid("data.too_deep", (Fault("", f"is nested deeper than {MAX_DEPTH} levels"),))


def depth(value: bytes) -> int:
    """How deep brackets nest, strings aside, without parsing: a parser may fall over what this is to refuse."""
    deepest = level = 0
    for token in _STRING_OR_BRACKET.finditer(value):
        byte = token.group()
        if byte in (b"{", b"["):
            level += 1
            deepest = max(deepest, level)
        elif byte in (b"}", b"]"):
            level -= 1
    return deepest


def _faults(event_type: str, value: bytes, first: msgspec.ValidationError) -> tuple[Fault, ...]:
    problem, _, path = str(first).partition(" - at `")
    first_told = Fault(_place(path.rstrip("`")), problem)
    try:
        instance = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The first look skips what it doesn't ask for: there a number may be too large, a name no UTF-8.
        return (first_told,)
    doubtful, places, found = _doubtful(instance)
    if _size(doubtful) > MAX_CHECKED_BYTES:
        return (first_told, _NOT_ALL)
    errors = itertools.islice(_validator(event_type).iter_errors(doubtful), MAX_FAULTS)
    found |= {
        Fault(_placed(_place(path), places), problem[:500])
        for error in errors
        for path, problem in told(error)
    }
    found |= {Fault(at, problem) for at, problem in itertools.islice(unsaid_faults(instance), MAX_FAULTS)}
    # A rule about the document as a whole has been told above, at its proper place.
    told_there = any(_without_quotes(fault.at) == first_told.at for fault in found)
    if not found - {_NOT_ALL} or (first_told.at and not told_there):
        found.add(first_told)
    return tuple(sorted(found)[:MAX_FAULTS])


def _doubtful(document: Any) -> tuple[Any, list[int], set[Fault]]:
    """The document without the lines that are right, where the lines that are left stood in it, and what to say.

    What one faulty event takes, all that come behind it wait for: of very many wrong lines the first are enough.
    Raises DataInvalid when there are too many lines.
    """
    lines = document.get("lines") if isinstance(document, dict) else None
    if not isinstance(lines, list):
        return document, [], set()
    if len(lines) > MAX_LINES:
        fault = Fault("lines", f"has {len(lines)} elements, of {MAX_LINES} at most")
        raise DataInvalid("data.too_large", (fault,))
    wrong = list(itertools.islice((n for n, line in enumerate(lines) if not _is_line(line)), MAX_FAULTS))
    sizes = itertools.accumulate(_size(lines[place]) for place in wrong)
    places = [place for place, size in zip(wrong, sizes, strict=True) if size <= MAX_CHECKED_BYTES // 2]
    left = {**document, "lines": [lines[place] for place in places]}
    return left, places, set() if places == wrong else {_NOT_ALL}


def _is_line(value: Any) -> bool:
    try:
        msgspec.convert(value, Line)
    except msgspec.ValidationError:
        return False
    return True


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value))


def _place(path: str) -> str:
    return path.removeprefix("$").removeprefix(".")


def _without_quotes(at: str) -> str:
    """A path as msgspec has it, where a key with a dot in it stands as it is."""
    return at.replace("['", ".").replace("']", "")


def _placed(at: str, places: list[int]) -> str:
    """A path into the doubtful lines as one into all of them."""
    return _LINE.sub(lambda match: f"lines[{places[int(match[1])]}]", at)


@functools.cache
def _validator(event_type: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        documents.json_schema(event_type), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
