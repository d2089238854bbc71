"""One HTTP client at a fixed rate, in a process of its own.

`python -m benchmarks.peers.clients NAME new|reused RATE SECONDS URL` prints one JSON line: what it used
and how late it sent. The ticks are those of our sampler, so only the client and its event loop differ.
Nothing is parsed beyond the status, and nothing is written to disk.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import cast
from urllib.parse import urlsplit

import numpy as np
import uvloop

from probes.priority import go_first
from probes.ticker import Ticker

NAMES = ("httpx", "aiohttp", "asyncio protocol", "uvloop protocol")
_SETTLE_S = 1.0
_POOL = 8

Get = Callable[[], Awaitable[int]]


async def _httpx(url: str, *, reused: bool, stack: AsyncExitStack) -> Get:
    import httpx  # noqa: PLC0415 - only the client that is measured is loaded

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=_POOL if reused else 0)
    client = await stack.enter_async_context(httpx.AsyncClient(limits=limits, timeout=2.0, trust_env=False))

    async def get() -> int:
        return (await client.get(url)).status_code

    return get


async def _aiohttp(url: str, *, reused: bool, stack: AsyncExitStack) -> Get:
    import aiohttp  # noqa: PLC0415 - only the client that is measured is loaded

    connector = aiohttp.TCPConnector(limit=0, force_close=not reused)
    timeout = aiohttp.ClientTimeout(total=2.0)
    session = await stack.enter_async_context(aiohttp.ClientSession(connector=connector, timeout=timeout))

    async def get() -> int:
        async with session.get(url) as answer:
            await answer.read()
            return int(answer.status)

    return get


class _Protocol(asyncio.Protocol):
    """The least that a request needs: one answer of known length."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.answer: asyncio.Future[bytes] | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if found and len(body) >= length and self.answer and not self.answer.done():
            self._buffer = b""
            self.answer.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answer and not self.answer.done():
            self.answer.set_exception(exc or ConnectionResetError())

    async def ask(self, payload: bytes) -> int:
        assert self.transport is not None
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(payload)
        async with asyncio.timeout(2.0):
            return int((await self.answer).split(b" ", 2)[1])


async def _protocol(url: str, *, reused: bool, stack: AsyncExitStack) -> Get:  # noqa: ARG001 - one shape for all
    loop = asyncio.get_running_loop()
    parts = urlsplit(url)
    assert parts.hostname is not None
    host, port = parts.hostname, parts.port or 80
    payload = f"GET / HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
    idle: deque[_Protocol] = deque()

    async def get() -> int:
        if idle:
            connection = idle.popleft()
        else:
            _, connection = await loop.create_connection(_Protocol, host, port)
        status = await connection.ask(payload)
        if reused and len(idle) < _POOL:
            idle.append(connection)
        elif connection.transport:
            connection.transport.abort()
        return status

    return get


_CLIENTS = {
    "httpx": _httpx,
    "aiohttp": _aiohttp,
    "asyncio protocol": _protocol,
    "uvloop protocol": _protocol,
}


async def _main(name: str, connection: str, rate: float, seconds: float, url: str) -> dict[str, object]:
    loop = asyncio.get_running_loop()
    late_s: list[float] = []
    statuses: list[int] = []
    tasks: set[asyncio.Task[None]] = set()
    errors: list[str] = []
    async with AsyncExitStack() as stack:
        get = await _CLIENTS[name](url, reused=connection == "reused", stack=stack)

        async def fire(due_s: float) -> None:
            late_s.append(time.monotonic() - due_s)
            try:
                statuses.append(await get())
            except Exception as error:  # noqa: BLE001 - whatever a client raises is a failed request
                errors.append(repr(error))

        def tick(due_s: float) -> None:
            task = loop.create_task(fire(due_s))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        ticker = Ticker(loop, time.monotonic() + 0.05, rate, tick)
        await asyncio.sleep(_SETTLE_S)
        late_s.clear()
        statuses.clear()
        before_s, from_s = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        used_s, span_s = time.process_time() - before_s, time.monotonic() - from_s
        late_ms, answered = np.array(late_s) * 1000, len(statuses)
        ticker.stop()
        if tasks:
            await asyncio.wait(tasks, timeout=5)
    return {
        "cpu_share": used_s / span_s,
        "late_p99_ms": float(np.percentile(late_ms, 99)),
        "answered_ratio": answered / (rate * span_s),
        "errors": len(errors),
        "first_error": errors[0] if errors else "",
    }


if __name__ == "__main__":
    chosen, kind, per_second, span, address = sys.argv[1:]
    go_first()
    main = _main(chosen, kind, float(per_second), float(span), address)
    print(json.dumps(uvloop.run(main) if chosen.startswith("uvloop") else asyncio.run(main)))
