"""The address of a file may be signed: whoever reads it has the file."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import structlog

from schemas.topics import DEAD_LETTERS
from services.halo_writer.files import FileRoom
from services.halo_writer.tools import Parked
from tests.integration.halo_writer.bench import MakeBench
from tests.support.file_host import HOST, FileHost, make_authority

PLAN = b"%PDF-1.7 Floor plan"
SIGNATURE = "GHJKMNPQ"


@pytest.mark.invariant("INV-14")
async def test_what_signs_an_address_is_in_nothing_that_is_told_of_its_file(
    make_bench: MakeBench, tmp_path: Path
) -> None:
    """Only its command, and the dead letter that keeps that byte for byte, lead to the file."""
    host = FileHost(make_authority(tmp_path))
    host.put(f"/plan.pdf?sig={SIGNATURE}", PLAN)
    bench = await make_bench(quotes=f"{{file_hosts: [{HOST}]}}", files=FileRoom(host.fetcher()))
    addresses = (f"https://{HOST}/none.pdf", f"https://{HOST}/plan.pdf", "https://elsewhere.example/x")
    commands = [
        bench.tool.attachment(b"%PDF-1.7 none", url=f"{addresses[0]}?sig={SIGNATURE}"),
        bench.tool.attachment(PLAN, url=f"{addresses[1]}?sig={SIGNATURE}"),
        bench.tool.attachment(b"%PDF-1.7 another", url=f"{addresses[1]}?sig={SIGNATURE}"),
        bench.tool.attachment(b"%PDF-1.7 elsewhere", url=f"{addresses[2]}?sig={SIGNATURE}"),
    ]
    with structlog.testing.capture_logs() as logs:
        async with host.running():
            await bench.settle(*bench.tool.whole_quote(), *commands)
    codes = {bench.outcome(command).code for command in commands}
    assert codes == {"file.unreachable", "file.changed", "file.host", None}
    shown = [msgspec.structs.replace(letter, value=None) for letter in bench.dead_letters()]
    others = [one for one in bench.publisher.records if one.topic != DEAD_LETTERS]
    notes = [end.note for _, end in bench.told if isinstance(end, Parked)]
    assert any("404" in (note or "") for note in notes)
    assert SIGNATURE not in f"{shown} {others} {notes} {logs} {bench.rows('Attachment')} {bench.requests()}"
