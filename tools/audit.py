"""Checks the locks: every package is pinned by hash, and none has a known vulnerability.

The second check asks an advisory service. Where none can be reached, or a mirror answers that holds no
advisories and so knows none of the packages, the check says so loudly and only the first one counts. Once a
service answers, an advisory or a package it could not judge fails the run.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
LOCKS = ("build.txt", "runtime.txt", "dev.txt")
AUDITED = ("build.txt", "dev.txt")  # dev.txt holds all of runtime.txt
SERVICES = ("pypi", "osv")
UNREACHABLE = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ServiceError|ProxyError|SSLError|Max retries|HTTPError|"
    r"Could not connect|Name or service not known|Temporary failure in name|Tunnel connection failed",
)


def main() -> int:
    faults = [fault for lock in LOCKS for fault in pin_faults(lock, (REQUIREMENTS / lock).read_text())]
    faults += advisory_faults()
    for fault in faults:
        print(f"audit: {fault}", file=sys.stderr)
    return 1 if faults else 0


def pin_faults(name: str, text: str) -> list[str]:
    """A line for each requirement that is not pinned to one version by hash, and for each option."""
    faults = []
    for entry in text.replace("\\\n", " ").splitlines():
        line = entry.split(" #")[0].strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("-"):
            faults.append(f"{name}: a lock holds no options: {line.split()[0]}")
        elif "--hash=sha256:" not in line:
            faults.append(f"{name}: no hash: {line}")
        elif not re.match(r"[A-Za-z0-9._\[\],-]+==\S+", line):
            faults.append(f"{name}: not pinned to one version: {line.split(' --hash')[0]}")
    return faults


def advisory_faults() -> list[str]:
    """A line for each advisory and each package that was not judged; none when no service can be reached."""
    causes = []
    for service in SERVICES:
        answer, stderr = _ask(service)
        if answer is not None and not all("skip_reason" in package for package in answer["dependencies"]):
            return _judge(answer)
        if answer is not None:
            causes.append(f"{service}: it knows none of the packages (a mirror without advisories?)")
            continue
        if not UNREACHABLE.search(stderr):
            return [f"pip-audit failed: {stderr.strip()[-2000:]}"]
        causes.append(f"{service}: {stderr.strip().splitlines()[-1][:160]}")
    _warn(causes)
    return []


def _ask(service: str) -> tuple[dict[str, Any] | None, str]:
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--timeout", "20"]
    command += ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    for lock in AUDITED:
        command += ["--requirement", str(REQUIREMENTS / lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        return None, done.stderr
    return answer, done.stderr


def _judge(answer: dict[str, Any]) -> list[str]:
    faults = []
    for package in answer["dependencies"]:
        if "skip_reason" in package:
            faults.append(f"{package['name']} was not judged: {package['skip_reason']}")
        for advisory in package.get("vulns", []):
            fixed = ", ".join(advisory.get("fix_versions", [])) or "no release"
            faults.append(f"{package['name']} {package['version']}: {advisory['id']}, fixed in {fixed}")
    print(f"audit: {len(answer['dependencies'])} packages judged, {len(faults)} faults")
    return faults


def _warn(causes: list[str]) -> None:
    line = "!" * 100
    print(line)
    print(
        "audit: NO ADVISORY SERVICE COULD BE REACHED: the locks were NOT checked for known vulnerabilities."
    )
    for cause in causes:
        print(f"  {cause}")
    print(f"Hashes and pins were checked. Run make lint where the network is open.\n{line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
