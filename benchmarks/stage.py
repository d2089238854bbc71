"""The stage of a benchmark: a server with outages on command and our sampler, each a process of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from core.clock import RunClock
from probes.children import Child
from probes.series import SeriesConfig

_START_TIMEOUT_S = 30.0


@contextlib.contextmanager
def server(folder: Path, clock: RunClock) -> Iterator[tuple[Child, str]]:
    """Give a server on loopback that fails on command (probes.control), and its URL; ended on leaving."""
    child = Child("server", "probes.control", {"offset_s": clock.offset_s}, folder, clock.now)
    try:
        port = child.wait_for("the server's port", child.said, _START_TIMEOUT_S)[0]["port"]
        yield child, f"http://127.0.0.1:{port}/"
    finally:
        child.stop(5.0)


@contextlib.contextmanager
def sampler(run_dir: Path, clock: RunClock, series: Sequence[SeriesConfig]) -> Iterator[Child]:
    """Give our sampler, which has its first answers in every series; on leaving all is on disk.

    Raises EnvironmentFailedError if it could not start, or could not record everything.
    """
    config = {
        "run_dir": str(run_dir),
        "offset_s": clock.offset_s,
        "series": [one.as_json() for one in series],
    }
    child = Child("sampler", "probes.sampler", config, run_dir, clock.now)

    def begun() -> bool:
        counts = child.last_said().get("series") or {}
        return bool(counts) and all(one["finished"] > 0 for one in counts.values())

    try:
        child.wait_for("the first samples", begun, _START_TIMEOUT_S)
        yield child
        child.check()
    finally:
        child.stop(15.0)


def cpu_s(pid: int) -> float:
    """Return the processor seconds that a living process has used, its threads' and the kernel's for it."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system
