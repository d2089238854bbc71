"""The sampler process: probes every series of a configuration until it is told to stop.

`python -m probes.sampler CONFIG.json`, with {run_dir, offset_s, series: [SeriesConfig…]}. It ends on
SIGTERM, SIGINT and the end of stdin, after the probes in flight have their outcome. Each flush prints a
line {t, series: {name: {ticks, sent, finished, complete_to_s}}}: up to complete_to_s every sample of that
series is on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import math
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from core.clock import RunClock
from probes.blind import BLIND_AFTER_S, Span, vantage_of
from probes.lifeline import watch_stdin
from probes.priority import go_first
from probes.sample import Sample
from probes.series import Series, SeriesConfig
from probes.sink import Batch, Sink
from probes.ticker import Ticker

FLUSH_S = 0.5
_RESOLVE_EVERY_S = 5.0
_HEAD_START_S = 0.05
_COLLECT_GARBAGE_EVERY = 60  # flushes


class Sampler:
    """All series of a configuration, their ticks and their way to the sink."""

    def __init__(
        self, configs: Sequence[SeriesConfig], clock: RunClock, loop: asyncio.AbstractEventLoop, sink: Sink
    ) -> None:
        self._loop, self._clock, self._sink = loop, clock, sink
        self._done: list[Sample] = []
        self._frozen: list[Span] = []
        self.series = [Series(one, self._clock.offset_s, loop, self._take) for one in configs]
        self._tickers: list[Ticker] = []
        self._last_tick_s = 0.0
        self._resolver: asyncio.Task[None] | None = None
        self._flush_timer: asyncio.TimerHandle | None = None
        self._flushes = 0
        self.error = ""
        self.stopped = asyncio.Event()
        self._slowest_period_s = min(1 / one.rate for one in configs)

    async def start(self) -> None:
        """Resolve every name once, then start the ticks, the series staggered over one period."""
        await self._resolve_all()
        if not all(one.endpoint.is_literal for one in self.series):
            self._resolver = asyncio.ensure_future(self._keep_resolving())
        gc.collect()
        gc.freeze()
        gc.disable()
        for one in self.series:
            self._emit("probe.started", one, url=one.config.url, slow_ms=one.config.slow_ms)
        start_s = time.monotonic() + _HEAD_START_S
        self._last_tick_s = start_s
        for index, one in enumerate(self.series):
            first_s = start_s + index / len(self.series) / one.config.rate
            self._tickers.append(Ticker(self._loop, first_s, one.config.rate, partial(self._tick, one)))
        self._flush()

    async def stop(self) -> None:
        """Stop the ticks, wait for the probes in flight, write everything, say how it went."""
        for ticker in self._tickers:
            ticker.stop()
        if self._resolver:
            self._resolver.cancel()
        deadline_s = time.monotonic() + max(one.config.timeout_s for one in self.series) + 1
        while any(one.in_flight for one in self.series) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.005)
        for one in self.series:
            one.close()
        if self._flush_timer:
            self._flush_timer.cancel()
        self._hand_over()
        await self._loop.run_in_executor(None, self._sink.close, self._clock.now())
        self.error = self.error or self._sink.error
        for one in self.series:
            late_s = sorted(one.lateness_s) or [0.0]
            self._emit(
                "probe.ended",
                one,
                sent=one.sent,
                coverage=one.sent / one.ticks if one.ticks else 0.0,
                lateness_p50_ms=_milliseconds(late_s, 0.5),
                lateness_p99_ms=_milliseconds(late_s, 0.99),
                lateness_max_ms=_milliseconds(late_s, 1.0),
                **({"error": self.error} if self.error else {}),
            )

    def failed(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """Take an exception of a callback: the run must not go on as if it had measured."""
        self.error = self.error or f"{context.get('message')}: {context.get('exception')!r}"
        print(self.error, file=sys.stderr, flush=True)  # noqa: T201
        self._loop.default_exception_handler(dict(context))
        self.stopped.set()

    def _tick(self, series: Series, due_s: float) -> None:
        now_s = time.monotonic()
        if now_s - self._last_tick_s > BLIND_AFTER_S + self._slowest_period_s:
            offset_s = self._clock.offset_s
            self._frozen.append(
                Span(
                    start_s=self._last_tick_s + offset_s,
                    end_s=now_s + offset_s,
                    reason=f"the sampler was frozen for {now_s - self._last_tick_s:.3f} s",
                )
            )
        self._last_tick_s = now_s
        series.tick(due_s + self._clock.offset_s, now_s + self._clock.offset_s)

    def _take(self, sample: Sample) -> None:
        self._done.append(sample)

    def _flush(self) -> None:
        self._flush_timer = self._loop.call_later(FLUSH_S, self._flush)
        self._hand_over()
        self._flushes += 1
        if self._flushes % _COLLECT_GARBAGE_EVERY == 0:
            gc.collect()
        if self._sink.error:
            self.error = self._sink.error
            self.stopped.set()

    def _hand_over(self) -> None:
        now_s = self._clock.now()
        samples, self._done = self._done, []
        spans, self._frozen = self._frozen, []
        status = {
            one.config.series: {
                "ticks": one.ticks,
                "sent": one.sent,
                "finished": one.finished,
                "complete_to_s": one.complete_to_s(now_s),
            }
            for one in self.series
        }
        self._sink.put(Batch(samples=samples, spans=spans, status=status, now_s=now_s))

    async def _resolve_all(self) -> None:
        for one in self.series:
            try:
                address = await self._loop.run_in_executor(
                    None, partial(one.endpoint.resolve, present=one.address)
                )
            except OSError as error:
                one.unresolved(error)
            else:
                if address != one.address:
                    one.aim(address)

    async def _keep_resolving(self) -> None:
        while True:
            await asyncio.sleep(_RESOLVE_EVERY_S if all(one.address for one in self.series) else 0.5)
            await self._resolve_all()

    def _emit(self, kind: str, one: Series, **fields: object) -> None:
        record = {
            "t": self._clock.now(),
            "kind": kind,
            "series": one.config.series,
            "vantage": vantage_of(one.config.series),
            "target": one.config.target,
            "connection": one.config.connection,
            "rate": one.config.rate,
            "timeout_s": one.config.timeout_s,
        }
        self._sink.event({**record, **fields})


def _milliseconds(ordered_s: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile of ordered seconds, in milliseconds."""
    return round(ordered_s[max(0, math.ceil(share * len(ordered_s)) - 1)] * 1000, 3)


