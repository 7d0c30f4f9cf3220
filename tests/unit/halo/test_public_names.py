"""The package's promise to its callers: the names, and what the package may import."""

import ast
from pathlib import Path

import halo

ROOT = Path(halo.__file__).parent
ALLOWED = {"halo", "httpx", "msgspec"}
PURE = (
    "arrays",
    "outcomes",
    "messages",
    "redact",
    "budget",
    "paging",
    "resources",
    "wire",
    "secret",
    "connection",
    "reply",
)
IMPURE = {"asyncio", "httpx", "time", "random", "datetime", "os", "pathlib"}
NAMES = (
    "RESOURCES AuthError AuthRefused AuthThrottled AuthUnreachable Budget ConfigurationError Connection "
    "Gate GateClosed HaloClient HaloError InvalidClient InvalidScope Login Outcome Probe ReadFailed Reply "
    "RequestLine Resource Secret as_id derive_servers error_text known_fix record_count redact_mapping "
    "redact_query redact_text resolve_servers rows_of "
)


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_the_public_names_are_these_and_all_exist() -> None:
    assert sorted(halo.__all__) == sorted(NAMES.split())
    assert all(hasattr(halo, name) for name in halo.__all__)


def test_the_package_needs_httpx_and_msgspec_only() -> None:
    import sys

    for path in ROOT.glob("*.py"):
        third_party = imports_of(path) - set(sys.stdlib_module_names)
        assert third_party <= ALLOWED, path.name


def test_decisions_touch_neither_network_nor_clock() -> None:
    for module in PURE:
        assert not imports_of(ROOT / f"{module}.py") & IMPURE, module
