"""What the site's build does beyond MkDocs: it takes in pages that lie beside `docs/`, and fills the navigation.

A link that leads out of `docs/` is turned to where that page is in the site; one to a file that is not in it, such as
a source file, becomes its text.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
_PAGES = ("ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
_SCHEMAS = "schemas/generated"
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]*)\]\((?P<to>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
_CODE = re.compile(r"(^```.*?^```|`[^`\n]+`)", re.MULTILINE | re.DOTALL)


@functools.cache
def beside() -> dict[str, str]:
    """What the site takes in from outside of docs: path in the repository to path in the site."""
    schemas = sorted((ROOT / _SCHEMAS).glob("*.json"))
    documents = {f"{_SCHEMAS}/{path.name}": f"contract/schemas/{path.name}" for path in schemas}
    return {page: page for page in _PAGES} | documents


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for source, target in beside().items():
        files.append(File.generated(config, target, abs_src_path=str(ROOT / source)))
    pages = sorted(file.src_uri for file in files.documentation_pages())
    config.nav = _filled(config.nav or [], pages, set(_named(config.nav or [])))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    place = page.file.src_uri
    here = place if place in beside() else f"docs/{place}"

    def turned(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), link["to"]))
        inside = target.removeprefix("docs/") if target.startswith("docs/") else beside().get(target)
        if inside is None or files.get_file_from_path(inside) is None:
            return link["text"] if not target.startswith("docs/") or link["to"].endswith("/") else link[0]
        relative = posixpath.relpath(inside, posixpath.dirname(place) or ".")
        return f"[{link['text']}]({relative}{link['anchor'] or ''})"

    parts = _CODE.split(markdown)
    return "".join(part if number % 2 else _LINK.sub(turned, part) for number, part in enumerate(parts))


def _named(nav: Any) -> Iterator[str]:
    """The pages that the navigation names itself."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for inner in nav.values():
            yield from _named(inner)
    else:
        for inner in nav:
            yield from _named(inner)


def _filled(nav: list[Any], pages: list[str], named: set[str]) -> list[Any]:
    """The navigation with every page in the place of its pattern; a section without pages is left out."""
    filled: list[Any] = []
    for entry in nav:
        match entry:
            case str():
                filled += _pages_of(entry, pages, named)
            case dict():
                ((title, inner),) = entry.items()
                if isinstance(inner, str) and inner in named and not _is_pattern(inner):
                    filled.append(entry)
                elif section := _filled([inner] if isinstance(inner, str) else inner, pages, named):
                    filled.append({title: section})
    return filled


def _is_pattern(entry: str) -> bool:
    return entry == "*" or entry.endswith("/")


def _pages_of(entry: str, pages: list[str], named: set[str]) -> list[str]:
    if not _is_pattern(entry):
        return [entry]
    directories = tuple(name for name in named if name.endswith("/"))
    left = [page for page in pages if page not in named]
    if entry == "*":
        return [page for page in left if not page.startswith(directories)]
    return [page for page in left if page.startswith(entry)]
