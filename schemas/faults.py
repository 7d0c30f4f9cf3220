"""All the faults of a message at once: msgspec stops at the first, so a bad one is read again with its JSON Schema."""

from __future__ import annotations

import functools
import re
from typing import Any

import jsonschema
import msgspec

from schemas import documents
from schemas.envelope import Fault
from schemas.quotes import unsaid_faults
from schemas.registry import SOURCE_TYPES, decode

MAX_FAULTS = 100
MAX_DEPTH = 20
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
    instance = msgspec.json.decode(value)
    found = {
        Fault(error.json_path.removeprefix("$").removeprefix("."), error.message[:500])
        for error in _validator(event_type).iter_errors(instance)
    }
    found |= {Fault(at, problem) for at, problem in unsaid_faults(instance)}
    problem, _, path = str(first).partition(" - at `")
    told = Fault(path.rstrip("`").removeprefix("$").removeprefix("."), problem)
    # A rule about the document as a whole has been told above, at its proper place.
    if not found or (told.at and not any(fault.at == told.at for fault in found)):
        found.add(told)
    return tuple(sorted(found)[:MAX_FAULTS])


@functools.cache
def _validator(event_type: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(
        documents.json_schema(event_type), format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
