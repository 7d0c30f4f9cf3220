"""What a service process sets for as long as it serves."""

import gc

from hub.runtime import serving


async def test_the_collector_looks_less_often_while_a_service_runs_and_as_before_after_it() -> None:
    before = gc.get_threshold()

    async with serving("test", host="127.0.0.1", port=0):
        during = gc.get_threshold()
        frozen = gc.get_freeze_count()

    assert during[0] > before[0]
    assert frozen > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
