"""What probing costs: `python -m benchmarks.cost`, exit status 1 if it is more than promised.

A sampler probes one loopback server (a process of its own) over new and over reused connections, and
writes to disk as in a run. CPU is what the sampler's process used between two moments in the steady
state, its writing thread and the kernel's work for it included; 100 % is one core. Lateness is sent -
scheduled of every probe.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.document import replace_part
from benchmarks.origin import stated
from benchmarks.stage import cpu_s, sampler, server
from core.clock import RunClock
from probes.series import NEW, REUSED, SeriesConfig
from slas.samples import OK
from slas.segments import read_segments

MOST_CPU_SHARE = 0.40
MOST_LATE_P99_MS = 2.0
_SETTLE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What `rates` (probes per second by kind of connection) cost over `span_s` seconds."""

    rates: dict[str, float]
    span_s: float
    cpu_share: float
    late_ms: dict[str, float]
    coverage: float
    failed: int

    @property
    def holds(self) -> bool:
        """Tell whether the promise is kept."""
        return (
            self.cpu_share <= MOST_CPU_SHARE
            and self.late_ms["p99"] <= MOST_LATE_P99_MS
            and self.coverage >= 0.99
            and not self.failed
        )

    def __str__(self) -> str:
        rates = " + ".join(f"{rate:g}/s {connection}" for connection, rate in self.rates.items())
        late = ", ".join(f"{name} {value:.3f} ms" for name, value in self.late_ms.items())
        return (
            f"{rates}: CPU {self.cpu_share:.1%} of one core over {self.span_s:.1f} s, late {late}, "
            f"coverage {self.coverage:.3%}, {self.failed} failed"
        )


def measure_cost(rates: dict[str, float], duration_s: float) -> Cost:
    """Probe at these rates by kind of connection for `duration_s` seconds."""
    clock = RunClock.start()
    with tempfile.TemporaryDirectory(prefix="verify-cost-") as folder:
        run_dir = Path(folder)
        with server(run_dir / "server", clock) as (_, url):
            series = [
                SeriesConfig(series=f"p/{connection}", target="p", url=url, connection=connection, rate=rate)
                for connection, rate in rates.items()
                if rate > 0
            ]
            with sampler(run_dir, clock, series) as child:
                assert child.id is not None
                time.sleep(_SETTLE_S)
                before_s, from_s = cpu_s(child.id.pid), clock.now()
                time.sleep(duration_s)
                used_s, to_s = cpu_s(child.id.pid) - before_s, clock.now()
        samples, _ = read_segments(run_dir / "samples")
    inside = [
        one.take((one.scheduled_s >= from_s) & (one.scheduled_s < to_s) & ~one.retry)
        for one in samples.values()
    ]
    late_ms = np.concatenate([(one.sent_s - one.scheduled_s) * 1000 for one in inside])
    due = sum(rates.values()) * (to_s - from_s)
    return Cost(
        rates={name: rate for name, rate in rates.items() if rate > 0},
        span_s=to_s - from_s,
        cpu_share=used_s / (to_s - from_s),
        late_ms={
            "p50": float(np.percentile(late_ms, 50)),
            "p99": float(np.percentile(late_ms, 99)),
            "max": float(late_ms.max()),
        },
        coverage=min(1.0, len(late_ms) / due),
        failed=sum(int(np.count_nonzero(one.outcome != OK)) for one in inside),
    )


def main() -> int:
    """Measure and print; exit status 1 if the promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--new", type=float, default=1000, help="probes/s on new connections (1000)")
    parser.add_argument("--reused", type=float, default=1000, help="probes/s on reused connections (1000)")
    parser.add_argument("--duration", type=float, default=20, metavar="S", help="seconds to measure (20)")
    parser.add_argument("--doc", type=Path, metavar="FILE", help="write the result into this document")
    args = parser.parse_args()
    cost = measure_cost({NEW: args.new, REUSED: args.reused}, args.duration)
    print(cost)
    if args.doc:
        options = f"--new {args.new:g} --reused {args.reused:g} --duration {args.duration:g}"
        replace_part(args.doc, "cost", f"{stated(f'python -m benchmarks.cost {options}')}\n\n{cost}.")
    if not cost.holds:
        print(
            f"more than promised: CPU at most {MOST_CPU_SHARE:.0%}, late p99 at most "
            f"{MOST_LATE_P99_MS:g} ms, coverage at least 99 %, none failed"
        )
    return 0 if cost.holds else 1


if __name__ == "__main__":
    sys.exit(main())
