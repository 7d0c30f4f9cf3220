"""Reads Halo's words out of its error bodies, and knows the fix for some of them. Pure.

Halo answers 400 in three shapes: `{"<json path>": ["message", ...]}` for a value of the wrong type, a
serialised .NET exception whose `Message` is the text, and a bare JSON string. Clients have also met
`{resultCode, errorMessage}`, `{Message}` and `{error}`; a gateway answers with a page.
"""

import re
from typing import Any

MAX_TEXT_CHARS = 1000
"""What is cut off here must have been redacted before: half a secret is one that nobody recognises."""
_TAGS = re.compile(r"<(script|style|head)\b.*?</\1\s*>|<[^>]*>", re.IGNORECASE | re.DOTALL)

_TARGET_DATE = (
    "Halo wants a target date on the opportunity: in Configuration > Tickets > Opportunity Types, edit the type, and "
    "under Field List > Target Date set what is Visible - Required to Visible - Not Required"
)
_FIXES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), fix)
    for pattern, fix in (
        (
            r"populate main contact|main contact (?:details|name)",
            (
                "Halo wants a main contact with a new client: switch off Configuration > Users > General "
                'Settings, "Make main contact details compulsory", or send a contact with the customer'
            ),
        ),
        (
            r"ongoing appointment|appointments?\b.*\b(?:clash|overlap|assign)",
            (
                "Halo asks about the agent's appointments, and nobody is there to answer: switch off Configuration > "
                'Tickets > General Settings, "When reassigning Tickets to Agents, check for ongoing Appointments"'
            ),
        ),
        (r"(?:mandatory|required) fields?\W*target date\W*$", _TARGET_DATE),
        (
            r"(?:mandatory|required) fields?\b\W*(?P<names>.*\w)",
            (
                "the ticket type wants fields that the hub doesn't fill ({names}): in Configuration > Tickets > "
                "Opportunity Types, edit the type, and under Field List set them to Visible - Not Required"
            ),
        ),
        (
            (
                r"target date\b.*\b(?:mandatory|required|blank|must|populate|complete)"
                r"|\b(?:mandatory|required|must|populate|complete|enter)\b.*\btarget date"
            ),
            _TARGET_DATE,
        ),
        (
            r"\(515\).*?column '(?P<name>[^']+)'",
            "Halo's table needs the field {name} and has no default for it: send a value for {name}",
        ),
        (r"\(515\)", "Halo's table needs a field that was not sent: send it"),
        (
            r"could not convert|could not be converted|error converting value|^.*the value '.*' is not valid",
            "a value has the wrong type for its field: correct the rule or the value that the text names",
        ),
        (
            r"invalid advanced search parameter",
            "this Halo does not filter on that field: use another match key for it",
        ),
        (
            r"an outcome must be entered",
            "an action needs an outcome: give the outcome that the rules should use",
        ),
        (
            r"you don't have access",
            "the agent that the application signs in as lacks this right: extend its role in Halo",
        ),
        (
            r"select a start step",
            "the ticket type's workflow has no start step: set one in Halo, under its workflow",
        ),
        (
            r"must not be blank|is mandatory|must be specified|must be included",
            "Halo wants the field that the text names: send a value for it",
        ),
        (
            r"records cannot be edited",
            "Halo only lets these records be added: correct the record in Halo by hand",
        ),
    )
)


def error_text(body: Any) -> str:
    """Halo's own words in a decoded error body (or in a raw text), on one line, cut to `MAX_TEXT_CHARS`."""
    text = " ".join(_words(body).split())
    return text if len(text) <= MAX_TEXT_CHARS else text[: MAX_TEXT_CHARS - 1] + "…"


def known_fix(text: str) -> str | None:
    """What to do about a text that Halo is known to answer, or None."""
    for pattern, fix in _FIXES:
        if found := pattern.search(text):
            return fix.format(**found.groupdict())
    return None


def _words(body: Any) -> str:
    if isinstance(body, str):
        return _TAGS.sub(" ", body) if body.lstrip().startswith("<") else body
    if isinstance(body, list):
        return "; ".join(filter(None, map(_words, body)))
    if isinstance(body, dict):
        return _words_of_object(body)
    return "" if body is None else str(body)


def _words_of_object(body: dict[str, Any]) -> str:
    match body:
        case {"Message": str(text)} | {"message": str(text)} if text:
            return text
        case {"errorMessage": str(text), "resultCode": code} if text:
            return f"{text} (result code {code})"
        case {"errorMessage": str(text)} if text:
            return text
        case {"error": str(error), "error_description": str(text)} if text:
            return f"{error}: {text}"
        case {"error": str(error)} if error:
            return error
        case _:
            return "; ".join(f"{name}: {_words(value)}" for name, value in body.items() if value)
