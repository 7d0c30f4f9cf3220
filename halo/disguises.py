"""The forms in which a secret turns up in text: as it is, or as whatever carried it has escaped or encoded it. Pure.

This module is in `halo` and in `hub.telemetry` alike, since neither may import the other; a test holds them equal.
Known are URL encoding (also twice), JSON and HTML escapes (also within each other), base64 (both alphabets, at any
place in what was encoded, as in a Basic header) and hexadecimal digits.
"""

import base64
import re
from html.entities import codepoint2name
from itertools import chain

MIN_SECRET_CHARS = 4
"""A shorter "secret" would blank out half of every text."""
_MIN_ENCODED_BYTES = 6
_WORDS = re.compile(r"[A-Za-z0-9]+")
_ESCAPES = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_OF_URLS = {"+": "-", "/": "_"}
# What begins an escape may be escaped in its turn. Repetitions are bounded: no text makes this slow.
_AMPERSAND = r"(?:&(?:amp;){0,4}|\\{1,16}u0026)"
_BACKSLASH = rf"(?:\\|%(?:25){{0,3}}5[cC]|{_AMPERSAND}(?:#92|#[xX]5[cC]|bsol);)"


def marks_of(secret: str) -> tuple[str, ...]:
    """Pieces, one of which stands in every text that holds the secret in any form: cheap to look for.

    No encoder changes letters and digits, so each form's longest run of them will do; "" when it has none.
    """
    forms = chain(
        [secret], _base64_cores(secret), *((digits, digits.upper()) for digits in _hex_digits(secret))
    )
    return tuple(max(_WORDS.findall(form), key=len, default="") for form in forms)


def pattern_of(secret: str) -> re.Pattern[str]:
    """Finds the secret in each of its forms."""
    plain = "".join(map(_character, secret))
    encoded = (
        "".join(map(_base64_character, core)) + r"(?:[\w+/-]={1,2})?" for core in _base64_cores(secret)
    )
    return re.compile("|".join([plain, *encoded, *(f"(?i:{digits})" for digits in _hex_digits(secret))]))


def hidden(text: str, secret: str, instead: str) -> str:
    """The text with `instead` for each occurrence of the secret; one of under four characters stays."""
    if len(secret) < MIN_SECRET_CHARS or not any(mark in text for mark in marks_of(secret)):
        return text
    return pattern_of(secret).sub(lambda _: instead, text)


def _hex_digits(secret: str) -> list[str]:
    raw = _bytes(secret)
    return [raw.hex()] if len(raw) >= _MIN_ENCODED_BYTES else []


def _base64_cores(secret: str) -> list[str]:
    """What is the same in base64 whatever stands before and after: one text for each place in a group of three."""
    raw = _bytes(secret)
    if len(raw) < _MIN_ENCODED_BYTES:
        return []
    cores = []
    for before in range(3):
        text = base64.b64encode(bytes(before) + raw).decode()
        cores.append(text[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return cores


def _base64_character(character: str) -> str:
    other = _OF_URLS.get(character)
    return _character(character) if other is None else f"(?:{_character(character)}|{re.escape(other)})"


def _character(character: str) -> str:
    """One character in each of its escapes."""
    if character.isascii() and character.isalnum():
        return character
    code = ord(character)
    units = character.encode("utf-16-be", "surrogatepass")
    name = "apos" if character == "'" else codepoint2name.get(code, "#")
    forms = [
        re.escape(character),
        _percent(_bytes(character)),
        rf"{_AMPERSAND}(?:#(?:0{{0,6}}{code}|[xX]0{{0,6}}(?i:{code:x}))|{name});",
    ]
    if code < 256:
        forms.append(_percent(bytes([code])))
    if character == " ":
        forms.append(r"\+")
    escapes = [f"u(?i:{units[at : at + 2].hex()})" for at in range(0, len(units), 2)]
    escaped = [f"{_BACKSLASH}{{1,16}}".join(["", *escapes])]
    if character in _ESCAPES:
        escaped.append(f"{_BACKSLASH}{{1,16}}{_ESCAPES[character]}")
    escaped.append(f"{_BACKSLASH}{{0,16}}(?:{'|'.join(forms)})")
    return f"(?:{'|'.join(escaped)})"


def _percent(raw: bytes) -> str:
    return "".join(f"%(?:25){{0,3}}(?i:{byte:02x})" for byte in raw)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
