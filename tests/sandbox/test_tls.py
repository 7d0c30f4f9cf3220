"""With a certificate the sandbox speaks https, as a hub on another machine asks of every Halo."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.main import run
from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, ROOT, start_sandbox


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for this machine that nobody signed, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=sandbox"
    )
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def address(pem: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = start_sandbox(tmp_path_factory.mktemp("sandbox"), tls=pem)
    yield process.url
    process.stop()


def test_a_client_that_trusts_the_certificate_signs_in(address: str, pem: tuple[Path, Path]) -> None:
    assert address.startswith("https://127.0.0.1:")
    with httpx.Client(verify=ssl.create_default_context(cafile=pem[0]), trust_env=False) as http:
        form = {
            "grant_type": "client_credentials",
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "scope": "all",
        }
        assert http.post(f"{address}/auth/token", data=form).json()["access_token"]


def test_nobody_else_does(address: str) -> None:
    with httpx.Client(verify=ssl.create_default_context(), trust_env=False) as http:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            http.get(f"{address}/_sandbox/counts")
        with pytest.raises(httpx.TransportError):
            http.get(f"{address.replace('https', 'http')}/_sandbox/counts")


def test_a_certificate_without_its_key_is_refused(
    pem: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sandbox", "--port", "0", "--tls-certificate", str(pem[0])]) == 2
    assert "--tls-key" in capsys.readouterr().err
    alone = [sys.executable, "-m", "sandbox", "--port", "0", "--tls-key", str(pem[1])]
    assert subprocess.run(alone, cwd=ROOT, capture_output=True, check=False).returncode == 2


def test_a_certificate_that_is_not_there_ends_in_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "none.pem")
    assert run(["sandbox", "--port", "0", "--tls-certificate", missing, "--tls-key", missing]) == 1
    assert "Traceback" not in capfd.readouterr().err
