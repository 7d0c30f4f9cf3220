"""Files on tickets: taken as base64 or as a data URI, listed without their bytes, answered as bytes by id."""

import base64
import binascii
import mimetypes
import re
from collections.abc import Mapping
from typing import Any

from sandbox.errors import Answer, broken_reference, rule_error, text_error
from sandbox.instance import Instance
from sandbox.state import Values

CONTENT = "data_base64"
UNKNOWN = "application/octet-stream"
DATA_URI = re.compile(r"data:([^;,]*)(?:;[^,]*)?;base64,")


def saved(instance: Instance, before: Values | None, element: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a file on a ticket, or on another record by `type` and `unique_id`."""
    values = {**(before or {"datecreated": instance.now()}), **element}
    values.pop("new_external_link", None)
    if not values.get("filename"):
        raise rule_error("Please enter a file name")
    if not values.get("ticket_id") and not (values.get("type") is not None and values.get("unique_id")):
        raise rule_error("An Attachment needs a Ticket or another record")
    if values.get("ticket_id") and instance.store.values("Faults", values["ticket_id"]) is None:
        raise broken_reference("atfaultid", "ATTACHMENT")
    if CONTENT in element:
        values |= content(element[CONTENT], values["filename"])
    if not values.get(CONTENT):
        raise rule_error("The Attachment has no content")
    values["last_updated"] = instance.now()
    return values


def content(sent: str, filename: str) -> dict[str, Any]:
    """What is kept of the bytes that were sent. Raises RefusalError for what is no base64."""
    uri = DATA_URI.match(sent)
    text = sent[uri.end() :] if uri else sent
    try:
        size = len(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise rule_error("The input is not a valid Base-64 string") from None
    kind = (uri[1] if uri else "") or mimetypes.guess_type(filename)[0] or UNKNOWN
    return {CONTENT: text, "content_type": kind, "filesize": size}


def check_owner(query: Mapping[str, str]) -> None:
    """Raises RefusalError for a list of nobody's files."""
    if not query.get("ticket_id") and not (query.get("type") and query.get("unique_id")):
        raise text_error("ticket_id, or type and unique_id, must be specified")


def download(values: Values) -> Answer:
    """The file itself, which is what a GET by id answers."""
    return Answer(200, base64.b64decode(values[CONTENT]), values.get("content_type") or UNKNOWN)
