"""The documentation builds strictly, is whole, and asks nothing of the network."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.registry import TYPES
from tests.docs.guides import DOCS, ROOT

LOADED = re.compile(
    r"""<(?:script|img|iframe|link)\b[^>]*\b(?:src|href)=["']?(?:https?:)?//|url\((?:https?:)?//|@import"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(directory)],
        cwd=ROOT,
        env={"NO_MKDOCS_2_WARNING": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, f"{built.stdout}\n{built.stderr}"
    return directory


@pytest.mark.feature("beyond.catalog", part="docs")
def test_every_page_is_in_the_site_and_the_contract_as_documents_too(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        name = page.with_stem("index") if page.stem == "README" else page
        assert (site / name.relative_to(DOCS).with_suffix(".html")).is_file(), page
    assert {path.name for path in (site / "contract" / "schemas").iterdir()} == {
        "asyncapi.json",
        *(f"{name}.json" for name in TYPES),
    }
    assert (site / "reference" / "tenant.schema.json").is_file()
    quote = (site / "contract" / "quote.published.v1.html").read_text()
    assert 'href="schemas/quote.published.v1.json"' in quote
    assert "ARCHITECTURE.html" in (site / "concepts.html").read_text()


def test_every_page_can_be_reached_from_the_first(site: Path) -> None:
    home = (site / "index.html").read_text()
    for page in site.rglob("*.html"):
        name = str(page.relative_to(site))
        assert f'href="{name}"' in home or name in ("404.html", "index.html"), name


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert LOADED.search(page.read_text()) is None, page


def test_no_link_leads_to_a_page_that_is_not_there(site: Path) -> None:
    """MkDocs checks what is written in pages; this, what a reader gets."""
    for page in site.rglob("*.html"):
        for to in set(re.findall(r'href="([^"#:?]+)(?=["#?])', page.read_text())):
            assert to.startswith("/") or (page.parent / to).exists(), f"{page}: {to}"
