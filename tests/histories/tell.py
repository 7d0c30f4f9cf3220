"""A case as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

from tests.histories.draw import Case, Sending


def told(case: Case) -> str:
    """The rules of its tenant, and what arrived, wave by wave."""
    setting = case.setting
    parts = [
        f"case {case.seed}: orders on approval {setting.order_on_approval}, status New {setting.has_new}",
        yaml.safe_dump(setting.sections, sort_keys=False, default_flow_style=None, width=120).rstrip(),
    ]
    wave = None
    for sending in case.sendings:
        if sending.wave != wave:
            wave = sending.wave
            parts.append(f"wave {wave}")
        parts += [f"  {text}" for text in _sending(sending)]
    return "\n".join(parts)


def _sending(sending: Sending) -> Iterator[str]:
    event = sending.event
    order = "by time" if event.revision is None else f"revision {event.revision}"
    why = "" if sending.why == "in order" else f", {sending.why}"
    data = {name: value for name, value in event.data.items() if name not in ("lines", "number")}
    yield f"{event.id} {event.kind} ({order}{why}) {json.dumps(data)}"
    for line in event.data.get("lines", ()):
        yield f"    {_line(line)}"


def _line(line: dict[str, Any]) -> str:
    rest = {name: value for name, value in line.items() if name not in ("id", "product", "quantity", "price")}
    more = f" {json.dumps(rest)}" if rest else ""
    known = "" if "id" not in line["product"] else f" [{line['product']['id']}]"
    return f"{line['id']}: {line['quantity']} x {line['price']} {line['product']['name']}{known}{more}"
