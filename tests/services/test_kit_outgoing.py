"""Calls of other services: what a slow spell leaves behind does not make every later call dear."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ecochain_kit.metrics import Metrics
from ecochain_kit.outgoing import Upstream
from fastapi import Request

AT_ONCE, KEPT = 40, 8
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@dataclass
class Service:
    """Answers when it is let; knows which of its connections are open."""

    let: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    open: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                await self.let.wait()
                writer.write(ANSWER)
                await writer.drain()
        self.open -= 1
        writer.close()


def request() -> Request:
    return Request({"type": "http", "headers": [], "state": {"deadline_s": time.monotonic() + 10}})


async def until(true: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 5
    while not true() and time.monotonic() < deadline_s:
        await asyncio.sleep(0.01)


async def spell() -> tuple[int, int]:
    """Return how many connections there were while the service was slow, and how many some calls later."""
    service = Service()
    listener = await asyncio.start_server(service.serve, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    upstream = Upstream("slow-service", f"http://{host}:{port}", Metrics("1", "here"))
    async with listener:
        calls = [asyncio.create_task(upstream.call(request(), "GET", "/")) for _ in range(AT_ONCE)]
        await until(lambda: service.asked == AT_ONCE)
        during = service.open
        service.let.set()
        await asyncio.gather(*calls)
        for _ in range(3):
            await upstream.call(request(), "GET", "/")
        await until(lambda: service.open <= KEPT)
        after = service.open
        await upstream.close()
    return during, after


def test_few_connections_are_kept_after_a_slow_spell() -> None:
    """Each kept one costs every later call: the front door kept fifty, and had no processor left to serve."""
    during, after = asyncio.run(spell())
    assert during == AT_ONCE
    assert 1 <= after <= KEPT
