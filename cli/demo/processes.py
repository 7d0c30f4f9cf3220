"""The demo's child processes: started on free ports, stopped by their pids, and ended with the demo however it ends."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from cli.errors import CommandFailed

_PR_SET_PDEATHSIG = 1
_READY_S = 40.0
_STOP_S = 6.0
_LOG_TAIL_LINES = 15


@dataclass
class Child:
    """One process of the demo; `health_port` is that of a service."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path
    health_port: int | None = None
    killed: bool = False

    @property
    def pid(self) -> int:
        return self.popen.pid

    def running(self) -> bool:
        return self.popen.poll() is None

    def kill(self) -> int:
        """SIGKILL; the exit code, which is negative for a signal."""
        self.killed = True
        self.popen.kill()
        return self.popen.wait()


class Family:
    """All children of one demo."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[Child] = []

    @property
    def running(self) -> list[Child]:
        return [child for child in self._children if child.running()]

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        health_port: int | None = None,
    ) -> Child:
        """Starts `python -m` with a command's words, and returns at once."""
        log = self._directory / f"{name}.log"
        with log.open("ab") as sink:
            popen = subprocess.Popen(  # noqa: S603 - our own modules
                [sys.executable, "-m", *command],
                # Held open by this process alone: the embedded broker ends when it closes.
                stdin=subprocess.PIPE,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                # Away from the terminal's group: a Ctrl-C is for the demo, which stops its children in order.
                start_new_session=True,
                preexec_fn=partial(_die_with, os.getpid()) if sys.platform == "linux" else None,  # noqa: PLW1509
            )
        child = Child(name, popen, log, health_port)
        self._children.append(child)
        return child

    def service(self, name: str, environment: Mapping[str, str]) -> Child:
        """`hub run <name>` with a health port of its own."""
        port = free_port()
        told = {**environment, "HUB_HEALTH_PORT": str(port)}
        return self.start(name, ("cli.main", "run", name), told, health_port=port)

    def stop(self) -> None:
        """SIGTERM to the services, which drain, then to what they need; SIGKILL to what has not ended in time."""
        services = [child for child in self.running if child.health_port is not None]
        for group in (services, [child for child in self.running if child.health_port is None]):
            for child in group:
                child.popen.send_signal(signal.SIGTERM)
            for child in group:
                try:
                    child.popen.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    child.kill()
        for child in self._children:
            if child.popen.stdin is not None:
                child.popen.stdin.close()

    def check(self) -> None:
        """Raises CommandFailed when a process has ended that nobody stopped or killed."""
        for child in self._children:
            code = child.popen.poll()
            if code is not None and not child.killed:
                raise CommandFailed(f"{child.name} ended by itself (exit code {code}):\n{tail(child.log)}")


def wait_for_file(child: Child, file: Path) -> str:
    """The text of a file that the child writes, ending in a newline or not, once it is there."""
    deadline = time.monotonic() + _READY_S
    while not (file.exists() and file.read_text().strip()):
        _still_coming(child, deadline)
    return file.read_text().strip()


def wait_ready(*services: Child) -> None:
    """Returns when every service says that it is ready. Raises CommandFailed with its log."""
    deadline = time.monotonic() + _READY_S
    with httpx.Client(trust_env=False, timeout=2.0) as http:
        for service in services:
            while not _answers(http, f"http://127.0.0.1:{service.health_port}/health/ready"):
                _still_coming(service, deadline)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tail(log: Path) -> str:
    """The log's last lines, or that there are none."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]) or "(nothing)"


def _still_coming(child: Child, deadline: float) -> None:
    code = child.popen.poll()
    if code is not None or time.monotonic() > deadline:
        why = f"within {_READY_S:g} s" if code is None else f"and ended with exit code {code}"
        raise CommandFailed(f"{child.name} did not start {why}; its log ends with:\n{tail(child.log)}")
    time.sleep(0.05)


def _answers(http: httpx.Client, url: str) -> bool:
    try:
        return http.get(url).is_success
    except httpx.TransportError:
        return False


def _die_with(parent: int) -> None:
    """On Linux the kernel ends the child when the thread that started it, the demo's only one, is gone.

    That may have been before it was asked to. In a container the demo itself is process 1.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
