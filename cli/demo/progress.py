"""What is told while the demo runs: a line for each step, and a live one in between where there is a terminal."""

import time
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.status import Status
from rich.text import Text


class Progress(AbstractContextManager["Progress"]):
    """Steps go to stdout, or to stderr where stdout is for a document. Nothing in a text is markup."""

    def __init__(self, *, to_stderr: bool) -> None:
        self._console = Console(stderr=to_stderr, highlight=False)
        self._status: Status | None = None
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status = self._console.status("")
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Nothing is under way any more."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._began

    def step(self, text: str, *, style: str = "") -> None:
        """Something was done."""
        stamp = Text(f"{self.elapsed_s:5.1f} s  ", style="dim")
        self._console.print(stamp + Text(text, style=style), soft_wrap=True)

    def now(self, text: str) -> None:
        """What is under way; seen on a terminal only."""
        if self._status is not None:
            self._status.update(Text(text))
