"""How throughput grows with the workers of a load: `python -m benchmarks.workers [--workers 1,2,4]`.

Each load has far more requests due than can be sent, so that every worker sends as fast as it can, for
`--seconds`. One light server answers all of them on the same machine, and every request is recorded as a
sample as in any load. Beside the rate it measures the CPU that a request costs, which tells how much the
same workers would send with cores of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from core.clock import RunClock
from core.places import checkout
from core.processes import ProcessId
from loadtests.runner import Load
from loadtests.settings import LoadSettings
from slas.timeline import Timeline

_DUE_PER_S = 20_000.0
_USERS_PER_WORKER = 32


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One load's throughput, and what a request cost (CPU microseconds; of all generators, of the server)."""

    workers: int
    requests_per_s: float
    generator_us: float
    server_us: float
    busiest_cpu: float
    failures: int


@contextmanager
def _server() -> Iterator[tuple[int, ProcessId]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.light_server"],
        cwd=checkout(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        port = int(process.stdout.readline())
        found = ProcessId.of(process.pid)
        assert found is not None
        yield port, found
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def measure(workers: int, seconds: float) -> Measured:
    """Send as fast as `workers` can for `seconds`."""
    settings = LoadSettings.steady(
        rate=_DUE_PER_S,
        duration_s=seconds,
        users=_USERS_PER_WORKER * workers,
        workers=workers,
        max_requests=10_000_000,
    )
    with tempfile.TemporaryDirectory(prefix="verify-workers-") as folder, _server() as (port, server):
        run_dir = Path(folder)
        url = f"http://127.0.0.1:{port}"
        load = Load(run_dir, RunClock.start().offset_s, url, settings, allowed_hosts=["127.0.0.1"])
        with load.start():
            load.wait_flowing(60)
            ids = list(load.workers) or ([load.process] if load.process else [])
            before = _cpu_s(ids), _cpu_s([server]), load.counts[0]
            # The counts come once a second; the CPU is read as soon as they do.
            last = before
            while load.result is None:
                now = load.counts[0]
                if now != last[2]:
                    try:
                        last = _cpu_s(ids), _cpu_s([server]), now
                    except psutil.NoSuchProcess:
                        break
                time.sleep(0.02)
            result = load.wait_ended(120)
        timeline = Timeline.load(run_dir)
        whole = [
            one for one in timeline.of_kind("load.second") if one["span_s"] > 0.9 and one["offered"] > 0
        ][1:]
        sent = last[2] - before[2]
        return Measured(
            workers=workers,
            requests_per_s=sum(one["achieved"] for one in whole) / sum(one["span_s"] for one in whole),
            generator_us=(last[0] - before[0]) / sent * 1e6,
            server_us=(last[1] - before[1]) / sent * 1e6,
            busiest_cpu=max(one["cpu"] for one in whole),
            failures=result.failures,
        )


def _cpu_s(processes: Sequence[ProcessId]) -> float:
    times = [psutil.Process(one.pid).cpu_times() for one in processes]
    return sum(one.user + one.system for one in times)


def main() -> int:
    """Measure, and write the table; the exit status is 0 if no request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--workers", default="1,2,4", help="numbers of workers (1,2,4)")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each load lasts (10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    args = parser.parse_args()
    found = [measure(int(number), args.seconds) for number in args.workers.split(",")]
    first = found[0].requests_per_s
    lines = [
        f"{os.cpu_count()} cores, shared by the generators, the server and the writer of samples",
        "",
        "| workers | requests/s | times the first | µs of CPU per request: generators | server | busiest |",
        "|---|---|---|---|---|---|",
        *(
            f"| {one.workers} | {one.requests_per_s:,.0f} | {one.requests_per_s / first:.2f} | "
            f"{one.generator_us:.0f} | {one.server_us:.0f} | {one.busiest_cpu:.0%} |"
            for one in found
        ),
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if args.json:
        args.json.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n")
    return int(any(one.failures for one in found))


if __name__ == "__main__":
    sys.exit(main())
