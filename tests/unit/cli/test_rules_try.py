"""`hub rules try`: a producer's sample event through a tenant's rules, without any server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.main import run

TENANT = """
tenant: acme
halo: {url: https://acme.halopsa.com, client_id: x, client_secret: env:NOT_NEEDED}
items: {asset_group: Hardware}
opportunities: {ticket_type: Opportunity}
quotes:
  statuses: {sent: Sent, approved: Accepted}
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "acme.yaml").write_text(TENANT)
    return tmp_path / "acme.yaml", tmp_path / "event.json"


def event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/brandnew",
        "type": "quote.published.v1",
        "subject": "Q-7",
        "time": "2026-01-05T10:00:00Z",
        "tenant": "acme",
        "revision": 1,
        "data": {
            "title": "Laptops",
            "status": "sent",
            "customer": {"name": "Bright Dental"},
            "lines": [{"id": "1", "product": {"name": "Laptop"}, "quantity": 2, "price": "10.10"}],
        },
        **changes,
    }


def tried(files: tuple[Path, Path], events: Any, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    files[1].write_text(json.dumps(events))
    assert run(["rules", "try", *map(str, files), "--json"]) == 0
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (answer["tenant"], answer["ok"]) == ("acme", True)
    told: list[dict[str, Any]] = answer["events"]
    return told


def test_the_commands_of_an_event_are_shown_in_their_order(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (one,) = tried(files, event(), capsys)
    kinds = [command["type"] for command in one["commands"]]
    assert kinds[0] == "upsert_client.v1"
    assert kinds[-2:] == ["upsert_opportunity.v1", "upsert_quote.v1"]
    assert one["commands"][-1]["command"]["status"]["value"]["name"] == "Sent"


@pytest.mark.feature("hub.no_code", part="mapper")
def test_a_producer_that_nobody_knew_needs_a_block_in_the_tenant_file_only(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (before,) = tried(files, event(), capsys)
    files[0].write_text(TENANT + "sources:\n  brandnew:\n    quotes: {statuses: {sent: Presented}}\n")
    (after,) = tried(files, event(), capsys)
    (other,) = tried(files, event(source="/oldtool"), capsys)
    names = [
        answer["commands"][-1]["command"]["status"]["value"]["name"] for answer in (before, after, other)
    ]
    assert names == ["Sent", "Presented", "Sent"]


def test_events_fold_as_they_would_in_the_hub(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    approved = event(id="e-2", type="quote.status_changed.v1", revision=2, data={"status": "approved"})
    first, second = tried(files, [event(), approved], capsys)
    assert [command["type"] for command in second["commands"]] == ["upsert_quote.v1"]
    assert second["commands"][0]["command"]["status"]["value"]["name"] == "Accepted"
    (alone,) = tried(files, approved, capsys)
    assert alone["commands"] == []
    assert "waits" in alone["result"]
    assert first["commands"]


def test_people_read_names_instead_of_ids(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[1].write_text(json.dumps(event()))
    assert run(["rules", "try", *map(str, files)]) == 0
    out = capsys.readouterr().out
    assert "quote status 'Sent'" in out
    assert "→ opportunity Q-7" in out


def test_an_event_for_another_tenant_is_bad_input(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[1].write_text(json.dumps(event(tenant="northwind")))
    assert run(["rules", "try", *map(str, files)]) == 2
    assert "northwind" in capsys.readouterr().err


def test_every_fault_of_the_tenant_file_is_told(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    files[0].write_text(
        "tenant: acme\nhalo: {url: 'http://acme.example', client_id: x, client_secret: plain}\nnope: 1\n"
    )
    files[1].write_text(json.dumps(event()))
    assert run(["rules", "try", *map(str, files)]) == 2
    err = capsys.readouterr().err
    assert "nope" in err
    assert "client_secret" in err
    assert "hunter22" not in err


def test_a_product_by_itself_is_an_item_where_products_are_pushed(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    product = event(type="product.upserted.v1", subject="P-1", data={"name": "Laptop", "price": "10.10"})
    (off,) = tried(files, product, capsys)
    assert "items.push" in off["result"]
    assert off["commands"] == []
    pushed = TENANT.replace("asset_group: Hardware", "asset_group: Hardware, push: true")
    files[0].write_text(pushed)
    (on,) = tried(files, [product], capsys)
    (command,) = on["commands"]
    assert (command["type"], command["command"]["target"]["id"]) == ("upsert_item.v1", "P-1")
    assert on["requests"][0]["element"]["baseprice"] == "10.1"


def test_for_a_person_a_name_is_shown_with_what_is_taken_instead(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sold = {"name": "Hour", "item_type": "Labor", "category": "Work"}
    lines = [{"id": "1", "product": sold, "quantity": 2, "price": "10.10"}]
    files[1].write_text(json.dumps(event(data=event()["data"] | {"lines": lines})))
    assert run(["rules", "try", *map(str, files)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "asset group 'Work', else 'Hardware'" in shown
    assert "item type 'Labor', else left alone" in shown


@pytest.mark.feature("file.manual", part="mapper")
def test_files_are_shown_without_being_fetched(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    file = {
        "url": "https://files.example/q.pdf",
        "name": "Q.pdf",
        "sha256": "0" * 64,
        "size": 5,
        "media_type": "application/pdf",
    }
    with_pdf = event()
    with_pdf["data"]["pdf"] = file
    added = event(
        id="e-2",
        type="file.added.v1",
        subject="F-1",
        data={"owner": {"kind": "quote", "id": "Q-7"}, "file": file | {"sha256": "1" * 64}},
    )
    quoted, by_itself = tried(files, [with_pdf, added], capsys)
    assert [command["type"] for command in by_itself["commands"]] == ["attach_file.v1"]
    assert quoted["commands"][-1]["type"] == "attach_file.v1"
    shown = json.dumps(quoted)
    assert "the 5 bytes of https://files.example/q.pdf" in shown
    (alone,) = tried(files, added, capsys)
    assert "waits" in alone["result"]


def test_each_request_is_the_one_that_the_writer_would_send_next(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """What an earlier event has written is updated, with the groups that have changed, and never made again."""
    lines = [
        {"id": "1", "product": {"name": "Laptop"}, "quantity": 3, "price": "10.10"},
        {"id": "2", "product": {"name": "Dock"}, "quantity": 1, "price": "5"},
    ]
    renamed = event(id="e-2", type="quote.updated.v1", revision=2, data=event()["data"] | {"lines": lines})
    first, second, repeat = tried(files, [event(), renamed, renamed], capsys)
    assert [request["path"] for request in first["requests"]] == [
        "/Client",
        "/Item",
        "/Opportunities",
        "/Quotation",
    ]
    item, _, quote = second["requests"]
    assert item["element"]["name"] == "Dock"
    laptop, dock = quote["element"]["lines"]
    assert (quote["element"]["id"], quote["when"]) == ("<quote Q-7>", "update what has changed")
    assert laptop["id"] == "<line 1 of quote Q-7>"
    assert dock["new_external_link"]["third_party_id"].startswith("hub-")
    assert "title" not in quote["element"]
    assert {step["why"] for step in second["no_requests"]} == {"a repeat of what was written before"}
    assert repeat["requests"] == []


def test_what_is_made_with_its_client_needs_no_request(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = event()["data"] | {"contact": {"name": "Jo Roe", "email": "jo@bright.example"}}
    (one,) = tried(files, event(data=data), capsys)
    assert [request["path"] for request in one["requests"]].count("/Users") == 0
    assert {"it is made with its client"} == {step["why"] for step in one["no_requests"]}
    quote = one["requests"][-1]["element"]
    assert quote["user_id"] == "<main contact of name:bright dental>"


def test_another_content_for_a_revision_is_told_and_maps_to_nothing(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    other = event(id="e-2", data=event()["data"] | {"title": "Desktops"})
    files[1].write_text(json.dumps([event(), other]))
    assert run(["rules", "try", *map(str, files), "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    conflict = answer["events"][1]
    assert (conflict["result"], conflict["commands"]) == ("is refused: revision.conflict", [])
    assert [fault["at"] for fault in conflict["faults"]] == ["revision"]


def test_an_answer_is_taken_up_where_the_mapping_asked(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    sold = event(id="e-2", type="quote.converted.v1", revision=2, data={"to": "order"})
    answer = event(
        id="e-3",
        type="question.answered.v1",
        revision=None,
        data={"kind": "quote", "question": "won.opp.exists", "choice": "convert"},
    )
    del answer["revision"]
    _, asked, answered = tried(files, [event(), sold, answer], capsys)
    assert [question["id"] for question in asked["questions"]] == ["won.opp.exists"]
    (request,) = answered["requests"]
    assert request["element"] == {"id": "<opportunity Q-7>", "status_id": "<status: Won>"}
