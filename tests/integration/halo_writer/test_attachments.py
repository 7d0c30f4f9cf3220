"""Files of a quote in Halo: fetched beside the lane, attached once for each content, each refused or retried alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from hub.steps import Steps
from hub.store import proofs
from schemas.commands import AttachFile
from schemas.control import Proof
from schemas.targets import our_key
from services.halo_writer.fetch import Patience
from services.halo_writer.files import FileRoom
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.support.eventually import eventually
from tests.support.file_host import HOST, Answer, Authority, FileHost, make_authority
from tests.unit.halo_writer.build import TENANT, basis, changed

PDF = b"%PDF-1.7 New office " + bytes(range(256))
PLAN = b"%PDF-1.7 Floor plan"
QUOTES = f"{{statuses: {{sent: Sent}}, file_hosts: [{HOST}]}}"
MakeFiles = Callable[..., Awaitable[Bench]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def host(authority: Authority) -> AsyncIterator[FileHost]:
    async with FileHost(authority).running() as running:
        running.put("/q-1.pdf", PDF)
        running.put("/plan.pdf", PLAN)
        yield running


@pytest.fixture
def with_files(make_bench: MakeBench, host: FileHost) -> MakeFiles:
    """A bench whose tenant takes files from the host, and which already has the quote `q-1`."""

    async def make(*, quotes: str = QUOTES, patience: Patience | None = None, **options: Any) -> Bench:
        bench = await make_bench(quotes=quotes, files=FileRoom(host.fetcher(patience)), **options)
        await bench.settle(*bench.tool.whole_quote())
        await bench.prove_look_ups()
        bench.marked()
        return bench

    return make


def files_of(bench: Bench) -> list[dict[str, Any]]:
    return bench.rows("Attachment")


def bytes_of(bench: Bench, halo_id: int) -> bytes:
    """The file as Halo gives it back."""
    with bench.sandbox.client() as halo:
        answer = halo.get(f"/Attachment/{halo_id}")
        assert answer.status_code == 200
        return answer.content


def plan_of(bench: Bench, **changes: Any) -> AttachFile:
    url = f"https://{HOST}/plan.pdf"
    return bench.tool.attachment(PLAN, name="Plan.pdf", origin="print", **({"url": url} | changes))


def redriven(command: AttachFile) -> AttachFile:
    return changed(command, basis=basis(cause="redrive-1"))


class Watched(Steps):
    """Notes how much was fetched when an intent was written and when its request was answered."""

    def __init__(self, host: FileHost) -> None:
        super().__init__({})
        self._host = host
        self.seen: list[tuple[str, int]] = []

    def reached(self, step: str) -> None:
        if step in ("after_intent", "after_reply"):
            self.seen.append((step, len(self._host.asked)))


@pytest.mark.feature("file.quote_pdf", part="writer")
@pytest.mark.feature("file.by_reference", part="writer")
async def test_a_quotes_pdf_is_on_its_opportunity_as_it_lies_at_its_host(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    command = bench.tool.attachment(PDF)
    await bench.settle(command)
    (file,) = files_of(bench)
    assert file["ticket_id"] == bench.row("Faults", summary="New office")["id"]
    assert (file["filename"], file["filesize"]) == ("New office.pdf", len(PDF))
    assert file["content_type"] == "application/pdf"
    assert file["note"] == f"{our_key(command.target)} quote PDF"
    assert file["showforusers"] is False
    assert bytes_of(bench, file["id"]) == PDF
    assert [(line["method"], line["path"]) for line in bench.requests()][:1] == [("POST", "/Attachment")]
    assert bench.outcome(command).result == "created"


@pytest.mark.feature("file.by_reference", part="writer")
async def test_one_request_of_halos_budget_is_all_that_a_file_costs(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    command = bench.tool.attachment(PDF)
    await bench.settle(command)
    assert len(bench.requests()) == 1
    assert len(bench.outcome(command).requests) == 1
    assert len(host.asked) == 1


@pytest.mark.feature("file.by_reference", part="writer")
async def test_a_file_is_fetched_before_its_intent_and_nothing_between_intent_and_request(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    steps = Watched(host)
    async with bench.lane(steps=steps) as lane:
        await bench.submit(lane, [bench.tool.attachment(PDF)])
        await bench.until_nothing_waits()
    assert steps.seen == [("after_intent", 1), ("after_reply", 1)]


@pytest.mark.feature("file.quote_pdf", part="writer")
@pytest.mark.invariant("INV-4")
async def test_the_same_content_is_never_attached_again_nor_fetched(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    await bench.settle(bench.tool.attachment(PDF))
    bench.marked()
    again = bench.tool.attachment(PDF)
    renamed = bench.tool.attachment(PDF, name="Revision 2.pdf", url=f"https://{HOST}/elsewhere.pdf")
    await bench.settle(again, renamed, again)
    await bench.deliver(renamed)
    assert bench.requests() == []
    assert len(host.asked) == 1
    assert len(files_of(bench)) == 1
    assert bench.outcome(renamed).result == "unchanged"


@pytest.mark.feature("extra.pdf_each_time", part="writer")
async def test_each_new_pdf_of_an_opportunity_goes_up_beside_the_older_ones(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    for revision in (1, 2, 3):
        content = PDF + bytes([revision])
        host.put(f"/r{revision}.pdf", content)
        command = bench.tool.attachment(content, url=f"https://{HOST}/r{revision}.pdf")
        await bench.settle(*bench.tool.whole_quote(seq=(revision + 1, 1)), command)
    assert [bytes_of(bench, file["id"]) for file in files_of(bench)] == [PDF + bytes([n]) for n in (1, 2, 3)]
    assert len(bench.posts("Attachment")) == 3


@pytest.mark.feature("file.quote", part="writer")
async def test_all_files_of_a_quote_go_up_in_one_delivery_with_it(
    make_bench: MakeBench, host: FileHost
) -> None:
    bench = await make_bench(quotes=QUOTES, files=FileRoom(host.fetcher()))
    await bench.settle(*bench.tool.whole_quote(), bench.tool.attachment(PDF), plan_of(bench))
    assert {file["filename"] for file in files_of(bench)} == {"New office.pdf", "Plan.pdf"}
    (ticket,) = {file["ticket_id"] for file in files_of(bench)}
    assert ticket == bench.row("Quotation", title="New office")["ticket_id"]


@pytest.mark.feature("file.manual", part="writer")
async def test_a_file_that_comes_before_its_opportunity_waits_for_it_and_keeps_its_origin(
    make_bench: MakeBench, host: FileHost
) -> None:
    bench = await make_bench(quotes=QUOTES, files=FileRoom(host.fetcher()))
    command = plan_of(bench)
    async with bench.lane() as lane:
        await bench.submit(lane, [command])
        (waiting,) = await bench.pending()
        assert (waiting.reason, waiting.waits_for) == (
            "dependency",
            bench.tool.target("opportunity", "q-1").key,
        )
        assert host.asked == []
        await bench.submit(lane, bench.tool.whole_quote())
        await bench.until_nothing_waits()
    (file,) = files_of(bench)
    assert file["note"].endswith(" print")
    assert bytes_of(bench, file["id"]) == PLAN


@pytest.mark.feature("file.by_reference", part="writer")
async def test_a_file_that_is_not_there_yet_waits_visibly_and_goes_up_when_it_is(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    host.files.clear()
    command = bench.tool.attachment(PDF)
    async with bench.lane() as lane:
        await bench.submit(lane, [command])

        async def waits() -> bool:
            (row,) = await bench.pending()
            return row.reason == "file" and "404" in (row.note or "")

        await eventually(waits)
        assert bench.requests() == []
        host.put("/q-1.pdf", PDF)
        await bench.until_nothing_waits()
    assert len(files_of(bench)) == 1


@pytest.mark.feature("file.by_reference", part="writer")
async def test_a_file_that_never_comes_rejects_its_attachment_and_nothing_else(
    make_bench: MakeBench, host: FileHost
) -> None:
    bench = await make_bench(quotes=QUOTES, files=FileRoom(host.fetcher()))
    host.files.pop("/q-1.pdf")
    command, plan = bench.tool.attachment(PDF), plan_of(bench)
    await bench.settle(*bench.tool.whole_quote(), command, plan)
    outcome = bench.outcome(command)
    assert (outcome.status, outcome.code) == ("rejected", "file.unreachable")
    assert "404" in (outcome.message or "")
    assert len(host.asked) > 2, "it was tried more than once"
    assert [file["filename"] for file in files_of(bench)] == ["Plan.pdf"]
    assert bench.row("Quotation", title="New office")
    (letter,) = bench.dead_letters()
    assert (letter.reason, letter.target) == ("file.unreachable", command.target)
    host.put("/q-1.pdf", PDF)
    await bench.settle(redriven(command))
    assert len(files_of(bench)) == 2


@pytest.mark.feature("file.by_reference", part="writer")
async def test_a_host_that_the_tenant_does_not_name_is_refused_and_named_until_the_file_is_mended(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files(quotes="{statuses: {sent: Sent}}")
    command = bench.tool.attachment(PDF)
    await bench.settle(command)
    outcome = bench.outcome(command)
    assert (outcome.status, outcome.code) == ("rejected", "file.host")
    assert HOST in (outcome.message or "")
    assert "quotes.file_hosts" in (outcome.fix or "")
    assert host.looked_up == []
    bench.quotes = QUOTES
    bench.__post_init__()
    await bench.settle(redriven(command))
    assert len(files_of(bench)) == 1


@pytest.mark.feature("file.by_reference", part="writer")
async def test_other_bytes_than_the_event_says_are_not_attached(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    host.put("/q-1.pdf", PDF[:-1] + b"!")
    command = bench.tool.attachment(PDF)
    await bench.settle(command)
    assert bench.outcome(command).code == "file.changed"
    assert files_of(bench) == []
    assert bench.posts("Attachment") == []


@pytest.mark.feature("file.by_reference", part="writer")
async def test_while_a_host_hangs_the_tenants_other_commands_run(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files(patience=Patience(read_s=60, total_s=60))
    host.files["/q-1.pdf"] = Answer((PDF,), length=len(PDF), pause_s=60)
    async with bench.lane() as lane:
        await bench.submit(lane, [bench.tool.attachment(PDF)])
        await eventually(lambda: host.asked)
        later = bench.tool.whole_quote("q-2", title="Second office")
        await bench.submit(lane, later)
        await eventually(lambda: bench.outcomes(later[-1]))
        (waiting,) = await bench.pending()
        assert waiting.reason == "file"
    assert bench.row("Quotation", title="Second office")
    assert files_of(bench) == []


@pytest.mark.invariant("INV-1")
@pytest.mark.feature("file.by_reference", part="writer")
async def test_an_upload_whose_answer_is_lost_is_found_in_the_opportunitys_list(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    bench.sandbox.arm("store_then_drop", path="^/Attachment$", method="POST")
    command = bench.tool.attachment(PDF)
    await bench.settle(command)
    assert len(bench.posts("Attachment")) == 1
    assert len(files_of(bench)) == 1
    assert bench.outcome(command).halo_id == files_of(bench)[0]["id"]
    looked = bench.requests("GET", "^/Attachment")
    assert looked
    assert all(line["path"] == "/Attachment" for line in looked), "a GET by id would bring the whole file"


@pytest.mark.invariant("INV-1")
@pytest.mark.feature("file.by_reference", part="writer")
async def test_an_upload_that_never_arrived_is_looked_for_and_then_sent_once_more(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    bench.sandbox.arm("drop", path="^/Attachment$", method="POST")
    await bench.settle(bench.tool.attachment(PDF))
    lines = [(line["method"], line["path"]) for line in bench.requests(path="^/Attachment")]
    assert lines[0] == ("POST", "/Attachment")
    assert lines[-2:] == [("GET", "/Attachment"), ("POST", "/Attachment")]
    assert len(files_of(bench)) == 1
    assert bytes_of(bench, files_of(bench)[0]["id"]) == PDF


@pytest.mark.invariant("INV-1")
@pytest.mark.parametrize("proven", [[], [Proof(kind="attachment", by="external_link", ok=True)]])
async def test_where_a_look_up_was_never_proven_no_second_upload_is_sent(
    make_bench: MakeBench, host: FileHost, proven: list[Proof]
) -> None:
    """An attachment has no external link: what is said to prove one proves nothing."""
    bench = await make_bench(quotes=QUOTES, files=FileRoom(host.fetcher()))
    await bench.settle(*bench.tool.whole_quote())
    async with bench.store.write() as conn:
        await proofs.put(conn, TENANT, bench.tool.instance, proven, 0.0)
    bench.sandbox.arm("drop", path="^/Attachment$", method="POST")
    async with bench.lane() as lane:
        await bench.submit(lane, [bench.tool.attachment(PDF)])

        async def asked() -> bool:
            return [row.reason for row in await bench.pending()] == ["decision"]

        await eventually(asked)
    assert len(bench.posts("Attachment")) == 1


@pytest.mark.parametrize(
    "step", ["after_intent", "before_send", "after_reply", "after_settle", "after_publish"]
)
@pytest.mark.feature("file.quote_pdf", part="writer")
async def test_a_crash_at_any_step_leaves_one_attachment(
    with_files: MakeFiles, host: FileHost, step: str
) -> None:
    bench = await with_files()
    command = bench.tool.attachment(PDF)
    await bench.crash(step, command)
    await bench.settle(command)
    assert len(files_of(bench)) == 1
    assert bench.outcome(command).status == "applied"


@pytest.mark.feature("file.quote_pdf", part="writer")
async def test_a_file_that_a_person_deleted_comes_back_by_a_redrive_alone(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files()
    command = bench.tool.attachment(PDF)
    await bench.settle(command)
    bench.sandbox.remove("Attachment", files_of(bench)[0]["id"])
    await bench.settle(command)
    assert files_of(bench) == []
    await bench.settle(redriven(command))
    assert len(files_of(bench)) == 1


@pytest.mark.feature("file.by_reference", part="writer")
async def test_a_restart_during_a_fetch_fetches_again_and_attaches_once(
    with_files: MakeFiles, host: FileHost
) -> None:
    bench = await with_files(patience=Patience(read_s=60, total_s=2.0))
    host.files["/q-1.pdf"] = Answer((PDF,), length=len(PDF), pause_s=60)
    command = bench.tool.attachment(PDF)
    async with bench.lane() as lane:
        await bench.submit(lane, [command])
        await eventually(lambda: host.asked)
    host.put("/q-1.pdf", PDF)
    async with bench.lane(owner="another"):
        await bench.until_nothing_waits()
    assert len(files_of(bench)) == 1
    # A fetch that a slow machine has no time for is begun again.
    assert len(host.asked) >= 2
