"""The producers file: what it takes, and what a changed one does to a running door."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.ingest.producers import ProducersFile, ProducersInvalid, parse


def sha(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def entry(name: str, token: str) -> str:
    return f"- {{name: {name}, token_sha256: {sha(token)}, tenants: [acme], types: '*'}}\n"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def rewrite(path: Path, text: str) -> None:
    """A new file in the old one's place, as a mounted secret changes."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


def test_a_changed_file_is_in_force_without_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "producers.yaml", Clock()
    path.write_text("producers:\n" + entry("quoter", "old"))
    file = ProducersFile(path, clock)
    rewrite(path, "producers:\n" + entry("quoter", "new"))
    clock.now = 5.0
    assert file.current().of_token("old") is None
    found = file.current().of_token("new")
    assert found is not None
    assert found.name == "quoter"


@pytest.mark.parametrize("text", ["producers: {", "producers: [{name: x}]", "", "\xff"])
def test_an_invalid_change_keeps_the_last_good_version(tmp_path: Path, text: str) -> None:
    path, clock = tmp_path / "producers.yaml", Clock()
    path.write_text("producers:\n" + entry("quoter", "old"))
    file = ProducersFile(path, clock)
    rewrite(path, text)
    clock.now = 5.0
    assert file.current().of_token("old") is not None
    path.unlink()
    clock.now = 10.0
    assert file.current().of_token("old") is not None


def test_a_file_is_refused_for_as_long_as_it_is_invalid(tmp_path: Path) -> None:
    path, clock = tmp_path / "producers.yaml", Clock()
    path.write_text("producers:\n" + entry("quoter", "old"))
    file = ProducersFile(path, clock)
    assert not file.is_refused()
    rewrite(path, "producers: {")
    clock.now = 5.0
    assert file.is_refused()
    clock.now = 10.0
    assert file.is_refused(), "nobody has corrected it"
    rewrite(path, "producers:\n" + entry("quoter", "new"))
    clock.now = 15.0
    assert not file.is_refused()


def test_a_first_file_that_is_missing_or_wrong_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ProducersInvalid, match="can't be read"):
        ProducersFile(tmp_path / "none.yaml", Clock())


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("producers:\n" + entry("a", "1") + entry("a", "2"), "same name"),
        ("producers:\n" + entry("a", "1") + entry("b", "1"), "same token"),
        ("producers: [{name: a, token_sha256: [], tenants: '*', types: '*'}]", "token_sha256"),
        ("producers: [{name: a, token: x, tenants: '*', types: '*'}]", "token"),
        ("producers: [{name: 'a/b', token_sha256: [x], tenants: all, types: '*'}]", "name"),
    ],
)
def test_what_is_wrong_is_named(text: str, names: str) -> None:
    with pytest.raises(ProducersInvalid, match=names):
        parse(text.encode())


def test_a_token_that_stands_where_its_hash_belongs_is_not_repeated() -> None:
    with pytest.raises(ProducersInvalid) as refused:
        parse(b"producers: [{name: a, token_sha256: my-very-own-token, tenants: '*', types: '*'}]")
    assert "my-very-own-token" not in str(refused.value)
