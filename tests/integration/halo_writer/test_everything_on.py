"""What a quote costs in requests to Halo with every rule of quoting on: no more than with none of them."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks import everything
from benchmarks.quotes import Event
from tests.integration.halo_writer.bench import Bench, MakeBench
from tests.integration.halo_writer.whole import Hub
from tests.support.hub import tenant_file
from tests.unit.halo_writer.build import TENANT


@pytest.fixture
async def bench(make_bench: MakeBench) -> Bench:
    return await make_bench(rows=everything.HALO)


@pytest.fixture
def hub(bench: Bench) -> Hub:
    return Hub(bench, tenant_file(TENANT, bench.sandbox, everything.RULES))


async def cost(hub: Hub, *events: Event) -> Counter[str]:
    """The requests that reach Halo for these events."""
    before = len(hub.bench.requests())
    await hub.take(events)
    assert hub.bench.dead_letters() == []
    return Counter(
        f"{one['method']} {one['path'].strip('/').split('/')[0]}" for one in hub.bench.requests()[before:]
    )


async def test_a_quote_of_known_things_costs_two_requests_and_a_repeat_none(hub: Hub) -> None:
    await cost(hub, everything.known("first"))
    assert await cost(hub, everything.known("Q-1")) == {"POST Opportunities": 1, "POST Quotation": 1}
    assert await cost(hub, everything.known("Q-1")) == {}
    assert await cost(hub, everything.known("Q-1", 2)) == {}
    assert await cost(hub, everything.status_changed("Q-1", 3, "declined")) == {"POST Quotation": 1}


async def test_a_quote_of_new_things_costs_one_for_each_and_two_more(hub: Hub) -> None:
    """The lead in the company's place, five items, the opportunity and the quotation: no look-up before any."""
    spent = await cost(hub, everything.new("Q-1"))
    assert spent == {"POST Item": 5, "POST Opportunities": 2, "POST Quotation": 1}


async def test_an_order_costs_a_look_and_itself_once(hub: Hub) -> None:
    await cost(hub, everything.known("Q-1"))
    spent = await cost(hub, everything.status_changed("Q-1", 2, "approved"))
    assert (spent["GET SalesOrder"], spent["POST SalesOrder"]) == (1, 1)
    again = await cost(hub, everything.converted("Q-1", 3))
    assert again.keys() == {"POST Opportunities"}, "the order is there, the opportunity is won"
    assert len(hub.bench.rows("SalesOrder")) == 1
