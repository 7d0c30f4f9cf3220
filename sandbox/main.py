"""The command line of the sandbox, and `run` for other commands."""

import argparse
import socket
import sys
from collections.abc import Callable, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from sandbox.app import SandboxConfig, create_app
from sandbox.fixtures import FixtureError
from sandbox.server import server


def run(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    fixture: Path | None = None,
    ready_file: Path | None = None,
    tls: tuple[Path, Path] | None = None,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT; port 0 takes a free one; without `fixture` the packaged one is loaded.

    With `tls`, a certificate and its key, it speaks https alone.
    Once it listens its address goes to `ready_file` and to `on_ready` (default: printed).
    Raises FixtureError, or OSError for a file that cannot be read or a port that cannot be had.
    """

    def announce(address: str) -> None:
        (on_ready or print_address)(address)
        if ready_file is not None:
            ready_file.write_text(address + "\n", encoding="utf-8")

    with as_file(files("sandbox").joinpath("fixtures/default.yaml")) as packaged:
        app = create_app(SandboxConfig(fixture=fixture or packaged))
    _check_free(host, port)
    options = {} if tls is None else {"ssl_certfile": tls[0], "ssl_keyfile": tls[1]}
    server(app, host, port, announce, **options).run()


def _check_free(host: str, port: int) -> None:
    """The server ends the process with words and a code of its own where it can't listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        raise OSError(
            f"cannot listen on {host}:{port} ({error.strerror}): free it, or set --port; 0 takes a free one"
        ) from None


def print_address(address: str) -> None:
    print(f"sandbox listening on {address}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """0 after a signal, 1 when it could not start, 2 for a bad argument or fixture."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="A HaloPSA stand-in.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8901, help="0 takes a free port")
    parser.add_argument("--fixture", type=Path, help="the tenant's data, YAML or JSON (default: packaged)")
    parser.add_argument("--ready-file", type=Path, help="write the address here once it listens")
    parser.add_argument("--tls-certificate", type=Path, help="PEM; speak https, with --tls-key")
    parser.add_argument("--tls-key", type=Path, help="PEM, not encrypted")
    args = parser.parse_args(argv)
    if (args.tls_certificate is None) != (args.tls_key is None):
        parser.error("--tls-certificate and --tls-key go together")
    tls = None if args.tls_key is None else (args.tls_certificate, args.tls_key)
    try:
        run(args.host, args.port, fixture=args.fixture, ready_file=args.ready_file, tls=tls)
    except (FixtureError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2 if isinstance(error, FixtureError) else 1
    return 0
