"""A real PostgreSQL in a temporary directory on a free loopback port, with durability off, for tests.

`HUB_STORE_URL` (a postgresql URL whose role may create databases) names a server to use instead. Under root
the server runs as the system user `postgres`, since PostgreSQL refuses to run as root.

    python -m tests.support.postgres start --dir DIR     # starts in the background, prints a database URL
    python -m tests.support.postgres stop --dir DIR

Errors:
    PostgresUnavailable    no binaries, no unprivileged user, or the server did not come up; says what
                           repairs it
"""

import argparse
import asyncio
import atexit
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]

from tests.support.processes import children_of, free_port, is_running, spawn, stop_pid, tail

URL_VARIABLE = "HUB_STORE_URL"
INSTALL_COMMAND = "apt-get install -y --no-install-recommends postgresql"

_SYSTEM_USER = "postgres"
_ROLE = "hub"
_START_TIMEOUT_S = 180.0
_TEST_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "autovacuum_naptime": "60s",
}


class PostgresUnavailable(RuntimeError):
    """The real PostgreSQL cannot be had here; the message holds the command that installs it."""


def binaries() -> Path:
    """Return the newest installed PostgreSQL's binary directory."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    if on_path and shutil.which("initdb"):
        return Path(on_path).resolve().parent
    raise PostgresUnavailable(f"PostgreSQL's server binaries are needed. Install them: {INSTALL_COMMAND}")


class PostgresServer:
    """One PostgreSQL server: `start()`, `stop()`, `kill()`, `start()` again, and a fresh database per call.

    With `HUB_STORE_URL` naming a PostgreSQL server (and no `directory` given) it stands for that one: start
    and stop do nothing, and kill refuses. `options` are laid over those for tests: with `synchronous_commit` off,
    a killed server forgets its last commits.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int | None = None,
        detached: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        external = os.environ.get(URL_VARIABLE, "")
        self._external = external if external.startswith("postgresql") and directory is None else None
        self._directory = directory
        self._port = port
        self._detached = detached
        self._options = {**_TEST_OPTIONS, **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def url(self) -> str:
        """`postgresql+asyncpg://…` of the maintenance database; the same after a restart."""
        if self._external:
            return self._external
        if self._port is None:
            raise PostgresUnavailable("PostgreSQL has no port yet: call start() first")
        return f"postgresql+asyncpg://{_ROLE}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Return when the server accepts connections."""
        if self._external or self._process:
            return
        programs = binaries()
        directory = self._prepare(programs)
        options = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        self._process = spawn(
            [
                *_unprivileged(),
                str(programs / "postgres"),
                "-D",
                str(directory / "data"),
                "-p",
                str(self._port),
                *options,
            ],
            log=directory / "postgres.log",
            detached=self._detached,
            cwd=directory,
        )
        if not self._detached:
            atexit.register(self.stop)
        self._await_ready(directory / "postgres.log")

    def stop(self) -> None:
        """Shut down (connections are cut, data is kept) and return when the process has ended."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server and its backends with SIGKILL, as a power cut would."""
        if self._external:
            raise PostgresUnavailable(f"{URL_VARIABLE} names a server that tests may not kill; unset it")
        # Left to themselves, backends go on answering until they notice.
        backends = children_of(self.pid) if self.pid else []
        self._end(signal.SIGKILL)
        for pid in backends:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def create_database(self) -> str:
        """Create an empty database with a name of its own and return its `postgresql+asyncpg://…` URL.

        It may be called with or without a running event loop.
        """
        name = f"hub_{uuid.uuid4().hex[:16]}"
        _run_apart(self.url, f'CREATE DATABASE "{name}"')
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    def drop_database(self, url: str) -> None:
        """Drop a database that `create_database` made, cutting its connections."""
        name = urlsplit(url).path.lstrip("/")
        if not re.fullmatch(r"hub_[0-9a-f]{16}", name):
            raise ValueError(f"{name!r} was not made by create_database")
        _run_apart(self.url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(with_signal)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _prepare(self, programs: Path) -> Path:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="hub-postgres-"))
            atexit.register(shutil.rmtree, self._directory, ignore_errors=True)
        directory = self._directory
        directory.mkdir(parents=True, exist_ok=True)
        port_file = directory / "port"
        if not (directory / "data" / "PG_VERSION").exists():
            if os.geteuid() == 0:
                shutil.chown(directory, _SYSTEM_USER)
            done = subprocess.run(
                [
                    *_unprivileged(),
                    str(programs / "initdb"),
                    "-D",
                    str(directory / "data"),
                    "-U",
                    _ROLE,
                    "-A",
                    "trust",
                    "-E",
                    "UTF8",
                    "--locale=C.UTF-8",
                    "--no-sync",
                ],
                capture_output=True,
                text=True,
                check=False,
                cwd=directory,
            )
            if done.returncode != 0:
                raise PostgresUnavailable(f"initdb failed in {directory}:\n{done.stdout}{done.stderr}")
        if self._port is None:
            self._port = int(port_file.read_text()) if port_file.exists() else free_port()
        port_file.write_text(str(self._port))
        return directory

    def _await_ready(self, log: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                _run_apart(self.url, "SELECT 1")
                return
            except (OSError, asyncpg.PostgresError):
                time.sleep(0.05)
        self.stop()
        raise PostgresUnavailable(f"PostgreSQL did not come up; {log} ends with:\n{tail(log)}")


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise PostgresUnavailable(
            f"PostgreSQL does not run as root and no user {_SYSTEM_USER!r} exists: useradd -r {_SYSTEM_USER}"
        ) from None
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]


def _run_apart(url: str, statement: str) -> None:
    """Run one statement in a thread with an event loop of its own, so that callers may be inside a loop."""

    async def execute() -> None:
        connection = await asyncpg.connect(url.replace("+asyncpg", "", 1), timeout=60)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    with ThreadPoolExecutor(max_workers=1) as apart:
        apart.submit(asyncio.run, execute()).result()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.postgres")
    parser.add_argument("action", choices=["start", "stop"])
    parser.add_argument("--dir", type=Path, default=Path("/tmp/hub-postgres"))
    arguments = parser.parse_args()
    directory: Path = arguments.dir.resolve()
    pid_file = directory.with_suffix(".pid")
    if arguments.action == "start":
        server = PostgresServer(directory, detached=True)
        if not (pid_file.exists() and is_running(int(pid_file.read_text()))):
            server.start()
            pid_file.write_text(str(server.pid))
        else:
            server = PostgresServer(directory, port=int((directory / "port").read_text()), detached=True)
        print(server.create_database())
    elif pid_file.exists():
        stop_pid(int(pid_file.read_text()), with_signal=signal.SIGINT)
        pid_file.unlink()


if __name__ == "__main__":
    main()
