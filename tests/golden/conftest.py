from __future__ import annotations

import difflib
import shutil
from pathlib import Path

import pytest

from tests.golden.history import History, histories
from tests.golden.replay import ground
from tests.sandbox.server import CLIENT_SECRET

_HOW = (
    "This differs from what was recorded. If CONTRIBUTING.md (Recorded histories) says that it may, record it with "
    "`python -m tests.golden --write {name}` and commit the difference."
)


@pytest.fixture(params=histories(), ids=lambda history: history.name)
def history(request: pytest.FixtureRequest) -> History:
    found: History = request.param
    return found


@pytest.fixture(scope="session")
def known_halo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that has read Halo's lists."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SANDBOX_SECRET", CLIENT_SECRET)
        return ground(tmp_path_factory.mktemp("golden"))


@pytest.fixture
def store_file(known_halo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SANDBOX_SECRET", CLIENT_SECRET)
    return Path(shutil.copy(known_halo, tmp_path / "store.db"))


def as_recorded(history: History, what: str, text: str) -> None:
    """Fails with the difference between a text and the recorded one."""
    recorded = history.recorded(what)
    if text != recorded:
        lines = difflib.unified_diff(
            recorded.splitlines(), text.splitlines(), f"recorded {what}", "now", n=3, lineterm=""
        )
        told = "\n".join([f"{history.name}: {_HOW.format(name=history.name)}", *lines])
        pytest.fail(told, pytrace=False)
