"""The command's answers: 0 clean, 1 a verdict failed, 2 bad use."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.soak import __main__ as command
from tests.soak.report import runs_of
from tests.soak.run import Given
from tests.soak.verdict import Run

BLANK = {
    "minutes": 1,
    "took_s": 1,
    "at": "",
    "commit": "",
    "machine": "",
    "tenants": 1,
    "rate": 1,
    "excused": 0,
    "events": {},
    "requests": {},
    "faults": {},
    "met": {},
    "starts_refused": 0,
}


@pytest.mark.parametrize(
    "words",
    [
        ["--minutes", "0"],
        ["--seed", "one"],
        ["--tenants", "100"],
        ["--only", "rain"],
        ["--rate", "-1"],
        ["--keep", "."],
    ],
    ids=" ".join,
)
def test_bad_use_ends_with_2_and_starts_nothing(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2


def test_seeds_run_one_after_another_and_one_that_fails_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(given: Given, directory: Path, tell: object) -> Run:
        lost = 1 if given.seed == 2 else 0
        return msgspec.convert({**BLANK, "seed": given.seed, "verdicts": {"lost": lost}}, Run)

    monkeypatch.setattr(command, "run", run)
    page = tmp_path / "soak.md"
    assert command.main(["--seed", "1", "3", "--report", str(page)]) == 0
    assert command.main(["--seed", "2,4", "--report", str(page)]) == 1
    assert [run.seed for run in runs_of(page.read_text())] == [1, 2, 3, 4]
    assert "seed 2: lost 1" in capsys.readouterr().out


def test_without_a_seed_one_is_drawn_and_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[int] = []

    def run(given: Given, directory: Path, tell: object) -> Run:
        drawn.append(given.seed)
        return msgspec.convert({**BLANK, "seed": given.seed, "verdicts": {}}, Run)

    monkeypatch.setattr(command, "run", run)
    assert command.main(["--seed"]) == 0
    assert f"seed {drawn[0]}" in capsys.readouterr().out
