"""The audit of the locks fails on whatever no advisory service has judged, and is quiet about nothing."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tools import audit
from tools.audit import CONTROL, Answer, AuditBroken, Pin, Unreachable

A, B, C = Pin("alpha", "1.0"), Pin("beta", "2.0"), Pin("gamma-win", "3.0")
PINS = {A, B, C}
KNOWN = {CONTROL: ["PYSEC-1, fixed in 2.7"]}


class Services:
    """`ask` as the audit sees it; each service answers, refuses or breaks as it is told."""

    def __init__(self, **answers: Answer | Exception) -> None:
        self.answers = answers
        self.alone: dict[str, Answer] = {}
        self.asked: list[str] = []

    def __call__(self, service: str, pins: Collection[Pin]) -> Answer:
        self.asked.append(service)
        if list(pins) == [CONTROL] and service in self.alone:
            return self.alone[service]
        told = self.answers[service]
        if isinstance(told, Exception):
            raise told
        return told


def clean(*pins: Pin, control: bool = True, skipped: Collection[Pin] = ()) -> Answer:
    advisories: dict[Pin, list[str]] = {pin: [] for pin in pins}
    return Answer(advisories | (KNOWN if control else {}), {pin.name: "not found" for pin in skipped})


def test_locks_that_one_service_has_judged_whole_pass_without_asking_another() -> None:
    services = Services(pypi=clean(A, B, C))
    assert audit.advisory_faults(PINS, services) == []
    assert services.asked == ["pypi"]


def test_a_skipped_package_fails_the_run_when_all_others_were_judged() -> None:
    services = Services(pypi=clean(A, B, skipped=[C]), osv=Unreachable("no route"))
    (fault,) = audit.advisory_faults(PINS, services)
    assert fault == "gamma-win 3.0 was not judged: not found"


def test_a_package_that_no_answer_mentions_fails_the_run() -> None:
    services = Services(pypi=clean(A, B), osv=Unreachable("no route"))
    assert audit.advisory_faults(PINS, services) == ["gamma-win 3.0 was not judged: no service mentions it"]


def test_what_one_service_skips_another_may_judge() -> None:
    services = Services(pypi=clean(A, B, skipped=[C]), osv=clean(A, B, C))
    assert audit.advisory_faults(PINS, services) == []
    assert services.asked == ["pypi", "osv"]


def test_an_advisory_of_either_service_fails_the_run() -> None:
    found = Answer({**KNOWN, A: ["PYSEC-9, fixed in 1.1"], B: []}, {C.name: "not found"})
    services = Services(pypi=found, osv=clean(A, B, C))
    assert audit.advisory_faults(PINS, services) == ["alpha 1.0: PYSEC-9, fixed in 1.1"]


def test_a_service_that_knows_a_single_package_is_not_taken_for_unreachable() -> None:
    services = Services(pypi=clean(A, control=False, skipped=[B, C, CONTROL]), osv=Unreachable("no route"))
    faults = audit.advisory_faults(PINS, services)
    assert len(faults) == 3
    assert all("holds no advisories" in fault for fault in faults)


def test_a_service_that_answers_and_holds_no_advisories_has_judged_nothing() -> None:
    """A mirror that leaves the advisories out answers like a service that knows of none."""
    silent = Answer({A: [], B: [], C: [], CONTROL: []}, {})
    faults = audit.advisory_faults(PINS, Services(pypi=silent, osv=Unreachable("no route")))
    assert [fault.split(" was ")[0] for fault in faults] == ["alpha 1.0", "beta 2.0", "gamma-win 3.0"]
    assert audit.advisory_faults(PINS, Services(pypi=silent, osv=clean(A, B, C))) == []


def test_an_empty_answer_is_no_answer_about_the_packages() -> None:
    services = Services(pypi=Answer({}, {}), osv=Answer({}, {}))
    assert len(audit.advisory_faults(PINS, services)) == 3


def test_a_service_that_breaks_off_half_way_but_can_be_reached_fails_the_run() -> None:
    services = Services(pypi=Unreachable("HTTPError 503 for beta"), osv=Unreachable("no route"))
    services.alone["pypi"] = Answer(dict(KNOWN), {})
    faults = audit.advisory_faults(PINS, services)
    assert len(faults) == 3
    assert all("broke off" in fault for fault in faults)


def test_a_broken_audit_is_never_taken_for_a_missing_network() -> None:
    services = Services(pypi=AuditBroken("unrecognised arguments"))
    assert audit.advisory_faults(PINS, services) == ["pip-audit failed: unrecognised arguments"]


def test_no_service_at_all_warns_loudly_and_passes(capsys: pytest.CaptureFixture[str]) -> None:
    mirror = Answer({}, {pin.name: "not found" for pin in (*PINS, CONTROL)})
    assert audit.advisory_faults(PINS, Services(pypi=mirror, osv=Unreachable("no route"))) == []
    said = capsys.readouterr().out
    assert "NOT checked for known vulnerabilities" in said
    assert "knows none of the packages" in said
    assert "no route" in said


def test_every_release_of_the_locks_is_asked_about_whatever_its_marker() -> None:
    windows = "Colorama.Win==0.4.6 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
    lock = windows + "uvicorn[standard]==1.0 --hash=sha256:00\n"
    assert list(audit.pins_of(lock)) == [Pin("colorama-win", "0.4.6"), Pin("uvicorn", "1.0")]
    for name in audit.LOCKS:
        text = (audit.REQUIREMENTS / name).read_text()
        assert len(list(audit.pins_of(text))) == text.count("==") - text.count(" == ") > 0, name


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("alpha==1.0", "no hash"),
        ("alpha>=1.0 --hash=sha256:00", "not pinned"),
        ("--requirement other.txt", "holds no options"),
        ("alpha @ https://files.example/alpha.zip --hash=sha256:00", "not pinned"),
    ],
)
def test_a_lock_holds_nothing_but_pins_with_hashes(line: str, fault: str) -> None:
    (found,) = audit.pin_faults("dev.txt", f"# comment\n{line}\n")
    assert fault in found


# pip-audit itself ------------------------------------------------------------------------------------------


@contextmanager
def advisory_service(vulnerable: Collection[Pin], broken: Collection[Pin] = ()) -> Iterator[str]:
    """The address of a service in OSV's shape that knows these releases to be vulnerable."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            pin = Pin(asked["package"]["name"], asked["version"])
            body: dict[str, Any] = {}
            if pin in vulnerable:
                affected = {"package": {"name": pin.name, "ecosystem": "PyPI"}, "ranges": []}
                body = {"vulns": [{"id": f"PYSEC-{pin.name}", "affected": [affected]}]}
            self.send_response(503 if pin in broken else 200)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.mark.usefixtures("loopback")
