"""Every page says the same things in the same places, is used by a test, and names only what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.settings import Settings
from hub.tenants.model import Halo
from tests.support import prometheus
from tests.support.runbook import DIRECTORY, SECTIONS, Runbook
from tools.metrics import catalogue

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in DIRECTORY.glob("*.md") if path.name != "README.md")
TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
SOURCES = "".join(
    path.read_text()
    for folder in ("hub", "services", "halo", "cli")
    for path in (ROOT / folder).rglob("*.py")
)
OF_A_TENANT = {f"halo.{key}" for key in Halo.model_fields}
FILES = (".yaml", ".md", ".sh")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_says_what_it_is_what_is_safe_where_to_look_how_to_mend_it_and_when_it_is_over(
    name: str,
) -> None:
    page = Runbook(name)
    text = (DIRECTORY / f"{name}.md").read_text()
    assert tuple(page.sections) == SECTIONS
    assert text.startswith("# ")
    assert "**Safe already:**" in text
    assert page.blocks["Look"]
    assert page.blocks["Verify"]
    assert text.count("\n") < 70, "nobody reads more at night"


@pytest.mark.parametrize("name", PAGES)
def test_a_test_uses_the_page(name: str) -> None:
    assert f'case("{name}"' in TESTS or f'case(\n        "{name}"' in TESTS


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_its_alert_and_no_metric_setting_or_log_line_that_there_is_not(name: str) -> None:
    text = (DIRECTORY / f"{name}.md").read_text()
    alerts = {rule["alert"] for rule in prometheus.rules()}
    assert set(re.findall(r"\bHub[A-Z]\w+", text)) <= alerts
    assert set(re.findall(r"\bhub_[a-z_]+", text)) <= catalogue().keys()
    assert {one.lower() for one in re.findall(r"\bHUB_([A-Z_]+)", text)} <= set(Settings.model_fields)
    told = re.findall(r"`([a-z_]+\.[a-z_]+)`", text)
    unknown = [one for one in told if not one.endswith(FILES) and f'"{one}"' not in SOURCES]
    assert set(unknown) <= OF_A_TENANT


def test_the_list_has_every_page_with_its_alert_and_how_bad_it_is() -> None:
    text = (DIRECTORY / "README.md").read_text()
    for rule in prometheus.rules():
        page = Path(rule["annotations"]["runbook_url"])
        title = (ROOT / page).read_text().splitlines()[0].removeprefix("# ")
        assert f"| `{rule['alert']}` | {rule['labels']['severity']} | [{title}]({page.name}) |" in text
    listed = re.findall(r"\]\(([a-z-]+)\.md\) \|", text)
    assert sorted(listed) == PAGES
