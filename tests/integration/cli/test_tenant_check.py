"""`hub tenant check` against the sandbox: what it proves, and that it leaves nothing behind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from tests.sandbox.server import CLIENT_ID, CLIENT_SECRET, Sandbox, SandboxProcess, start_sandbox

_numbers = count(1)
KINDS = ("Client", "Site", "Users", "Item", "Opportunities", "Quotation", "Attachment")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    started = start_sandbox(tmp_path_factory.mktemp("sandbox"))
    yield started
    started.stop()


@pytest.fixture
def sandbox(process: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    monkeypatch.setenv("CHECK_SECRET", CLIENT_SECRET)
    monkeypatch.delenv("HUB_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.delenv("HUB_STORE_URL", raising=False)
    with Sandbox(process.url, f"check-{next(_numbers)}") as instance:
        instance.configure()
        yield instance
        instance.disarm()
        instance.forget()


def tenant_file(directory: Path, sandbox: Sandbox, **changes: Any) -> Path:
    halo = {
        "resource_server": sandbox.resource_url,
        "authorization_server": sandbox.auth_url,
        "client_id": CLIENT_ID,
        "client_secret": "env:CHECK_SECRET",
        "budget": {"requests": 3000, "window": "300s"},
        **changes.pop("halo", {}),
    }
    file = {
        "tenant": "acme",
        "halo": halo,
        "items": {"asset_group": "Hardware"},
        "opportunities": {"ticket_type": "Opportunity"},
        "quotes": {"statuses": {"sent": "Sent"}},
        **changes,
    }
    path = directory / "acme.yaml"
    path.write_text(json.dumps(file))
    return path


def check(file: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, dict[str, Any]]:
    code = run(["tenant", "check", str(file), "--json", *options])
    captured = capsys.readouterr()
    assert CLIENT_SECRET not in captured.out + captured.err
    return code, json.loads(captured.out)


def rows(sandbox: Sandbox) -> dict[str, int]:
    return {kind: len(sandbox.state(kind)) for kind in (*KINDS, "ExternalLink")}


def test_a_good_tenant_passes_and_nothing_is_written_without_being_asked(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = check(tenant_file(tmp_path, sandbox), capsys)
    assert (code, answer["ok"], answer["proofs"]) == (0, True, [])
    assert {request["method"] for request in sandbox.requests()} == {"GET"}
    assert run(["tenant", "check", str(tmp_path / "acme.yaml")]) == 0
    assert "Test is successful." in capsys.readouterr().out


def test_our_key_is_proven_for_each_kind_and_every_record_is_gone_afterwards(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {kind: sandbox.state(kind) for kind in KINDS}
    code, answer = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof")
    assert code == 0, answer
    proven = {(proof["kind"], proof["by"]) for proof in answer["proofs"] if proof["ok"]}
    kinds = ("client", "site", "user", "item", "opportunity", "quote")
    assert proven >= {(kind, "external_link") for kind in kinds}
    assert proven >= {(kind, "field") for kind in ("user", "item", "opportunity", "quote", "attachment")}
    assert ("attachment", "external_link") not in proven, "which number such links have isn't known"
    assert {kind: sandbox.state(kind) for kind in KINDS} == before
    assert sandbox.requests(method="POST"), "the records were really made"


def arrays_of(answer: dict[str, Any]) -> dict[str, tuple[bool, bool, str | None]]:
    """By kind: taken, all or none, why not."""
    return {one["kind"]: (one["ok"], one.get("atomic", False), one.get("why")) for one in answer["arrays"]}


@pytest.mark.feature("beyond.bulk", part="halo client")
@pytest.mark.parametrize(("mode", "atomic"), [("partial", False), ("atomic", True)])
def test_what_a_bad_record_does_to_an_array_is_proven_for_each_kind_and_leaves_no_trace(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: str, atomic: bool
) -> None:
    sandbox.configure(arrays=mode)
    before = {kind: sandbox.state(kind) for kind in KINDS}
    code, answer = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof")
    assert code == 0, answer
    kinds = ("client", "site", "user", "item", "opportunity", "quote")
    assert arrays_of(answer) == dict.fromkeys(kinds, (True, atomic, None))
    assert {kind: sandbox.state(kind) for kind in KINDS} == before
    told = {one["name"]: one for one in answer["checks"]}
    assert told["clean-up"]["verdict"] == "ok"
    assert all(told[f"arrays of {kind}"]["verdict"] == "ok" for kind in kinds)
    posts = [request["body"] for request in sandbox.requests(method="POST")]
    assert [len(body) for body in posts].count(2) == 2 * len(kinds)


@pytest.mark.parametrize(
    ("halo", "why"),
    [
        ({"arrays": "single_only"}, "Halo answered 400"),
        ({"array_answer": "one"}, "does not tell this record"),
    ],
)
def test_a_halo_that_takes_no_arrays_or_tells_one_record_of_them_is_found_out(
    sandbox: Sandbox,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    halo: dict[str, Any],
    why: str,
) -> None:
    """The test still succeeds: nothing depends on arrays. What Halo stored untold is found and removed."""
    sandbox.configure(**halo)
    before = {kind: sandbox.state(kind) for kind in KINDS}
    code, answer = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof")
    assert (code, answer["ok"]) == (0, True)
    found = arrays_of(answer)
    assert len(found) == len(KINDS) - 1, "files share no request"
    assert all((ok, atomic) == (False, False) and why in str(said) for ok, atomic, said in found.values())
    told = {one["name"]: one for one in answer["checks"]}
    assert (told["arrays of item"]["verdict"], told["clean-up"]["verdict"]) == ("warning", "ok")
    assert {kind: sandbox.state(kind) for kind in KINDS} == before


def test_arrays_differ_by_kind_and_one_without_an_answer_proves_nothing(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.configure(arrays={"Item": "atomic", "Users": "single_only"})
    before = {kind: sandbox.state(kind) for kind in KINDS}
    sandbox.arm("store_then_drop", method="POST", path="^/Site$", body="check", skip=2)
    code, answer = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof")
    assert code == 0, answer
    found = arrays_of(answer)
    assert (found["item"][:2], found["user"][:2], found["client"][:2]) == (
        (True, True),
        (False, False),
        (True, False),
    )
    assert found["site"][0] is False
    assert {kind: sandbox.state(kind) for kind in KINDS} == before


def test_a_tenant_that_wants_no_arrays_is_not_tried_with_any(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tenant_file(tmp_path, sandbox, halo={"bulk": "off"})
    code, answer = check(file, capsys, "--write-proof")
    assert (code, answer["arrays"]) == (0, [])
    assert {len(request["body"]) for request in sandbox.requests(method="POST")} == {1}


def test_the_lag_of_halos_search_is_measured(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox.configure(search_lag_s=0.6)
    code, answer = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof", "--lag", "120")
    assert code == 0
    by_link = [proof for proof in answer["proofs"] if proof["by"] == "external_link"]
    assert by_link
    assert all(0.3 <= proof["lag_s"] < 120 for proof in by_link)


def test_a_halo_that_never_finds_a_new_record_fails_the_check(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = rows(sandbox)
    sandbox.configure(search_lag_s=600)
    code, answer = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof", "--lag", "0.3")
    assert code == 1
    assert not any(proof["ok"] for proof in answer["proofs"] if proof["by"] == "external_link")
    after = rows(sandbox)
    assert {kind: after[kind] for kind in ("Item", "Opportunities", "Quotation")} == {
        kind: before[kind] for kind in ("Item", "Opportunities", "Quotation")
    }


@pytest.mark.parametrize("path", ["^/Quotation$", "^/Opportunities$", "^/Item$", "^/Users$"])
def test_a_record_that_halo_refuses_fails_the_check_and_the_others_are_removed(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], path: str
) -> None:
    before = {kind: sandbox.state(kind) for kind in KINDS}
    sandbox.arm("error", method="POST", path=path, status=400, answer="not today", times=0)
    code, answer = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof")
    assert code == 1
    assert any("not today" in one["detail"] for one in answer["checks"] if one["verdict"] == "failed")
    assert {kind: sandbox.state(kind) for kind in KINDS} == before


def test_a_record_whose_answer_is_lost_is_found_by_our_key_and_removed(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {kind: sandbox.state(kind) for kind in KINDS}
    sandbox.arm("store_then_drop", method="POST", path="^/Item$")
    code, _ = check(tenant_file(tmp_path, sandbox), capsys, "--write-proof")
    assert code == 1
    assert {kind: sandbox.state(kind) for kind in KINDS} == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"halo": {"client_id": "wrong"}}, "client id"),
        ({"halo": {"scopes": ["read:actions"]}}, "read:actions"),
        ({"halo": {"resource_server": "http://127.0.0.1:1/api"}}, ""),
        ({"halo": {"authorization_server": "http://127.0.0.1:1/auth"}}, "authorization server"),
        ({"items": {"asset_group": "Servers"}}, "Use for Items"),
        ({"quotes": {"statuses": {"sent": "Snet"}}}, "Snet"),
        ({"halo": {"scopes": ["read:items"]}}, "clients"),
    ],
)
def test_what_is_wrong_is_named_and_the_exit_code_is_1(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], says: str
) -> None:
    code, answer = check(tenant_file(tmp_path, sandbox, **changes), capsys, "--write-proof")
    assert (code, answer["ok"]) == (1, False)
    assert any(says in one["detail"] for one in answer["checks"] if one["verdict"] == "failed")
    assert sandbox.requests(method="POST") == [], "nothing is tried on a Halo that fails"
    assert run(["tenant", "check", str(tmp_path / "acme.yaml")]) == 1
    assert "Test is not successful." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("shipping", "verdict"),
    [("wi-fi 6 access point", "ok"), (58, "ok"), ("Wi-Fi", "failed"), (4711, "failed")],
)
def test_the_shipping_product_is_looked_for_in_halo(
    sandbox: Sandbox,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    shipping: str | int,
    verdict: str,
) -> None:
    items = {"asset_group": "Hardware", "shipping": shipping}
    code, answer = check(tenant_file(tmp_path, sandbox, items=items), capsys)
    (found,) = (line for line in answer["checks"] if line["name"] == "items.shipping")
    assert (found["verdict"], code) == (verdict, 0 if verdict == "ok" else 1)
    if shipping == "Wi-Fi":
        assert "Wi-Fi 6 Access Point" in found["fix"], "what a search shows is named"


def test_an_unusable_file_or_secret_is_bad_input(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tenant_file(tmp_path, sandbox)
    monkeypatch.delenv("CHECK_SECRET")
    assert run(["tenant", "check", str(file)]) == 2
    assert "CHECK_SECRET" in capsys.readouterr().err
    file.write_text("tenant: acme\nnope: 1\n")
    assert run(["tenant", "check", str(file)]) == 2
    assert "nope" in capsys.readouterr().err
    assert run(["tenant", "check", str(tmp_path / "none.yaml")]) == 2
    assert run(["tenant", "check", str(file), "--refresh"]) == 2


@pytest.mark.feature("beyond.gitops", part="cli")
def test_what_halo_holds_for_names_is_saved_and_checked_against_without_it(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, saved = tenant_file(tmp_path, sandbox), tmp_path / "acme.catalogue.json"
    assert run(["tenant", "catalogue", str(file), "--save", str(saved), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(saved.read_text())
    assert {request["method"] for request in sandbox.requests()} == {"GET"}
    paths = {request["path"].rpartition("/")[2] for request in sandbox.requests()}
    assert not paths & {"Users", "Item", "Quotation"}, "no customer, user or item"
    assert "Hardware" in {row["name"] for row in told["lists"]["asset_group"]}

    asked = len(sandbox.requests())
    monkeypatch.delenv("CHECK_SECRET")
    code, answer = check(file, capsys, "--offline", str(saved))
    assert (code, answer["ok"]) == (0, True)
    code, answer = check(
        tenant_file(tmp_path, sandbox, items={"asset_group": "Hardwear"}), capsys, "--offline", str(saved)
    )
    assert (code, answer["ok"]) == (1, False)
    assert len(sandbox.requests()) == asked


@pytest.mark.feature("beyond.gitops", part="cli")
def test_a_halo_that_cannot_be_reached_ends_with_1_and_a_missing_secret_with_2(
    tmp_path: Path, sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = {"resource_server": "http://127.0.0.1:1/api", "authorization_server": "http://127.0.0.1:1/auth"}
    file = tenant_file(tmp_path, sandbox, halo=nowhere)
    code, answer = check(file, capsys)
    assert (code, answer["ok"]) == (1, False)
    assert run(["tenant", "catalogue", str(file), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False
    monkeypatch.delenv("CHECK_SECRET")
    code, answer = check(file, capsys)
    assert (code, answer["ok"]) == (2, False)
    assert "CHECK_SECRET" in answer["error"]


TARGET_DATE = {
    "id": 1,
    "fieldid": 1,
    "fieldname": "Target Date",
    "technew": 2,
    "fieldinfo": {"id": 1, "name": "targetdate", "label": "Target Date"},
}


def test_halos_settings_that_stand_in_the_way_are_told_with_their_page(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, answer = check(tenant_file(tmp_path, sandbox), capsys)
    told = {one["name"]: one["verdict"] for one in answer["checks"]}
    names = ("main contact", "appointment check", "items made from quotes", "target date of Opportunity")
    assert {told[name] for name in (*names, "fields of Opportunity")} == {"ok"}
    sandbox.load(
        {
            "Control": {"checkreassignappclashes": True, "createnewitemsfromquotes": True},
            "TicketType": [{"id": 6, "name": "Opportunity", "use": "opportunity", "fields": [TARGET_DATE]}],
        }
    )
    code, answer = check(tenant_file(tmp_path, sandbox), capsys)
    found = {one["name"]: one for one in answer["checks"]}
    assert code == 1, "a required target date blocks every new opportunity"
    verdicts = {name: found[name]["verdict"] for name in names}
    assert list(verdicts.values()) == ["ok", "warning", "warning", "failed"]
    assert "check for ongoing Appointments" in found["appointment check"]["fix"]


@pytest.mark.parametrize("status", [401, 403])
def test_settings_that_may_not_be_read_are_unknown_and_never_fine(
    sandbox: Sandbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    sandbox.configure(denied=[{"resource": "Control", "status": status}])
    code, answer = check(tenant_file(tmp_path, sandbox), capsys)
    found = {one["name"]: one for one in answer["checks"]}
    assert found["appointment check"]["verdict"] == "unknown"
    assert "right to read" in found["appointment check"]["fix"]
    assert (code, answer["ok"]) == (0, True)
