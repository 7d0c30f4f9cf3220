"""The demo's processes start wherever the demo runs, and one that doesn't says why; what it tells keeps its secret."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.demo import report
from cli.demo.course import THE_DAY
from cli.demo.place import HURRIED, furnish
from cli.demo.processes import Family, wait_for_file
from cli.errors import CommandFailed


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    """Its processes find the modules that a test has written into `tmp_path`."""
    (tmp_path / "writes_one.py").write_text("import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('1')")
    (tmp_path / "says_nothing.py").write_text("import sys; sys.exit(3)")
    family = Family(tmp_path)
    yield family
    family.stop()


def test_children_start_where_the_demo_is_process_1_as_in_a_container(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(os, "getppid", lambda: 1)

    child = family.start("it", ("writes_one", str(tmp_path / "one")), {"PYTHONPATH": str(tmp_path)})

    assert child.popen.wait(30) == 0
    assert (tmp_path / "one").read_text() == "1"


def test_a_child_that_ends_without_a_word_is_told_with_its_exit_code(family: Family, tmp_path: Path) -> None:
    child = family.start("it", ("says_nothing",), {"PYTHONPATH": str(tmp_path)})

    with pytest.raises(CommandFailed, match=r"it did not start and ended with exit code 3; .*\n\(nothing\)"):
        wait_for_file(child, tmp_path / "never")


def test_no_command_that_the_demo_tells_has_its_token_on_the_line(tmp_path: Path) -> None:
    place = furnish(
        tmp_path,
        bootstrap="127.0.0.1:1",
        sandbox="http://127.0.0.1:2",
        http_port=3,
        guests=(THE_DAY,),
        times=HURRIED,
    )

    told = report.how_to_go_on(place)

    assert place.token_file.read_text() == f"Authorization: Bearer {place.token}\n"
    assert f"-H @{place.token_file}" in told["publish"]
    assert [name for name, command in told.items() if place.token in command] == []
