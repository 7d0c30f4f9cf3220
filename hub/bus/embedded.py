"""A Kafka protocol endpoint without Kafka, for demonstrations: librdkafka's mock cluster, in a process of its own.

    python -m hub.bus.embedded --ready-file FILE      # writes its bootstrap servers there, runs until SIGTERM

Groups, idempotent producers and commits work on it. Nothing is durable: records are in memory, a partition
keeps its last 5 MB, and all of it is gone when the process ends. It makes a topic when one is first asked
for, with four partitions. Run one member per group on it: of two that join at once, one may be refused and has
to start again. It gathers a group's members for three seconds: with a session timeout that is not longer, none ever
gets in.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka import Producer

from hub.bus.errors import EmbeddedBrokerFailed

NOTICE = "embedded broker: records are kept in memory only and are lost when it stops; never use it for real events"

_START_TIMEOUT_S = 60.0


def start_embedded(*, ready_file: Path | None = None) -> tuple["subprocess.Popen[bytes]", str]:
    """Start the broker in a child process and return it with its bootstrap servers.

    The child ends with SIGTERM, and by itself when this process ends.

    Raises:
        EmbeddedBrokerFailed: it was not ready within a minute.
    """
    with tempfile.TemporaryDirectory(prefix="hub-embedded-") as directory:
        ready_file = ready_file or Path(directory) / "ready"
        ready_file.unlink(missing_ok=True)
        command = [
            sys.executable,
            "-m",
            "hub.bus.embedded",
            "--ready-file",
            str(ready_file),
            "--until-stdin-closes",
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)  # noqa: S603
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not ready_file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                process.kill()
                raise EmbeddedBrokerFailed(
                    f"the embedded broker did not start; run `{' '.join(command[:-1])}` to see why"
                )
            time.sleep(0.02)
        return process, ready_file.read_text().strip()


def serve(ready_file: Path, *, until_stdin_closes: bool) -> None:
    """Run the broker until SIGTERM or SIGINT."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    if until_stdin_closes:
        threading.Thread(target=_wait_for_parent, args=(stopped,), daemon=True).start()
    # The configured servers are ignored: the mock cluster replaces them.
    holder = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 2})
    brokers = holder.list_topics(timeout=_START_TIMEOUT_S).brokers.values()
    servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    print(servers, flush=True)
    print(NOTICE, file=sys.stderr, flush=True)
    unfinished = ready_file.with_name(ready_file.name + ".unfinished")
    unfinished.write_text(servers)
    unfinished.replace(ready_file)
    stopped.wait()


def _wait_for_parent(stopped: threading.Event) -> None:
    while os.read(0, 1024):
        pass
    stopped.set()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m hub.bus.embedded", description=NOTICE)
    parser.add_argument("--ready-file", type=Path, required=True)
    parser.add_argument("--until-stdin-closes", action="store_true")
    arguments = parser.parse_args()
    serve(arguments.ready_file, until_stdin_closes=arguments.until_stdin_closes)


if __name__ == "__main__":
    main()
