"""The events that the command line itself publishes: every operator action is one."""

import datetime as dt
import getpass
import os
import uuid

import msgspec

from hub.bus.records import Outgoing
from schemas.envelope import Envelope
from schemas.registry import encode
from services.ingest.log import record_of

SOURCE = "/hub/cli"


def who() -> str:
    """Who acts, for the record: the user and machine that run the command."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{os.uname().nodename}"


def action(
    event_type: str,
    tenant: str,
    subject: str,
    data: msgspec.Struct,
    *,
    causationid: str | None = None,
    id_begins: str = "",
) -> tuple[str, Outgoing]:
    """The id and the record of one event of ours, made now."""
    id_ = f"{id_begins}{uuid.uuid4()}"
    envelope = Envelope(
        id=id_,
        source=SOURCE,
        type=event_type,
        subject=subject,
        time=dt.datetime.now(dt.UTC),
        tenant=tenant,
        correlationid=causationid or id_,
        causationid=causationid,
    )
    return id_, record_of(envelope, encode(data))