async def _main(config: Mapping[str, Any]) -> int:
    # Arrow is for the runner alone: a pod has no disk to write to.
    from probes.flusher import Flusher  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(initializer=partial(go_first, but_for_ticks=True)))
    configs = [SeriesConfig.from_json(record) for record in config["series"]]
    clock, flusher = RunClock(offset_s=config["offset_s"]), Flusher(Path(config["run_dir"]))
    sampler = Sampler(configs, clock, loop, flusher)
    loop.set_exception_handler(sampler.failed)
    watch_stdin(loop, sampler.stopped.set)
    await sampler.start()
    await sampler.stopped.wait()
    await sampler.stop()
    return 1 if sampler.error else 0


# More than a second of probes at the highest rate has open at once.
_FILES = 4096


def raise_file_limit() -> None:
    """Allow this process as many files, and so connections, as the system lets it; before it has threads.

    The kernel's table of them is made large at once. It grows by doubling, and where threads share it the
    one that needs a file, and all that need one after it, wait for RCU.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with contextlib.suppress(OSError), Path(os.devnull).open("rb") as any_file:
        os.close(os.dup2(any_file.fileno(), _FILES - 1))


if __name__ == "__main__":
    config_of_run = json.loads(Path(sys.argv[1]).read_text())
    raise_file_limit()
    go_first()
    # The writer's thread must not keep the ticks waiting for Python's lock.
    sys.setswitchinterval(0.0005)
    sys.exit(uvloop.run(_main(config_of_run)))
