"""Misbehaviour armed per request: which request it meets, what it does to it.

store_then_drop    apply, then close the connection without a reply
drop_then_store    close the connection at once, apply `delay_s` later
drop               close the connection at once, never apply
error_after_store  apply, then answer `status` (500) with `answer` (nothing)
error              answer `status` (500) with `answer` (nothing), do not apply
html               answer `status` (200) with a page of HTML, `answer` when given; do not apply unless `apply`
throttle           answer 429 (with Retry-After when `retry_after_s` is given), do not apply
slow               apply and answer, `delay_s` late; `apply: after` = apply when the delay is over
trickle            apply, send the headers and then the right body, one byte each `delay_s`;
                   `apply: after` = a 2xx of blanks without an end, applied when the caller has gone
truncate           apply, announce the whole body, send half of it, close the connection
cut                apply, answer with half of the body as if it were whole: broken JSON of the right length
hang               never answer, do not apply unless `apply`

Where `apply` is optional, `first` applies before, `after` applies `delay_s` later.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec

from sandbox.state import Clock

Action = Literal[
    "store_then_drop",
    "drop_then_store",
    "drop",
    "error_after_store",
    "error",
    "html",
    "throttle",
    "slow",
    "trickle",
    "truncate",
    "cut",
    "hang",
]
ACTIONS: tuple[Action, ...] = get_args(Action)
Door = Literal["api", "token", "all"]
NEVER_APPLIED = frozenset({"drop", "error", "throttle"})
OPTIONALLY_APPLIED = frozenset({"html", "hang"})

NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Manner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How an action is done; each action reads what it needs. `status` None = the action's own."""

    delay_s: NotNegative = 1.0
    apply: Literal["first", "after"] | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    answer: Any = None
    retry_after_s: NotNegative | None = None


class Choice(Manner, frozen=True, kw_only=True):
    """One action that chaos may take, `weight` times as often as one of weight 1."""

    action: Action
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    delay_s: NotNegative = 0.1


class Chaos(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Each request is met with probability `rate`, by one of `actions` (empty = any action at all)."""

    rate: Annotated[float, msgspec.Meta(ge=0, le=1)]
    seed: int = 0
    actions: tuple[Choice | Action, ...] = ()

    def choices(self) -> tuple[Choice, ...]:
        return tuple(Choice(action=one) if isinstance(one, str) else one for one in self.actions or ACTIONS)


class FaultRule(Manner, frozen=True, kw_only=True):
    """Meets requests whose method, path (a regular expression, searched) and body (a text within) all match.

    `path` starts after /api, for example `^/Quotation$`. The first `skip` matching requests pass, the next
    `times` are met (0 = all further ones; by default 1, or 0 with `for_s` or chaos), none later than `for_s`
    seconds after the arming. instance None = every instance.

    on: "api" = API calls within the budget and with a valid bearer. "token" = the token endpoint. "all" =
    anything at all, before budget and bearer are looked at, as a gateway before Halo would; only for what
    applies nothing. Either `action` or `chaos` is given.
    """

    action: Action | None = None
    chaos: Chaos | None = None
    method: str = ""
    path: str = ""
    body: str = ""
    instance: str | None = None
    on: Door = "api"
    times: Count | None = None
    skip: Count = 0
    for_s: Annotated[float, msgspec.Meta(gt=0)] | None = None

    def __post_init__(self) -> None:
        if (self.action is None) == (self.chaos is None):
            raise ValueError("either `action` or `chaos` must be given")
        for met in self.outcomes():
            if self.on == "all" and applies(met):
                raise ValueError(f"`{met.action}` applies the request, which `on: all` cannot")
            if met.action == "html" and not isinstance(met.how.answer, str | None):
                raise ValueError("the `answer` of `html` must be a text")
            if met.action == "trickle" and not met.how.delay_s:
                raise ValueError("`trickle` needs a `delay_s` above 0")

    def outcomes(self) -> "tuple[Met, ...]":
        if self.chaos is not None:
            return tuple(Met(one.action, one) for one in self.chaos.choices())
        return (Met(self.action, self),) if self.action else ()

    def limit(self) -> int:
        if self.times is not None:
            return self.times
        return 1 if self.for_s is None and self.chaos is None else 0


class Met(NamedTuple):
    """What is to happen to a request."""

    action: Action
    how: Manner


def applies(met: Met) -> bool:
    return met.action not in NEVER_APPLIED and not (
        met.action in OPTIONALLY_APPLIED and met.how.apply is None
    )


@dataclass
class Armed:
    """A rule in force; `seen` counts matches, `met` and `actions` what they led to."""

    id: int
    rule: FaultRule
    until_s: float
    seen: int = 0
    met: int = 0
    actions: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        chaos = self.rule.chaos
        self._outcomes = self.rule.outcomes()
        self._weights = [choice.weight for choice in chaos.choices()] if chaos else [1.0]
        self._random = Random(chaos.seed if chaos else 0)

    def matches(self, instance: str, on: Door, method: str, path: str, body: str) -> bool:
        rule = self.rule
        return (
            rule.on == on
            and rule.instance in {None, instance}
            and rule.method.upper() in {"", method}
            and re.search(rule.path, path, re.IGNORECASE) is not None
            and rule.body in body
        )

    def spent(self, now_s: float) -> bool:
        limit = self.rule.limit()
        return now_s >= self.until_s or (limit != 0 and self.met >= limit)

    def meet(self) -> Met | None:
        """Counts one matching request; what happens to it, None = it passes."""
        self.seen += 1
        if self.seen <= self.rule.skip:
            return None
        met = self._drawn()
        if met is not None:
            self.met += 1
            self.actions[met.action] += 1
        return met

    def _drawn(self) -> Met | None:
        chaos = self.rule.chaos
        if chaos is not None and self._random.random() >= chaos.rate:
            return None
        return self._random.choices(self._outcomes, self._weights)[0]


class Faults:
    """Armed rules, in the order of arming; a request meets at most one."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._armed: dict[int, Armed] = {}
        self._last_id = 0

    def arm(self, rule: FaultRule) -> Armed:
        """Raises re.error for a path that is no regular expression."""
        re.compile(rule.path)
        self._last_id += 1
        until_s = inf if rule.for_s is None else self._clock.monotonic_s() + rule.for_s
        armed = Armed(self._last_id, rule, until_s)
        self._armed[armed.id] = armed
        return armed

    def clear(self, fault_id: int | None = None) -> int:
        """Disarms one rule, or all; says how many."""
        ids = list(self._armed) if fault_id is None else [fault_id]
        return sum(self._armed.pop(one, None) is not None for one in ids)

    def listed(self) -> Iterator[Armed]:
        return iter(self._armed.values())

    def is_spent(self, armed: Armed) -> bool:
        return armed.spent(self._clock.monotonic_s())

    def meet(self, instance: str, on: Door, method: str, path: str, body: str) -> Met | None:
        """What happens to a request, None = nothing; every rule that matches but lets it pass counts it as seen."""
        now_s = self._clock.monotonic_s()
        for armed in self._armed.values():
            if armed.spent(now_s) or not armed.matches(instance, on, method, path, body):
                continue
            met = armed.meet()
            if met is not None:
                return met
        return None
