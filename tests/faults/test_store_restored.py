"""The store is restored to a moment ago, while Kafka and Halo remember what has happened since.

Nothing goes on with such a store before `hub store restored`, and with it all goes on as if nothing had been: the
sandbox's final state and its requests are the oracle.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import QUOTES
from tests.faults.conftest import all_commands_ended, quotes_titled, worked_off
from tests.faults.on_the_log import outcomes
from tests.support.hub import ROOT, SETTLE_S, Hub, eventually, quote_event
from tests.support.postgres import binaries

pytestmark = [pytest.mark.timeout(600), pytest.mark.fault("F40")]
_KNOWN = {"id": "org-0", "name": "Warm Up Ltd"}
_PATIENCE_S = 120.0


@pytest.fixture(autouse=True, scope="module")
def short_window(hub: Hub) -> None:
    """After a restore all of the budget counts as spent: for as long as its window."""
    path = hub.directory / "tenants" / "acme.yaml"
    path.write_text(path.read_text().replace("window: 10s", "window: 1s"))


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    return tmp_path / "store.dump"


def back_up(hub: Hub, dump: Path) -> None:
    _postgres("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={_plain(hub.store_url)}")


def restore(hub: Hub, dump: Path, *into: str) -> None:
    """Put the dump in place of the database; those who were connected have been killed."""

    def restored() -> bool:
        return not _postgres("pg_restore", "--clean", "--if-exists", *into, str(dump), check=False).returncode

    eventually(restored, _PATIENCE_S, what="the dump restored")


def kill_all(hub: Hub) -> None:
    for process in hub.processes.values():
        if process.popen.poll() is None:
            process.kill()


def refuses(hub: Hub, *services: str) -> None:
    """Each of the services ends by itself, saying what to do."""
    started = [hub.start(service) for service in services]
    for process in started:
        assert process.ended(_PATIENCE_S) == 1
        assert "hub store restored" in process.log.read_text()


def go_on(hub: Hub) -> None:
    """What an operator does: one command, then the services."""

    def declared() -> bool:
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", "store", "restored", "--yes"],
            env={**os.environ, **hub.environment},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        # A killed member counts until its session is over.
        assert done.returncode == 0 or "still running" in done.stderr, done.stderr
        return done.returncode == 0

    eventually(declared, _PATIENCE_S, what="the restore declared")
    hub.start_all()


def line(line_id: str, code: str) -> dict[str, Any]:
    product = {"name": f"Product {code}", "manufacturer_part_number": code}
    return {"id": line_id, "product": product, "quantity": 1, "price": "10.00"}


def in_halo(hub: Hub, title: str, **expected: Any) -> dict[str, Any]:
    def found() -> dict[str, Any] | None:
        rows: list[dict[str, Any]] = quotes_titled(hub, title)
        fits = rows and all(rows[0].get(name) == value for name, value in expected.items())
        return rows[0] if fits else None

    row: dict[str, Any] = eventually(found, _PATIENCE_S, what=f"{title} with {expected}")
    return row


def at_rest(hub: Hub) -> None:
    """Every command has ended, nothing waits, and Halo has had no write for longer than one could be sent again."""

    def rested() -> bool:
        if not all_commands_ended(hub) or waiting(hub):
            return False
        before = hub.sandbox.last_request()
        try:
            eventually(lambda: hub.sandbox.requests(since=before, method="POST"), SETTLE_S / 2)
        except AssertionError:
            return True
        return False

    eventually(rested, _PATIENCE_S, what="the hub at rest")


def waiting(hub: Hub) -> str:
    counted = "SELECT count(*) FROM pending WHERE stage = 'writer'"
    found = _postgres("psql", "--tuples-only", "--no-align", f"--command={counted}", _plain(hub.store_url))
    return found.stdout.strip().lstrip("0")


def nothing_is_doubled(hub: Hub) -> None:
    for resource, name in (
        ("Client", "name"),
        ("Item", "supplier_part_code"),
        ("Opportunities", "summary"),
        ("Quotation", "title"),
        ("Users", "emailaddress"),
    ):
        names = [row[name] for row in hub.sandbox.state(resource) if row.get(name)]
        assert sorted(set(names)) == sorted(names), resource
    for quote in hub.sandbox.state("Quotation"):
        codes = [row["productcode"] for row in quote["lines"]]
        assert len(set(codes)) == len(codes), quote["title"]


def test_a_store_restored_from_a_dump_loses_nothing_and_doubles_nothing(hub: Hub, dump: Path) -> None:
    hub.start("writer")
    hub.publish(quote_event("kept", 1, customer=_KNOWN))
    hub.publish(quote_event("grown", 1, customer=_KNOWN, lines=[line("a", "FW-100"), line("b", "AP-W6")]))
    in_halo(hub, "Quote kept", status=2)
    in_halo(hub, "Quote grown", status=2)
    at_rest(hub)
    back_up(hub, dump)

    new = {"id": "org-after", "name": "After The Backup Ltd"}
    contact = {"id": "person-after", "name": "Kim Novak", "email": "kim@after.example"}
    hub.publish(quote_event("after", 1, customer=new, contact=contact, lines=[line("x", "NEW-1")]))
    grown = [line("a", "FW-100"), line("b", "AP-W6"), line("c", "KM-SET")]
    hub.publish(quote_event("grown", 2, customer=_KNOWN, lines=grown, status="approved"))
    in_halo(hub, "Quote after", status=2)
    in_halo(hub, "Quote grown", status=3)
    eventually(lambda: all_commands_ended(hub), _PATIENCE_S, what="positions that the backup doesn't know")
    hub.sandbox.arm(
        "slow", method="POST", path="/Quotation", body="Quote hanging", delay_s=60.0, apply="first"
    )
    hub.publish(quote_event("hanging", 1, customer={"id": "org-hang", "name": "Hanging Ltd"}))
    in_halo(hub, "Quote hanging")
    kill_all(hub)
    hub.sandbox.disarm()
    restore(hub, dump, "--create", "--dbname", _plain(_maintenance(hub)))

    refuses(hub, "writer", "mapper")
    go_on(hub)
    hub.publish(quote_event("kept", 2, customer=_KNOWN, status="approved"))
    hub.publish(quote_event("later", 1, customer=new, lines=[line("x", "NEW-1")]))
    in_halo(hub, "Quote kept", status=3)
    in_halo(hub, "Quote later", status=2)
    in_halo(hub, "Quote hanging", status=2)
    at_rest(hub)
    nothing_is_doubled(hub)
    assert [row["productcode"] for row in in_halo(hub, "Quote grown", status=3)["lines"]] == [
        "FW-100",
        "AP-W6",
        "KM-SET",
    ]
    assert {quote["title"] for quote in hub.sandbox.state("Quotation")} >= {
        f"Quote {name}" for name in ("kept", "grown", "after", "hanging", "later")
    }


def test_what_waited_when_the_backup_was_made_and_settled_since_is_not_sent_again(
    hub: Hub, dump: Path
) -> None:
    """Only the writer has worked since, on what was in the store: no position tells of it."""
    hub.wait_ready("writer")
    hub.publish(quote_event("widened", 1, customer=_KNOWN, lines=[line("a", "FW-100")]))
    in_halo(hub, "Quote widened", status=2)
    at_rest(hub)
    hub.sandbox.down()
    new = {"id": "org-waited", "name": "Waited Ltd"}
    hub.publish(quote_event("waited", 1, customer=new))
    hub.publish(quote_event("widened", 2, customer=_KNOWN, lines=[line("a", "FW-100"), line("b", "AP-W6")]))
    eventually(lambda: worked_off(hub, "hub-mapper", QUOTES), _PATIENCE_S, what="both mapped")
    eventually(lambda: waiting(hub) and all_commands_ended(hub), _PATIENCE_S, what="all of it waiting")
    hub.processes["mapper"].kill()
    hub.processes["ingest"].kill()
    back_up(hub, dump)
    hub.sandbox.disarm()
    in_halo(hub, "Quote waited", status=2)
    eventually(lambda: len(in_halo(hub, "Quote widened")["lines"]) == 2, _PATIENCE_S)
    # That it has settled is what the log is to remember.
    eventually(lambda: outcomes(hub, "quote", "waited"), _PATIENCE_S, what="its outcome on the log")
    kill_all(hub)
    restore(hub, dump, "--dbname", _plain(hub.store_url))

    refuses(hub, "writer")
    go_on(hub)
    hub.publish(quote_event("waited", 2, customer=new, status="approved"))
    in_halo(hub, "Quote waited", status=3)
    at_rest(hub)
    nothing_is_doubled(hub)
    assert [row["productcode"] for row in in_halo(hub, "Quote widened")["lines"]] == ["FW-100", "AP-W6"]


def _plain(url: str) -> str:
    return url.replace("+asyncpg", "", 1)


def _maintenance(hub: Hub) -> str:
    return f"{hub.store_url.rpartition('/')[0]}/postgres"


def _postgres(program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(binaries() / program), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 or not check, done.stderr
    return done