def test_pip_audit_is_understood_as_it_really_answers() -> None:
    """Run for real: a changed output or a lost option must not turn into an audit that passes."""
    answers = []

    def ask(_service: str, pins: Collection[Pin]) -> Answer:
        answers.append(audit.pip_audit("osv", pins, "--osv-url", url))
        return answers[-1]

    with advisory_service(vulnerable=[CONTROL, B]) as url:
        faults = audit.advisory_faults({A, B}, ask)
    assert faults == ["beta 2.0: PYSEC-beta, fixed in no release"]
    (answer,) = answers
    assert answer.advisories[A] == []
    assert answer.advisories[CONTROL] == ["PYSEC-jinja2, fixed in no release"]


@pytest.mark.usefixtures("loopback")
def test_two_releases_of_one_package_are_both_judged() -> None:
    """A lock may pin one for older Pythons and one for newer ones, or the control itself."""
    newer = Pin(CONTROL.name, "9.0")
    with advisory_service(vulnerable=[CONTROL]) as url:
        answer = audit.pip_audit("osv", [newer, CONTROL], "--osv-url", url)
    assert answer.advisories == {newer: [], CONTROL: ["PYSEC-jinja2, fixed in no release"]}


@pytest.mark.usefixtures("loopback")
def test_a_service_that_fails_on_one_package_is_not_taken_for_unreachable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audit, "SERVICES", ("osv",))
    with advisory_service(vulnerable=[CONTROL], broken=[B]) as url:
        faults = audit.advisory_faults({A, B}, lambda _, pins: audit.pip_audit("osv", pins, "--osv-url", url))
    assert [fault.split(" was ")[0] for fault in faults] == ["alpha 1.0", "beta 2.0"]


def test_a_skip_is_read_as_pip_audit_writes_it() -> None:
    reason = "Dependency not found on PyPI and could not be audited: setuptools (84.2.1)"
    said = {"dependencies": [{"name": "setuptools", "skip_reason": reason}], "fixes": []}
    assert audit.read_answer(json.dumps(said)) == Answer({}, {"setuptools": reason})


def test_an_option_that_pip_audit_does_not_know_is_a_broken_audit() -> None:
    with pytest.raises(AuditBroken, match="unrecognized arguments"):
        audit.pip_audit("osv", [A], "--no-such-option")
