"""`hub rules try --against`: the same events under two tenant files, for people and for pipelines."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cli.main import run
from tests.docs.guides import blocks, execute, put_hub_on_the_path

TENANT = """
tenant: acme
halo: {url: https://acme.halopsa.com, client_id: x, client_secret: env:NOT_NEEDED}
items: {asset_group: Hardware}
opportunities: {ticket_type: Opportunity}
quotes:
  revisions: overwrite
  statuses: {sent: Sent, approved: Accepted}
"""
QUOTE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/quoter",
    "type": "quote.published.v1",
    "subject": "Q-7",
    "time": "2026-01-05T10:00:00Z",
    "tenant": "acme",
    "revision": 1,
    "data": {
        "title": "Laptops",
        "status": "sent",
        "customer": {"name": "Bright Dental"},
        "lines": [{"id": "1", "product": {"name": "Laptop"}, "quantity": 2, "price": "10.10"}],
    },
}
APPROVED = QUOTE | {
    "id": "e-2",
    "type": "quote.status_changed.v1",
    "revision": 2,
    "data": {"status": "approved"},
}


class Answer(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.out)
        return read


class Desk:
    """Two tenant files and a file of events."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.this, self.other = directory / "now.yaml", directory / "then.yaml"
        self.events = directory / "events.json"
        self._capsys = capsys
        self.this.write_text(TENANT)
        self.other.write_text(TENANT)
        self.events.write_text(json.dumps([QUOTE, APPROVED]))

    def change(self, before: str, after: str) -> None:
        assert before in TENANT
        self.other.write_text(TENANT.replace(before, after))

    def run(self, *more: str) -> Answer:
        code = run(["rules", "try", str(self.this), str(self.events), *more])
        return Answer(code, *self._capsys.readouterr())

    def compare(self, *more: str) -> Answer:
        return self.run("--against", str(self.other), *more)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_two_files_that_lead_to_the_same_have_no_diff(desk: Desk) -> None:
    desk.change("items: {asset_group: Hardware}", "items: {asset_group: Hardware, push: false}")
    assert desk.compare("--diff") == (0, "", "")
    answer = desk.compare("--json")
    assert (answer.code, answer.document["same"], answer.document["differences"]) == (0, True, [])


def test_a_diff_shows_what_would_be_sent_instead(desk: Desk) -> None:
    desk.change("approved: Accepted", "approved: Won")
    answer = desk.compare("--diff")
    assert answer.code == 1
    lines = answer.out.splitlines()
    assert lines[:2] == [f"--- {desk.this}", f"+++ {desk.other}"]
    assert '-POST /Quotation · quote Q-7 · status: "<quote status: Accepted, else left out>"' in lines
    assert '+POST /Quotation · quote Q-7 · status: "<quote status: Won, else left out>"' in lines
    assert not any("Sent" in line for line in lines if line[:1] in "+-"), "what is equal is no difference"


def test_each_line_of_a_sales_order_is_compared_for_itself(desk: Desk) -> None:
    data = QUOTE["data"]
    second = {"id": "2", "product": {"name": "Care"}, "quantity": 1, "price": "5", "frequency": "month"}
    desk.events.write_text(
        json.dumps([QUOTE | {"data": {**data, "lines": [*data["lines"], second]}}, APPROVED])
    )
    ordered = TENANT + "  sales_order: true\nbilling_periods: {month: Monthly}\n"
    desk.this.write_text(ordered)
    desk.other.write_text(ordered.replace("Monthly", "Yearly"))

    changed = [line for line in desk.compare("--diff").out.splitlines() if line.startswith("+sales_order")]

    assert [line.partition(":")[0] for line in changed] == ["+sales_order Q-7 · lines 2"]


def test_without_a_terminal_the_diff_is_printed_and_is_no_failure(desk: Desk) -> None:
    desk.change("approved: Accepted", "approved: Won")
    answer = desk.compare()
    assert answer.code == 0
    assert answer.out == desk.compare("--diff").out


def test_on_a_terminal_the_two_stand_side_by_side_with_what_differs_marked(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.change("approved: Accepted", "approved: Won")
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda _: True)
    answer = desk.compare()
    assert answer.code == 0
    (marked,) = [line for line in answer.out.splitlines() if "≠" in line and "POST" in line]
    assert marked.index("Accepted") < marked.index("Won")
    same = next(line for line in answer.out.splitlines() if "Quotation · quote Q-7 · title" in line)
    assert same.count("Laptops") == 2
    assert "≠" not in same
    assert "+++" in desk.compare("--diff").out


def test_a_mode_of_revisions_shows_in_the_requests_of_the_whole_history(desk: Desk) -> None:
    """One quote that is updated, or one for each status: only the second event differs in its requests."""
    desk.change("overwrite", "new")
    answer = desk.compare("--json").document
    this, other = answer["events"][1]["requests"], answer["against"]["events"][1]["requests"]
    assert [request["element"] for request in this] == [
        {"id": "<quote Q-7>", "status": "<quote status: Accepted, else left out>"}
    ]
    (made,) = other
    assert made["when"] == "create"
    assert made["element"]["lines"][0]["name"] == "Laptop"
    places = {(line["event"], line["at"]) for line in answer["differences"]}
    assert ("e-2", "POST /Quotation · quote Q-7 · id") in places
    missing = next(line for line in answer["differences"] if line["at"].endswith("quote Q-7 · id"))
    assert (missing["this"], missing["other"]) == ('"<quote Q-7>"', None)


def test_another_tenants_file_is_read_as_if_it_were_this_ones(desk: Desk) -> None:
    other = TENANT.replace("tenant: acme", "tenant: northwind").replace("acme.halopsa", "northwind.halopsa")
    desk.other.write_text(other)
    assert desk.compare("--diff") == (0, "", "")
    desk.other.write_text(other + "sources:\n  quoter:\n    opportunities: {status: Qualified}\n")
    assert "<status: Qualified" in desk.compare("--diff").out


def test_an_event_that_the_other_file_refuses_is_a_difference_and_a_failure(desk: Desk) -> None:
    number = "items: {asset_group: Hardware, part_number: {fallback: ''}}"
    desk.change("items: {asset_group: Hardware}", number)
    answer = desk.compare("--json")
    assert (answer.code, answer.document["ok"], answer.document["against"]["ok"]) == (1, False, False)
    assert any(line["at"].startswith("fault") for line in answer.document["differences"])


def test_what_cant_be_used_ends_with_2_and_says_what(desk: Desk) -> None:
    desk.other.write_text("tenant: acme\nnope: 1\n")
    answer = desk.compare()
    assert (answer.code, answer.out) == (2, "")
    assert str(desk.other) in answer.err
    assert "nope" in answer.err
    desk.other.unlink()
    assert desk.compare("--json").document["error"]
    answer = desk.run("--diff")
    assert answer.code == 2
    assert "--against" in answer.err
    desk.events.unlink()
    answer = desk.run()
    assert (answer.code, answer.out) == (2, "")
    assert str(desk.events) in answer.err


def test_a_file_that_holds_no_event_is_told_with_its_fault(desk: Desk) -> None:
    desk.events.write_text("{ no event")
    answer = desk.compare("--json")
    assert (answer.code, answer.document["ok"], answer.document["events"]) == (1, False, [])
    assert answer.document["faults"]


def test_the_guide_compares_two_files(tmp_path: Path) -> None:
    (tmp_path / "tenants").mkdir()
    (tmp_path / "tenants" / "acme.yaml").write_text(TENANT)
    path = f"{put_hub_on_the_path(tmp_path / 'bin')}:/usr/bin:/bin"
    compare = blocks("tenants.md", "bash")[0]
    root = str(Path(__file__).parents[3])
    shown = execute(compare, {"PATH": path, "PYTHONPATH": root, "HOME": str(tmp_path)}, tmp_path)
    assert ", else Services>" in shown
