"""Checks the locks: every package is pinned by hash, and none has a known vulnerability.

The second check asks advisory services. Each is also asked about CONTROL, a release that is known to be vulnerable: a
service that doesn't report it holds no advisories, whatever it says of the rest. Where no service can be reached, or
only mirrors that know none of the packages, the check says so loudly and only the first one counts. Once a service
answers, an advisory fails the run, and so does each package that no service has judged.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

REQUIREMENTS = Path(__file__).resolve().parent.parent / "requirements"
LOCKS = ("build.txt", "image.txt", "runtime.txt", "dev.txt")
SERVICES = ("pypi", "osv")
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;]+)")
_UNREACHABLE = re.compile(
    r"ConnectionError|ConnectTimeout|ReadTimeout|ServiceError|ProxyError|SSLError|Max retries|HTTPError|"
    r"Could not connect|Name or service not known|Temporary failure in name|Tunnel connection failed",
)


class Pin(NamedTuple):
    """One release; the name is in its normal form."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


CONTROL = Pin("jinja2", "2.4.1")


class Answer(NamedTuple):
    """What a service said: the advisories of each release that it knows, and of the others why it skipped them."""

    advisories: dict[Pin, list[str]]
    skipped: dict[str, str]


class Unreachable(Exception):
    """The service gave no answer, or broke off."""


class AuditBroken(Exception):
    """pip-audit itself failed: read what it says."""


Ask = Callable[[str, Collection[Pin]], Answer]


def main() -> int:
    texts = {lock: (REQUIREMENTS / lock).read_text() for lock in LOCKS}
    faults = [fault for lock, text in texts.items() for fault in pin_faults(lock, text)]
    pins = {pin for text in texts.values() for pin in pins_of(text)}
    faults += advisory_faults(pins)
    for fault in faults:
        print(f"audit: {fault}", file=sys.stderr)
    return 1 if faults else 0


def pin_faults(name: str, text: str) -> list[str]:
    """A line for each requirement that is not pinned to one version by hash, and for each option."""
    faults = []
    for line in _entries(text):
        if line.startswith("-"):
            faults.append(f"{name}: a lock holds no options: {line.split()[0]}")
        elif "--hash=sha256:" not in line:
            faults.append(f"{name}: no hash: {line}")
        elif not _PIN.match(line):
            faults.append(f"{name}: not pinned to one version: {line.split(' --hash')[0]}")
    return faults


def pins_of(text: str) -> Iterator[Pin]:
    """Every release in a lock, also those for other systems than this one: a marker would hide them from an audit."""
    for line in _entries(text):
        found = _PIN.match(line)
        if found is not None:
            yield Pin(_normal(found[1]), found[2])


def advisory_faults(pins: Collection[Pin], ask: Ask | None = None) -> list[str]:
    """A line for each advisory and each release that was not judged; none when no service can be reached."""
    ask = ask or pip_audit
    causes: list[str] = []
    advisories: set[str] = set()
    judged: set[Pin] = set()
    why: dict[str, str] = {}
    answered = False
    for service in SERVICES:
        try:
            answer = ask(service, [*pins, CONTROL])
        except Unreachable as error:
            causes.append(f"{service}: {error}")
            if _holds_advisories(service, ask):
                answered = True
                why |= dict.fromkeys((pin.name for pin in pins), f"{service} broke off: {error}")
            continue
        except AuditBroken as error:
            return [f"pip-audit failed: {error}"]
        if not answer.advisories and answer.skipped.keys() >= {pin.name for pin in pins}:
            causes.append(f"{service}: it knows none of the packages (a mirror without advisories?)")
            continue
        answered = True
        advisories |= {f"{pin}: {one}" for pin in pins for one in answer.advisories.get(pin, ())}
        why |= answer.skipped
        if answer.advisories.get(CONTROL):
            judged |= answer.advisories.keys()
        else:
            silent = f"{service} does not report {CONTROL}, which is known to be vulnerable: it holds no advisories"
            why |= dict.fromkeys((pin.name for pin in pins), silent)
        if judged.issuperset(pins):
            break
    if not answered:
        _warn(causes)
        return []
    missing = sorted(set(pins) - judged)
    print(f"audit: {len(pins) - len(missing)} of {len(pins)} packages judged, {len(advisories)} advisories")
    faults = [f"{pin} was not judged: {why.get(pin.name, 'no service mentions it')}" for pin in missing]
    return sorted(advisories) + faults


def _holds_advisories(service: str, ask: Ask) -> bool:
    """Whether a service that failed can be reached all the same: then what it left out is a fault."""
    try:
        return bool(ask(service, [CONTROL]).advisories.get(CONTROL))
    except (Unreachable, AuditBroken):
        return False


def pip_audit(service: str, pins: Collection[Pin], *options: str) -> Answer:
    """One service's answer about releases. Raises Unreachable, AuditBroken."""
    answer = Answer({}, {})
    for text in _requirements(pins):
        part = _ask(service, text, options)
        answer = Answer(answer.advisories | part.advisories, answer.skipped | part.skipped)
    return answer


def _ask(service: str, requirements: str, options: Sequence[str]) -> Answer:
    command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service, "--timeout", "20"]
    command += [
        "--require-hashes",
        "--disable-pip",
        "--progress-spinner",
        "off",
        "--format",
        "json",
        *options,
    ]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "requirements.txt"
        path.write_text(requirements)
        command += ["--requirement", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return read_answer(done.stdout)
    except (ValueError, KeyError, TypeError) as error:
        if _UNREACHABLE.search(done.stderr):
            raise Unreachable(done.stderr.strip().splitlines()[-1][:160]) from None
        raise AuditBroken(f"{done.stderr.strip()[-2000:]} ({type(error).__name__}: {error})") from None


def read_answer(text: str) -> Answer:
    """What pip-audit's JSON says. Raises ValueError, KeyError or TypeError when it is none of that shape."""
    advisories: defaultdict[Pin, list[str]] = defaultdict(list)
    skipped: dict[str, str] = {}
    for package in json.loads(text)["dependencies"]:
        name = _normal(package["name"])
        if "skip_reason" in package:
            skipped[name] = package["skip_reason"]
            continue
        found = advisories[Pin(name, package["version"])]
        for advisory in package["vulns"]:
            fixed = ", ".join(advisory.get("fix_versions", ())) or "no release"
            found.append(f"{advisory['id']}, fixed in {fixed}")
    return Answer(dict(advisories), skipped)


def _requirements(pins: Collection[Pin]) -> list[str]:
    """Requirement files in each of which a package stands once: pip-audit refuses more, in all that it is given at
    once. It wants hashes and checks none."""
    files: defaultdict[int, list[str]] = defaultdict(list)
    seen: Counter[str] = Counter()
    for name, version in sorted(pins):
        files[seen[name]].append(f"{name}=={version} --hash=sha256:{'0' * 64}\n")
        seen[name] += 1
    return ["".join(lines) for lines in files.values()]


def _entries(text: str) -> Iterator[str]:
    for entry in text.replace("\\\n", " ").splitlines():
        line = entry.split(" #")[0].strip()
        if line and not line.startswith("#"):
            yield line


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _warn(causes: Sequence[str]) -> None:
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
