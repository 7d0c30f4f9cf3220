"""A missing right is told once, whatever its record had waited for before."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from tests.integration.halo_writer.bench import Bench
from tests.support.eventually import eventually


@pytest.mark.feature("perm.denied", part="writer")
async def test_a_record_that_had_waited_for_another_one_names_the_right_that_it_lacks(bench: Bench) -> None:
    commands = bench.tool.whole_quote()
    await bench.deliver(commands[-1])
    assert [row.reason for row in await bench.pending()] == ["dependency"]
    bench.sandbox.deny({"resource": "Quotation", "method": "POST"})

    async def tried_twice() -> bool:
        return len(bench.posts("Quotation")) >= 2

    with capture_logs() as logs:
        async with bench.lane() as lane:
            await bench.submit(lane, commands[:-1])
            await eventually(tried_twice)
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert (line["event"], line["scope"]) == ("halo.denied", "edit:quotes")
    assert "Configuration > Integrations > HaloPSA API > Applications" in line["fix"]
    bench.sandbox.deny()
    await bench.settle()
    bench.row("Quotation", title="New office")
