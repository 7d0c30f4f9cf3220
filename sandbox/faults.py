"""Misbehaviour armed per request: which request it meets, what it does to it.

store_then_drop    apply, then close the connection without a reply
drop_then_store    close the connection at once, apply `delay_s` later
error_after_store  apply, then answer `status` (500) with `answer` (nothing)
error              answer `status` with `answer`, do not apply
throttle           answer 429 (with Retry-After when `retry_after_s` is given), do not apply
slow               apply and answer, `delay_s` late; `apply: after` = apply when the delay is over
truncate           apply, announce the whole body, send half of it, close the connection
hang               never answer; `apply: first` = apply before hanging
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec

Action = Literal[
    "store_then_drop", "drop_then_store", "error_after_store", "error", "throttle", "slow", "truncate", "hang"
]


class FaultRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Meets requests whose method, path (a regular expression, searched) and body (a text within) all match.

    `path` starts after /api, for example `^/Quotation$`. The first `skip` matching requests pass, the next
    `times` are met (0 = all further ones). instance None = every instance. on "token" = the token endpoint
    instead.
    """

    action: Action
    method: str = ""
    path: str = ""
    body: str = ""
    instance: str | None = None
    on: Literal["api", "token"] = "api"
    times: Annotated[int, msgspec.Meta(ge=0)] = 1
    skip: Annotated[int, msgspec.Meta(ge=0)] = 0
    delay_s: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    apply: Literal["first", "after"] | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 500
    answer: Any = None
    retry_after_s: Annotated[float, msgspec.Meta(ge=0)] | None = None


@dataclass
class Armed:
    id: int
    rule: FaultRule
    seen: int = 0
    met: int = 0

    def matches(self, instance: str, on: str, method: str, path: str, body: str) -> bool:
        rule = self.rule
        return (
            rule.on == on
            and rule.instance in {None, instance}
            and rule.method.upper() in {"", method}
            and re.search(rule.path, path, re.IGNORECASE) is not None
            and rule.body in body
        )

    def spent(self) -> bool:
        return self.rule.times != 0 and self.met >= self.rule.times


class Faults:
    """Armed rules, in the order of arming; a request meets at most one."""

    def __init__(self) -> None:
        self._armed: dict[int, Armed] = {}
        self._last_id = 0

    def arm(self, rule: FaultRule) -> Armed:
        """Raises re.error for a path that is no regular expression."""
        re.compile(rule.path)
        self._last_id += 1
        armed = Armed(self._last_id, rule)
        self._armed[armed.id] = armed
        return armed

    def clear(self, fault_id: int | None = None) -> int:
        """Disarms one rule, or all; says how many."""
        ids = list(self._armed) if fault_id is None else [fault_id]
        return sum(self._armed.pop(one, None) is not None for one in ids)

    def listed(self) -> Iterator[Armed]:
        return iter(self._armed.values())

    def meet(self, instance: str, on: str, method: str, path: str, body: str) -> Armed | None:
        """The rule that this request meets; every rule that matches but skips counts it as seen."""
        for armed in self._armed.values():
            if armed.spent() or not armed.matches(instance, on, method, path, body):
                continue
            armed.seen += 1
            if armed.seen > armed.rule.skip:
                armed.met += 1
                return armed
        return None
