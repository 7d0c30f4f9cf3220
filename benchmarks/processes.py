"""What a process has used so far, as Linux tells it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def resident_mb(pid: int) -> float:
    """How much memory the process has resident now, in MB."""
    return _status_mb(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """The most that it ever had resident, in MB."""
    return _status_mb(pid, "VmHWM")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stands still inside; for less than its Kafka session, or it would lose its partitions."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _status_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no {name}")
