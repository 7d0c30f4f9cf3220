"""A real Apache Kafka (KRaft, one node) on free loopback ports, restartable on the same port and data.

`KAFKA_BOOTSTRAP_SERVERS` names a broker to use instead. Otherwise the jars are resolved with Maven into a
cache (`<repository>/.cache/kafka`, or `HUB_KAFKA_CACHE`), the storage is formatted with
kafka.tools.StorageTool, and the node runs as kafka.Kafka.

    python -m tests.support.kafka start --dir DIR   # starts in the background, prints the bootstrap servers
    python -m tests.support.kafka stop --dir DIR
    python -m tests.support.kafka resolve           # only downloads the jars

Errors:
    KafkaUnavailable    no Java, no Maven, no jars, or the broker did not come up; says what repairs it
"""

import argparse
import atexit
import base64
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import free_port, is_running, spawn, stop_pid, tail

KAFKA_VERSION = "4.1.1"
SLF4J_VERSION = "1.7.36"
BOOTSTRAP_VARIABLE = "KAFKA_BOOTSTRAP_SERVERS"
INSTALL_COMMAND = "apt-get install -y --no-install-recommends openjdk-17-jre-headless maven"

_REPOSITORY = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 120.0
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test.support</groupId><artifactId>kafka-jars</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>{SLF4J_VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
# Most of these brokers live for seconds: what the second compiler would gain is less than what it costs.
_JVM_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-Xshare:auto", "-XX:TieredStopAtLevel=1")
# Tests scale sessions and rebalances down, and a killed broker has to come back at once.
_TEST_PROPERTIES = {
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "offsets.topic.num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.num.partitions": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "log.cleaner.dedupe.buffer.size": "4194304",
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "300",
    "num.network.threads": "2",
    "num.io.threads": "2",
}


class KafkaUnavailable(RuntimeError):
    """The real Kafka cannot be had here; the message holds the command that installs it."""


def resolve_jars(cache: Path | None = None) -> Path:
    """Return the directory with Kafka's jars, downloading them with Maven on the first call."""
    cache = cache or Path(os.environ.get("HUB_KAFKA_CACHE", _REPOSITORY / ".cache" / "kafka"))
    jars = cache / KAFKA_VERSION
    if jars.is_dir():
        return jars
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not jars.is_dir():
            _download_jars(cache, jars)
    return jars


def _download_jars(cache: Path, jars: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailable(f"Maven is needed once to fetch Kafka's jars. Install it: {INSTALL_COMMAND}")
    unfinished = cache / f"{KAFKA_VERSION}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    (cache / "pom.xml").write_text(_POM)
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={unfinished}", "-DincludeScope=runtime"]
    command = [maven, "-q", "-B", "-f", str(cache / "pom.xml"), *goal]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or not list(unfinished.glob("kafka_2.13-*.jar")):
        raise KafkaUnavailable(
            f"Maven could not fetch Kafka's jars; repair it and run: {' '.join(command)}\n"
            f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    unfinished.rename(jars)


def _java() -> str:
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")
    if java is None:
        raise KafkaUnavailable(f"Java 17 or newer is needed to run Kafka. Install it: {INSTALL_COMMAND}")
    return java


class KafkaServer:
    """One Kafka node: `start()`, `stop()` (clean), `kill()` (SIGKILL), `start()` again with the same data.

    With `KAFKA_BOOTSTRAP_SERVERS` set (and no `directory` given) it stands for that broker: start and stop
    do nothing, and kill refuses.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        port: int | None = None,
        properties: Mapping[str, str] | None = None,
        jvm_options: tuple[str, ...] = _JVM_OPTIONS,
        detached: bool = False,
    ) -> None:
        self._external = None if directory else os.environ.get(BOOTSTRAP_VARIABLE)
        self._temporary = directory is None
        self._directory = directory
        self._port = port
        self._properties = {**_TEST_PROPERTIES, **(properties or {})}
        self._jvm_options = jvm_options
        self._detached = detached
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port`; the same after a restart."""
        if self._external:
            return self._external
        if self._port is None:
            raise KafkaUnavailable("Kafka has no port yet: call start() first")
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, *, wait: bool = True) -> None:
        """Return when the broker answers a metadata request, or, without `wait`, when its process has begun."""
        if self._external or self._process:
            return
        java, jars = _java(), resolve_jars()
        directory = self._prepare(java, jars)
        command = [java, *self._jvm_options, *_system_properties(), "-cp", f"{jars}/*", "kafka.Kafka"]
        self._process = spawn(
            [*command, str(directory / "server.properties")],
            log=directory / "kafka.log",
            detached=self._detached,
            cwd=directory,
        )
        if not self._detached:
            atexit.register(self.stop)
        if wait:
            self._await_ready(directory / "kafka.log")

    def stop(self) -> None:
        """Shut down cleanly and return when the process has ended; the data stays for another start."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the process with SIGKILL, as a power cut would."""
        if self._external:
            raise KafkaUnavailable(f"{BOOTSTRAP_VARIABLE} names a broker that tests may not kill; unset it")
        self._end(signal.SIGKILL)

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process:
            self._process.send_signal(with_signal)
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _prepare(self, java: str, jars: Path) -> Path:
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="hub-kafka-"))
            atexit.register(shutil.rmtree, self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        properties = self._directory / "server.properties"
        if properties.exists():
            self._port = self._port or _port_of(properties)
            return self._directory
        self._port = self._port or free_port()
        properties.write_text(_server_properties(self._directory, self._port, free_port(), self._properties))
        shutil.copytree(_formatted(java, jars), self._directory / "data")
        return self._directory

    def _await_ready(self, log: Path) -> None:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        assert self._process is not None
        assert self._port is not None
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                listening = probe.connect_ex(("127.0.0.1", self._port)) == 0
            if listening:
                try:
                    if AdminClient({"bootstrap.servers": self.bootstrap}).list_topics(timeout=5).brokers:
                        return
                except KafkaException:
                    pass
            time.sleep(0.1)
        self.stop()
        raise KafkaUnavailable(f"Kafka did not come up; {log} ends with:\n{tail(log)}")


def _formatted(java: str, jars: Path) -> Path:
    """The storage of a node that has never run, as every first start finds it; made once for a cache of jars."""
    storage = jars.with_name(f"{jars.name}.formatted")
    with (jars.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not storage.is_dir():
            _format(java, jars, storage)
    return storage


def _format(java: str, jars: Path, storage: Path) -> None:
    unfinished = storage.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    properties = unfinished / "server.properties"
    properties.write_text(_server_properties(unfinished, 9092, 9093, {}))
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    format_ = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", "-c", str(properties)]
    done = subprocess.run(
        [java, *_JVM_OPTIONS, *_system_properties(), "-cp", f"{jars}/*", *format_],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KafkaUnavailable(f"Kafka's storage could not be formatted:\n{done.stdout}{done.stderr}")
    (unfinished / "data").rename(storage)
    shutil.rmtree(unfinished)


def _system_properties() -> list[str]:
    return ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true"]


def _server_properties(directory: Path, port: int, controller_port: int, extra: Mapping[str, str]) -> str:
    properties = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(directory / "data"),
        **extra,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())


def _port_of(properties: Path) -> int:
    lines = (line.partition("=") for line in properties.read_text().splitlines())
    advertised = next(value for name, _, value in lines if name == "advertised.listeners")
    return int(advertised.rpartition(":")[2])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.support.kafka")
    parser.add_argument("action", choices=["start", "stop", "resolve"])
    parser.add_argument("--dir", type=Path, default=Path("/tmp/hub-kafka"))
    arguments = parser.parse_args()
    directory: Path = arguments.dir.resolve()
    pid_file = directory / "kafka.pid"
    if arguments.action == "resolve":
        print(resolve_jars())
    elif arguments.action == "start":
        if pid_file.exists() and is_running(int(pid_file.read_text())):
            print(f"127.0.0.1:{_port_of(directory / 'server.properties')}")
            return
        server = KafkaServer(directory, detached=True)
        server.start()
        pid_file.write_text(str(server.pid))
        print(server.bootstrap)
    elif pid_file.exists():
        stop_pid(int(pid_file.read_text()))
        pid_file.unlink()


if __name__ == "__main__":
    main()
