"""Named steps of a service's main path, where a test can end the process for real.

`HUB_STOP_AT=<step>` (or `<step>:<n>` for the n-th time) sends `HUB_STOP_SIGNAL` (KILL, TERM or STOP; KILL by
default) to this very process when it comes to that step, after writing the step's name to the file
`HUB_STOP_MARK`, so that the test can show that the step was reached. Without the variable a step costs one
comparison.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

STEPS = (
    "after_poll",
    "after_intent",
    "before_send",
    "at_socket",
    "sent_without_reply",
    "after_reply",
    "after_settle",
    "after_publish",
    "after_commit",
)


class UnknownStep(ValueError):
    """`HUB_STOP_AT` names no step; the message lists those there are."""


class Steps:
    """Counts how often the armed step was reached; the process ends at the chosen time."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        armed = (os.environ if environment is None else environment).get("HUB_STOP_AT", "")
        name, _, count = armed.partition(":")
        if name and name not in STEPS:
            raise UnknownStep(f"HUB_STOP_AT={armed!r} names no step; there are {', '.join(STEPS)}")
        source = os.environ if environment is None else environment
        self.armed = name or None
        self._left = int(count or 1)
        self._signal = getattr(signal, f"SIG{source.get('HUB_STOP_SIGNAL', 'KILL')}")
        self._mark = source.get("HUB_STOP_MARK")

    def reached(self, step: str) -> None:
        """The main path is at `step`; does not return when that is where the process is to end."""
        if step != self.armed:
            return
        self._left -= 1
        if self._left == 0:
            self._end(step)

    def reached_soon(self, step: str, after_s: float = 0.3) -> None:
        """As `reached`, but a little later: while the process waits for the answer to what it is about to send."""
        if step != self.armed:
            return
        self._left -= 1
        if self._left == 0:
            threading.Timer(after_s, self._end, (step,)).start()

    def _end(self, step: str) -> None:
        if self._mark:
            Path(self._mark).write_text(step)
        os.kill(os.getpid(), self._signal)
