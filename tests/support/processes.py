"""Free loopback ports, and child processes that end with their parent and are stopped by pid.

A server that a test run starts must not outlive it, even when the run is killed: on Linux the kernel is asked
(PR_SET_PDEATHSIG) to kill the child when its parent ends.
"""

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PORTS = range(12_000, 29_000)
"""Below those that a kernel gives to connections: a port stays free until its server starts, or starts again."""


def free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1, and that is given to nobody else until all others had their turn.

    The turn is that of every test run on this machine: several run at once.
    """
    turn = Path(tempfile.gettempdir()) / f"hub-test-ports-{os.getuid()}"
    with turn.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = int(file.read() or 0)
        next_ones = _PORTS[max(0, last - _PORTS.start + 1) :]
        port = next(port for port in chain(next_ones, _PORTS) if _is_free(port))
        file.truncate(0)
        file.write(str(port))
    return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def spawn(
    command: Sequence[str], *, log: Path, detached: bool, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start `command` with its output appended to `log`; unless `detached`, it dies with this process."""
    # The kernel takes the thread that forked for the parent: a child of a worker thread would end with the worker.
    follows_us = (
        not detached and sys.platform == "linux" and threading.current_thread() is threading.main_thread()
    )
    with log.open("ab") as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            start_new_session=True,
            preexec_fn=_die_with_parent if follows_us else None,  # noqa: PLW1509
        )


def children_of(pid: int) -> list[int]:
    """The ids of the processes that this one has started and that still run."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_running(pid: int) -> bool:
    """Tell whether `pid` runs; a zombie does not count."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def stop_pid(pid: int, *, with_signal: signal.Signals = signal.SIGTERM, timeout_s: float = 20.0) -> None:
    """Signal `pid` and return when it has ended; SIGKILL after `timeout_s`."""
    try:
        os.kill(pid, with_signal)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + timeout_s
    while is_running(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + timeout_s
        time.sleep(0.02)


def tail(log: Path, lines: int = 25) -> str:
    """Return the last lines of a log, for an error message."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return "(no log)"


def _die_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
