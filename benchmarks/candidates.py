"""Why our own HTTP layer: `python -m benchmarks.candidates` measures what else there is beside it.

Each candidate sends the same rate to the same kind of server on loopback, first on new and then on reused
connections, each in a process of its own with the same priority. Ours is the whole sampler: every sample
is also written to disk. With `--doc FILE` the table goes there.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.cost import measure_cost
from benchmarks.document import replace_part, table
from benchmarks.origin import stated
from benchmarks.peers.clients import NAMES
from benchmarks.stage import server
from core.clock import RunClock
from core.errors import CommandError
from core.places import checkout
from core.processes import run
from probes.series import NEW, REUSED

_HEAD = ("candidate", "connections", "CPU of one core", "late p99", "answered")


def measure_candidate(name: str, connection: str, rate: float, span_s: float) -> tuple[str, ...]:
    """Return the row of one candidate; what it could not do stands in it."""
    clock = RunClock.start()
    with (
        tempfile.TemporaryDirectory(prefix="verify-candidates-") as folder,
        server(Path(folder), clock) as one,
    ):
        url = one[1]
        words = [name, connection, f"{rate:g}", f"{span_s:g}", url]
        argv = [sys.executable, "-m", "benchmarks.peers.clients", *words]
        try:
            done = run(argv, timeout_s=span_s * 3 + 60, cwd=checkout())
        except CommandError as error:
            return name, connection, f"failed: {str(error).splitlines()[-1]}", "", ""
        found = json.loads(done.stdout)
    return (
        name,
        connection,
        f"{found['cpu_share']:.1%}",
        f"{found['late_p99_ms']:.2f} ms",
        f"{min(1.0, found['answered_ratio']):.1%}"
        + (f", {found['errors']} errors" if found["errors"] else ""),
    )


def measure_ours(connection: str, rate: float, span_s: float) -> tuple[str, ...]:
    """Return the row of our sampler."""
    cost = measure_cost({connection: rate}, span_s)
    answered = f"{cost.coverage:.1%}" + (f", {cost.failed} errors" if cost.failed else "")
    late = f"{cost.late_ms['p99']:.2f} ms"
    return (
        "ours, writing to disk",
        connection,
        f"{cost.cpu_share:.1%}",
        late,
        answered,
    )


def main() -> int:
    """Measure all, print the table or write it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.candidates", description=__doc__)
    parser.add_argument("--rate", type=float, default=500, help="requests/s (500)")
    parser.add_argument("--duration", type=float, default=8, metavar="S", help="seconds for each (8)")
    parser.add_argument("--doc", type=Path, metavar="FILE", help="write the table into this document")
    args = parser.parse_args()
    rows = []
    for connection in (NEW, REUSED):
        for name in NAMES:
            rows.append(measure_candidate(name, connection, args.rate, args.duration))
            print(*rows[-1], sep="  ", flush=True)
        rows.append(measure_ours(connection, args.rate, args.duration))
        print(*rows[-1], sep="  ", flush=True)
    origin = stated(f"python -m benchmarks.candidates --rate {args.rate:g} --duration {args.duration:g}")
    if args.doc:
        replace_part(args.doc, "candidates", f"{origin}\n\n{table(_HEAD, rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
