"""The example tenants, mapper and writer in this process: each of their quotes comes out as its example says."""

from __future__ import annotations

import pytest
import yaml

from cli.demo.like.compare import compare
from cli.demo.like.example import SANDBOX, Example, example, names
from cli.demo.like.facts import Halo
from cli.demo.like.log import said_of
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.integration.halo_writer.whole import Hub
from tests.unit.halo_writer.build import TENANT


def hub_of(bench: Bench, one: Example) -> Hub:
    """The rules of an example for the bench's own tenant."""
    server = bench.sandbox.resource_url.removesuffix("/api")
    return Hub(
        bench, one.rules.replace(SANDBOX, server).replace(f"tenant: {one.tenant}", f"tenant: {TENANT}")
    )


@pytest.mark.feature("hub.no_code", part="mapper")
@pytest.mark.feature("quote.out_of_order", part="writer")
@pytest.mark.parametrize("name", names())
async def test_each_quote_of_an_example_is_in_halo_as_the_example_says(
    name: str, make_bench: MakeBench
) -> None:
    one = example(name)
    halo = yaml.safe_load(one.halo)
    bench = await make_bench(halo=halo.pop("config"), rows=halo, read=False)
    hub = hub_of(bench, one)
    await bench.read_halo()
    before = hub.state()
    for day in one.days:
        await hub.take(day)
    assert await bench.pending() == []
    said = said_of(TENANT, hub.ledger(one.events), hub.questions())
    compared = compare(one, Halo(before, hub.state()), said)
    assert [(quote.name, quote.faults) for quote in compared if quote.faults] == []
    assert len(compared) == 11
