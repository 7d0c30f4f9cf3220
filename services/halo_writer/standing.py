"""What a tenant's Halo will not do for now, learnt once and kept from every command. Pure: the clock comes in.

A *hold* stops one scope: the whole Halo (it doesn't answer, or the login is lost), its request window (a 429, or our
own budget), or one kind of record (a right is missing). What needs no request still ends while a hold lasts.

Invariants:

* INV-15 While a hold lasts no command of its scope is sent but one at a time, to find out whether it is over, and not
  before `probe_at`.
* A kind is held when two records in a row were refused for a missing right: one alone may be that record's own
  trouble, and waits alone.
* A hold that was lifted or never opened stops nothing, whatever rows still say.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from hub.store.holds import HALO, WINDOW, Hold, Reason
from services.halo_writer.tools import Timing

_PREFIX = "hold/"


class Opened(msgspec.Struct, frozen=True):
    """A hold that begins or goes on, to be stored; `first` when it is news."""

    hold: Hold
    first: bool


class Signs(NamedTuple):
    """The holds by scope, each with its `probe_at`, and the one command of each held kind that may be sent."""

    holds: frozenset[tuple[str, float]]
    trying: frozenset[tuple[str, str]]

    def last(self, name: str) -> bool:
        """Whether the hold that a row waits for is among them."""
        return any(_PREFIX + scope == name for scope, _ in self.holds)


def waits_for(hold: Hold) -> str:
    """What a row says that it waits for while a hold lasts."""
    return _PREFIX + hold.scope


def is_hold(name: str | None) -> bool:
    """Whether a row waits for a hold rather than for another record."""
    return name is not None and name.startswith(_PREFIX)


class Standing:
    """One tenant's holds, as its owner knows them."""

    def __init__(self, tenant: str, timing: Timing, holds: Iterable[Hold] = ()) -> None:
        self._tenant = tenant
        self._timing = timing
        self._holds = {hold.scope: hold for hold in holds}
        self._suspects: dict[str, str] = {}
        self._trying: dict[str, str] = {}

    # What is stopped --------------------------------------------------------------------------------------

    def stops(self, kind: str, key: str, now: float) -> Hold | None:
        """The hold that keeps this command of this kind from being sent now; None when it may be."""
        for scope in (WINDOW, HALO):
            hold = self._holds.get(scope)
            if hold is not None and not (scope == WINDOW and hold.probe_at <= now):
                return hold
        return None if self._trying.get(kind) == key else self._holds.get(kind)

    def stops_all(self, now: float) -> bool:
        """Whether nothing at all may be sent now."""
        return HALO in self._holds or self._limited(now)

    def signs(self) -> Signs:
        """What decides, but for the time, which commands are stopped: while it is the same, so are they."""
        times = frozenset((scope, hold.probe_at) for scope, hold in self._holds.items())
        return Signs(times, frozenset(self._trying.items()))

    def lasts(self, name: str) -> bool:
        """Whether the hold that a row waits for is still there."""
        return name.removeprefix(_PREFIX) in self._holds

    def halo_to_probe(self, now: float) -> Hold | None:
        """The hold on the whole Halo, when the time to see whether it is over has come."""
        hold = self._holds.get(HALO)
        return hold if hold is not None and hold.probe_at <= now and not self._limited(now) else None

    def kinds_to_probe(self, now: float) -> list[str]:
        """The kinds of which one command may show whether the right is there by now."""
        if self.stops_all(now):
            return []
        return [
            scope
            for scope, hold in self._holds.items()
            if scope != WINDOW and scope not in self._trying and hold.probe_at <= now
        ]

    def trying(self, kind: str, key: str) -> None:
        """This one command of a held kind is sent, to see whether the right is there by now."""
        self._trying[kind] = key

    def tried(self, kind: str, key: str, now: float) -> None:
        """It was; when that showed nothing, another is tried a little later."""
        if self._trying.get(kind) == key:
            del self._trying[kind]
            hold = self._holds.get(kind)
            if hold is not None and hold.probe_at <= now:
                self._holds[kind] = msgspec.structs.replace(hold, probe_at=now + self._timing.unreachable_s)

    def next_at(self, now: float) -> float:
        """When a hold ends or is to be tried, if that is yet to come or the whole Halo's; inf when there is none."""
        window_end = self._window_end(now)
        if HALO in self._holds:
            return max(self._holds[HALO].probe_at, window_end)
        times = [max(hold.probe_at, window_end) for scope, hold in self._holds.items() if scope != WINDOW]
        return min((at for at in (window_end, *times) if at > now), default=float("inf"))

    def holds(self) -> list[Hold]:
        return list(self._holds.values())

    # What was learnt --------------------------------------------------------------------------------------

    def limited(self, until: float, now: float, note: str | None) -> Opened:
        """Nothing may be sent before `until`: Halo said so, or the budget is used up."""
        before = self._holds.get(WINDOW)
        news = before is None or before.probe_at <= now
        since = now if before is None or news else before.since
        hold = self._hold(WINDOW, "limited", since, max(until, before.probe_at if before else until), 0, note)
        return self._open(hold, first=news)

    def no_answer(self, now: float, note: str | None) -> Opened:
        """Halo didn't answer, or a gateway before it said so."""
        return self._halo(
            "unreachable", now, note, self._timing.unreachable_s, self._timing.unreachable_most_s
        )

    def login_lost(self, now: float, note: str | None) -> Opened:
        """The credentials are refused; only a person can change that."""
        return self._halo("unauthorised", now, note, self._timing.denied_s, self._timing.denied_most_s)

    def denied(self, kind: str, target_key: str, now: float, note: str | None) -> Opened | None:
        """A record of this kind was refused for a missing right; None while it may be that record's own trouble."""
        before = self._holds.get(kind)
        suspect = self._suspects.setdefault(kind, target_key)
        if before is None and suspect == target_key:
            return None
        tries = 0 if before is None else before.tries + 1
        wait_s = backoff(tries, self._timing.denied_s, self._timing.denied_most_s)
        since = now if before is None else before.since
        return self._open(self._hold(kind, "denied", since, now + wait_s, tries, note), first=before is None)

    def answered(self, kind: str) -> Hold | None:
        """Halo did what a command of this kind asked, or refused it for what it says; the hold that is over by that."""
        self._suspects.pop(kind, None)
        return self._holds.pop(kind, None)

    def came_back(self) -> Hold | None:
        """A probe was answered and the login is good; the hold that is over by that."""
        return self._holds.pop(HALO, None)

    def heard(self, stored: Iterable[Hold]) -> bool:
        """What others have stored: a 429 that another share met, a reason to try again at once; whether it is news."""
        news = False
        for hold in stored:
            own = self._holds.get(hold.scope)
            if hold.scope == WINDOW:
                later = own is None or hold.probe_at > own.probe_at
            else:
                later = own is not None and hold.probe_at < own.probe_at
            if later:
                self._holds[hold.scope] = hold
                news = True
        return news

    # Small things -----------------------------------------------------------------------------------------

    def _halo(self, reason: Reason, now: float, note: str | None, first_s: float, most_s: float) -> Opened:
        before = self._holds.get(HALO)
        same = before is not None and before.reason == reason
        tries = before.tries + 1 if before is not None and same else 0
        since = before.since if before is not None and same else now
        wait_s = backoff(tries, first_s, most_s)
        return self._open(self._hold(HALO, reason, since, now + wait_s, tries, note), first=not same)

    def _hold(
        self, scope: str, reason: Reason, since: float, probe_at: float, tries: int, note: str | None
    ) -> Hold:
        return Hold(
            tenant=self._tenant,
            scope=scope,
            reason=reason,
            since=since,
            probe_at=probe_at,
            tries=tries,
            note=note,
        )

    def _open(self, hold: Hold, *, first: bool) -> Opened:
        self._holds[hold.scope] = hold
        return Opened(hold, first)

    def _limited(self, now: float) -> bool:
        return self._window_end(now) > now

    def _window_end(self, now: float) -> float:
        window = self._holds.get(WINDOW)
        return window.probe_at if window is not None and window.probe_at > now else float("-inf")


def backoff(tries: int, first_s: float, most_s: float) -> float:
    """Seconds to wait after so many tries: doubling, up to `most_s`."""
    return min(most_s, first_s * 2.0 ** min(tries, 20))
