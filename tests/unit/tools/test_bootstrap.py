"""Setting up a machine: install where we may, else stop with the command to run."""

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "tools" / "bootstrap.sh"
NEEDED = ("bash", "cat", "env", "head", "mv", "sed")
JAVA = """printf '%s\\n' 'openjdk version "{}" 2023-07-18' >&2"""


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH of its own: the shell's helpers, an apt-get that only notes what it was told, and no Java."""
    for name in NEEDED:
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    program(tmp_path, "apt-get", f'echo "$*" >> {tmp_path}/apt.log')
    program(tmp_path, "python", f'echo "$*" >> {tmp_path}/python.log')
    return tmp_path


def program(machine: Path, name: str, script: str) -> None:
    (machine / name).write_text(f"#!{machine}/bash\n{script}\n")
    (machine / name).chmod(0o755)


def set_up(machine: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(machine / "bash"), str(SCRIPT), "system", str(machine / "python")],
        env={
            "PATH": str(machine),
            "HUB_STORE_URL": "postgresql://elsewhere/hub",
            "HUB_FAKETIME_LIB": "/lib/it.so",
            "HUB_PROMTOOL": "/bin/promtool",
        }
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_rights_it_stops_with_the_exact_command(machine: Path) -> None:
    program(machine, "id", "echo 1000")
    done = set_up(machine)

    assert done.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends default-jre-headless maven" in done.stderr
    assert not (machine / "apt.log").exists()


def test_with_rights_it_installs_what_is_missing(machine: Path) -> None:
    program(machine, "id", "echo 0")
    program(machine, "java.packaged", JAVA.format("17.0.2"))
    program(machine, "apt-get", f'cd {machine}; echo "$*" >> apt.log; [ -e java ] || mv java.packaged java')
    done = set_up(machine)

    assert done.returncode == 0, done.stderr
    assert (
        "install -y -qq --no-install-recommends default-jre-headless maven"
        in (machine / "apt.log").read_text()
    )
    assert "tests.support.kafka resolve" in (machine / "python.log").read_text()


def test_a_java_that_is_too_old_is_said_so(machine: Path) -> None:
    program(machine, "id", "echo 0")
    program(machine, "mvn", "")
    program(machine, "java", JAVA.format("11.0.20"))
    done = set_up(machine)

    assert done.returncode == 1
    assert "Java 17 or newer must come first on PATH" in done.stderr
    assert "openjdk-17-jre-headless" in (machine / "apt.log").read_text()


def test_kustomize_is_built_where_there_is_none(machine: Path) -> None:
    program(machine, "id", "echo 0")
    program(machine, "python", f'echo "$*" >> {machine}/python.log; [ "${{3:-}}" != find ]')
    done = set_up(machine, KAFKA_BOOTSTRAP_SERVERS="elsewhere:9092")

    assert done.returncode == 0, done.stderr
    assert "install -y -qq --no-install-recommends golang-go" in (machine / "apt.log").read_text()
    assert (machine / "python.log").read_text().splitlines() == [
        "-m tests.deploy.k8s_render find",
        "-m tests.deploy.k8s_render build",
    ]


def test_servers_named_by_the_environment_need_nothing_installed(machine: Path) -> None:
    done = set_up(machine, KAFKA_BOOTSTRAP_SERVERS="elsewhere:9092")

    assert (done.returncode, done.stderr) == (0, "")
    assert not (machine / "apt.log").exists()


def test_promtool_is_taken_out_of_its_package_once_and_no_server_is_installed(
    machine: Path, tmp_path: Path
) -> None:
    for name in ("mkdir", "rm", "tar", "gzip"):
        (machine / name).symlink_to(shutil.which(name) or "")
    program(machine, "id", "echo 1000")
    program(machine, "apt-get", f'echo "$*" >> {machine}/apt.log; echo package > prometheus_2_amd64.deb')
    packaged = tmp_path / "package" / "usr" / "bin"
    packaged.mkdir(parents=True)
    program(packaged, "promtool", "echo it")
    program(machine, "dpkg-deb", f"{shutil.which('tar')} --create --directory {tmp_path}/package ./usr")
    cache = tmp_path / "cache"
    environment = {"KAFKA_BOOTSTRAP_SERVERS": "x:1", "HUB_PROMTOOL": "", "HUB_PROMETHEUS_CACHE": str(cache)}
    for _ in range(2):
        done = set_up(machine, **environment)
        assert done.returncode == 0, done.stderr
    assert [path.name for path in cache.iterdir()] == ["promtool"]
    assert (cache / "promtool").stat().st_mode & 0o100
    assert (machine / "apt.log").read_text() == "download -qq prometheus\n"


def test_a_machine_without_packages_is_told_how_to_name_a_promtool(machine: Path) -> None:
    done = set_up(machine, KAFKA_BOOTSTRAP_SERVERS="x:1", HUB_PROMTOOL="", HUB_PROMETHEUS_CACHE="none")

    assert done.returncode == 1
    assert "HUB_PROMTOOL=/path/to/promtool" in done.stderr
