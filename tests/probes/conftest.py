"""What the tests of the probes share: a run's folder, servers with outages on command, a bare series."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.clock import RunClock
from probes.children import Child
from probes.sample import Sample
from probes.series import Series, SeriesConfig

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CONFIG = SeriesConfig(series="p/new", target="p", url="http://127.0.0.1:1/", connection="new", rate=100)


@pytest.fixture
def clock() -> RunClock:
    return RunClock.start()


def start_server(folder: Path, clock: RunClock) -> tuple[Child, str]:
    """Start a server that fails on command, and give its URL."""
    child = Child("server", "probes.control", {"offset_s": clock.offset_s}, folder, clock.now)
    port = child.wait_for("the port", child.said, 20)[0]["port"]
    return child, f"http://127.0.0.1:{port}/"


def start_sampler(run_dir: Path, clock: RunClock, url: str, **changes: Any) -> Child:
    """Start a sampler of one URL on both kinds of connection; it has sent its first probes."""
    series = [
        replace(CONFIG, series=f"p/{connection}", url=url, connection=connection, **changes).as_json()
        for connection in ("new", "reused")
    ]
    config = {"run_dir": str(run_dir), "offset_s": clock.offset_s, "series": series}
    child = Child("sampler", "probes.sampler", config, run_dir, clock.now)

    def begun() -> bool:
        counts = child.last_said().get("series") or {}
        return bool(counts) and all(one["finished"] > 0 for one in counts.values())

    child.wait_for("the first samples", begun, 20)
    return child


@pytest.fixture
def server(tmp_path: Path, clock: RunClock) -> Iterator[tuple[Child, str]]:
    """Give a server that fails on command, and its URL."""
    child, url = start_server(tmp_path / "server", clock)
    yield child, url
    child.stop(5.0)


@pytest.fixture
def sampler(tmp_path: Path, clock: RunClock) -> Iterator[Callable[..., Child]]:
    """Start samplers of a URL; ended at the end."""
    started: list[Child] = []

    def start(url: str, **changes: Any) -> Child:
        started.append(start_sampler(tmp_path, clock, url, **changes))
        return started[-1]

    yield start
    for child in started:
        child.stop(5.0)


@pytest.fixture
def probe() -> Callable[..., list[Sample]]:
    """Run a bare series against a handler: `ticks` probes, `gap_s` apart; returns its samples in order."""

    def run(
        handler: Handler | None,
        *,
        ticks: int = 1,
        gap_s: float = 0.01,
        meanwhile: Callable[[int], None] | None = None,
        tls: Any = None,
        host: str = "127.0.0.1",
        **changes: Any,
    ) -> list[Sample]:
        return asyncio.run(_probe(handler, ticks, gap_s, meanwhile, tls, host, changes))

    return run


async def _probe(  # noqa: PLR0917
    handler: Handler | None,
    ticks: int,
    gap_s: float,
    meanwhile: Callable[[int], None] | None,
    tls: Any,
    host: str,
    changes: dict[str, Any],
) -> list[Sample]:
    samples: list[Sample] = []
    server = await asyncio.start_server(handler, host, 0, ssl=tls) if handler else None
    if server:
        port = server.sockets[0].getsockname()[1]
        changes.setdefault(
            "url", f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}/"
        )
    offset_s = time.time() - time.monotonic()
    series = Series(replace(CONFIG, **changes), offset_s, asyncio.get_running_loop(), samples.append)
    if series.endpoint.is_literal:
        series.aim(series.endpoint.resolve())
    for tick in range(ticks):
        if meanwhile:
            meanwhile(tick)
        now_s = time.monotonic() + offset_s
        series.tick(now_s, now_s)
        await asyncio.sleep(gap_s)
    while series.in_flight:
        await asyncio.sleep(0.005)
    series.close()
    if server:
        server.close()
        await asyncio.sleep(0.01)
    return samples
