import signal

import httpx
import pytest

from hub.telemetry.health import Health, make_app
from hub.telemetry.metrics import Metrics
from hub.telemetry.server import AsgiServer


def server(port: int = 0) -> AsgiServer:
    return AsgiServer(make_app(Health(), Metrics()), host="127.0.0.1", port=port)


async def test_it_answers_on_its_port_and_frees_it_again(free_port: int) -> None:
    for _ in range(2):
        async with server(free_port) as running, httpx.AsyncClient() as http:
            assert running.port == free_port
            assert (await http.get(f"http://127.0.0.1:{free_port}/health/live")).status_code == 200


async def test_signals_stay_with_the_service() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with server():
        assert signal.getsignal(signal.SIGTERM) is before


async def test_a_port_in_use_is_named(free_port: int) -> None:
    async with server(free_port):
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{free_port}"):
            await server(free_port).start()


async def test_stopping_twice_or_unstarted_is_harmless() -> None:
    unstarted = server()
    await unstarted.stop()
    with pytest.raises(RuntimeError, match="start"):
        _ = unstarted.port
