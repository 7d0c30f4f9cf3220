"""Each recorded history is replayed: the same events lead to the same commands, and those to the same Halo requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from schemas.commands import TYPE_OF_KIND
from schemas.targets import KINDS
from services.halo_writer.kinds import SPECS
from services.halo_writer.rehearsal import Sent
from tests.golden.conftest import as_recorded
from tests.golden.history import FOLDER, History, histories
from tests.golden.replay import commands_text, mapped, requested, shown


def test_the_commands_are_the_recorded_ones(history: History) -> None:
    as_recorded(history, "commands", commands_text(mapped(history)))


async def test_halo_is_asked_for_what_is_recorded(history: History, store_file: Path) -> None:
    as_recorded(history, "requests", await requested(mapped(history), history, store_file))


def test_what_rules_try_shows_is_what_halo_was_sent(history: History) -> None:
    """Shown with a Halo that has no record; recorded with one that had some: those are ensured, and not sent."""
    told: dict[str, Any] = {}
    recorded = json.loads(history.recorded("requests"))
    for chapter, steps in zip(recorded, shown(mapped(history)), strict=True):
        left = [request for step in steps if (request := step.request) is not None]
        for path, element in _posted(chapter):
            passed = _first(left, path, element, told)
            assert passed is not None, f"{chapter['event']}: nothing shown is {path} {element}"
            skipped, left = left[:passed], left[passed + 1 :]
            assert all(map(_may_be_there, skipped)), f"{chapter['event']}: {skipped} was not sent"
        assert all(map(_may_be_there, left)), f"{chapter['event']}: {left} was not sent"


def _posted(chapter: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for request in chapter["requests"]:
        if request["method"] == "POST":
            for element in request["body"]:
                yield request["path"].strip("/"), element


def _first(shown: list[Sent], path: str, element: dict[str, Any], told: dict[str, Any]) -> int | None:
    """The place of the first request that can be this one; then its words stand for the same from here on."""
    for place, request in enumerate(shown):
        tried = dict(told)
        if request.path.strip("/") == path and _is(request.element, element, tried):
            told |= tried
            return place
    return None


def _may_be_there(request: Sent) -> bool:
    return request.when == "if no record matches"


def _is(shown: Any, sent: Any, told: dict[str, Any]) -> bool:
    """Whether a shown value is the sent one, each of its words standing for one value in the whole history."""
    match shown:
        case str() if shown.startswith("<"):
            return bool(told.setdefault(shown, sent) == sent)
        case dict():
            left = [value for name, value in shown.items() if name not in sent]
            known = sent.keys() <= shown.keys() and all(_is(shown[name], sent[name], told) for name in sent)
            return known and all(str(value).endswith(", else left out>") for value in left)
        case list():
            pairs = zip(shown, sent, strict=False)
            return len(shown) == len(sent) and all(_is(one, other, told) for one, other in pairs)
        case Decimal():
            return shown == Decimal(str(sent))
        case _:
            return bool(shown == sent)


def test_the_histories_cover_every_kind_of_record_and_every_ending() -> None:
    commands = "".join(history.recorded("commands") for history in histories())
    requests = "".join(history.recorded("requests") for history in histories())
    assert [kind for kind in KINDS if f'"command": "{TYPE_OF_KIND[kind]} ' not in commands] == []
    made = {spec.resource.path.strip("/") for spec in SPECS.values()}
    # A site of an existing client needs none, and the contacts of new ones are made with them.
    missing = {path for path in made if f'"method": "POST", "path": "/{path}"' not in _flat(requests)}
    assert missing <= {"Site", "Users"}
    for ending in ("mapped", "repeat", "stale", "waiting", "not_won"):
        assert f'"result": "{ending}"' in commands
    for refusal in ("revision.conflict", "ordering.mixed", "mapping.rejected"):
        assert f'"refused": "{refusal}"' in commands


def _flat(text: str) -> str:
    return " ".join(text.split())


def test_each_folder_is_a_whole_history() -> None:
    files = {"commands.json", "events.json", "requests.json", "tenant.yaml"}
    for folder in FOLDER.iterdir():
        assert {path.name for path in folder.iterdir()} == files, folder.name
        assert (folder / "tenant.yaml").read_text().startswith("# "), "it begins with what it shows"


def test_a_change_is_told_as_a_difference_with_what_to_do() -> None:
    history = histories()[0]
    text = history.recorded("requests").replace('"path": "/Quotation"', '"path": "/Offer"')
    with pytest.raises(pytest.fail.Exception) as failed:
        as_recorded(history, "requests", text)
    assert f"--write {history.name}" in str(failed.value)
    assert '/Offer"' in str(failed.value)
