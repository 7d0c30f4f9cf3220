"""The pages of the documentation that are made from code. `python -m tools.docs` writes them.

A test compares what is checked in with what this module makes, so that no page can drift from the code.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hub.tenants.load import plain_yaml
from tools import docs_contract, docs_settings, docs_tenant

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FULL_TENANT_FILE = "reference/tenant.full.yaml"
CONTRACT = "contract"


def full_tenant_file() -> dict[str, Any]:
    """The content of the tenant file that has every key."""
    content: dict[str, Any] = plain_yaml((DOCS / FULL_TENANT_FILE).read_bytes())
    return content


def files() -> dict[str, str]:
    """Every generated file: its path below docs, and its text."""
    made = {f"{CONTRACT}/{name}": text for name, text in docs_contract.pages().items()}
    made["reference/configuration.md"] = docs_settings.page()
    made["reference/tenant.md"] = docs_tenant.page(full_tenant_file())
    made["reference/tenant.schema.json"] = docs_tenant.schema_text()
    return made


def write(directory: Path = DOCS) -> None:
    """Bring `directory` in step: files written, pages of types that are gone removed."""
    made = files()
    (directory / CONTRACT).mkdir(parents=True, exist_ok=True)
    for page in (directory / CONTRACT).glob("*.md"):
        if f"{CONTRACT}/{page.name}" not in made:
            page.unlink()
    for name, text in made.items():
        (directory / name).write_text(text)


if __name__ == "__main__":
    write()
