"""Side by side: `python -m benchmarks.side_by_side` (`make bench`).

One server on loopback with known outages (5 ms to 3 s; refused, reset, stall, 503; three of each), then a
while of health, and everybody watches it at once: our probes, vegeta, Locust and two sequential polls. One
rule judges all (benchmarks/scoring.py). Writes the table and the plot into docs/. Exit status 1 if a peer
could not take part, or if ours missed what it promises.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.campaign import SLOW_S, is_promised, seen_of
from benchmarks.document import replace_part, table
from benchmarks.origin import stated
from benchmarks.outages import Truth, planned, play
from benchmarks.peers.answers import Answer, intervals
from benchmarks.peers.bystanders import NAMES, TIMEOUT_S, Bystanders
from benchmarks.picture import draw
from benchmarks.scoring import Score, Seen, score
from benchmarks.stage import sampler, server
from core.clock import RunClock
from core.places import checkout
from probes.control import MODES
from probes.series import NEW, REUSED, SeriesConfig
from slas.downtime import measure
from slas.samples import OK, SampleColumns
from slas.timeline import Timeline

RATE = 200
OURS = "our probes, 200/s, new and reused"
OURS_NEW = "our probes, 200/s, new connections"
OURS_REUSED = "our probes, 200/s, reused connections"
OURS_PLAINLY = "our probes, new, judged as the peers are"
LENGTHS_S = (0.005, 0.01, 0.03, 0.1, 0.3, 0.5, 1.0, 3.0)
_QUIET_S = (0.5, 1.5)
_HEAD = ("detector", "outages found", *MODES, "mean error of the length", "false alarms", "in health")


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a detector did; `in_health` are its alarms in the time without any outage."""

    name: str
    score: Score
    in_health: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Everybody against the same outages; `absent` says who could not take part, and why."""

    truths: Sequence[Truth]
    results: Sequence[Result]
    absent: dict[str, str]
    health_s: float


def compare(*, repeats: int, health_s: float, seed: int) -> Comparison:
    """Let everybody watch at once (minutes), and compare."""
    row = planned(LENGTHS_S, repeats=repeats, quiet_s=_QUIET_S, seed=seed)
    span_s = sum(one.length_s + one.quiet_s for one in row) + health_s
    clock = RunClock.start()
    with tempfile.TemporaryDirectory(prefix="verify-bench-") as folder:
        run_dir = Path(folder)
        with server(run_dir / "server", clock) as (child, url):
            peers = Bystanders(run_dir, clock, url, span_s * 1.05 + 15)
            try:
                with sampler(run_dir, clock, _series(url)):
                    peers.start()
                    truths = play(child, row, settle_s=_QUIET_S[1])
                    healthy_from_s = clock.now()
                    time.sleep(health_s)
                    healthy_to_s = clock.now()
                peers.finish()
            finally:
                peers.close()
        seen = _ours(Timeline.load(run_dir)) | {
            name: intervals(answers) for name, answers in peers.answers.items()
        }
    results = [
        Result(
            name=name,
            score=score(truths, [one for one in seen[name] if one.start_s < healthy_to_s]),
            in_health=sum(healthy_from_s <= one.start_s < healthy_to_s for one in seen[name]),
        )
        for name in (OURS, OURS_NEW, OURS_REUSED, OURS_PLAINLY, *NAMES)
        if name in seen
    ]
    return Comparison(truths=truths, results=results, absent=peers.absent, health_s=health_s)


def _series(url: str) -> list[SeriesConfig]:
    return [
        SeriesConfig(
            series=f"p/{connection}",
            target="p",
            url=url,
            connection=connection,
            rate=RATE,
            slow_ms=SLOW_S * 1000,
            timeout_s=TIMEOUT_S,
        )
        for connection in (NEW, REUSED)
    ]


def _ours(timeline: Timeline) -> dict[str, list[Seen]]:
    new, reused = timeline.samples[f"p/{NEW}"], timeline.samples[f"p/{REUSED}"]

    def bracketed(samples: dict[str, SampleColumns]) -> list[Seen]:
        downtime = measure(
            samples,
            start_s=max(float(one.scheduled_s[0]) for one in samples.values()),
            end_s=min(float(one.scheduled_s[-1]) for one in samples.values()),
            slow_s=dict.fromkeys(samples, SLOW_S),
            rate=dict.fromkeys(samples, float(RATE)),
            blind=timeline.blind_by_series(samples),
        )
        return seen_of(downtime)

    return {
        OURS: bracketed({NEW: new, REUSED: reused}),
        OURS_NEW: bracketed({NEW: new}),
        OURS_REUSED: bracketed({REUSED: reused}),
        OURS_PLAINLY: intervals(
            Answer(sent_s=float(sent_s), ok=bool(outcome == OK))
            for sent_s, outcome in zip(new.sent_s, new.outcome, strict=True)
        ),
    }


def as_text(comparison: Comparison, origin: str) -> str:
    """Return the result as Markdown."""
    count = len(comparison.truths)
    rows = []
    for one in comparison.results:
        error_s, findings = one.score.mean_error_s, one.score.findings
        rows.append(
            (
                one.name,
                f"{one.score.found} of {count}",
                *(sum(f.found for f in findings if f.truth.mode == mode) for mode in MODES),
                f"{error_s * 1000:.1f} ms" if error_s is not None else "-",
                len(one.score.false_alarms),
                one.in_health,
            )
        )
    text = [origin, "", table(_HEAD, rows), "", f"Health: {comparison.health_s:g} s without an outage."]
    text += [
        f"\n**{name} did not take part**: {why.splitlines()[0]}" for name, why in comparison.absent.items()
    ]
    return "\n".join(text)


def missed(comparison: Comparison) -> list[str]:
    """Say what ours missed of what it promises."""
    ours = comparison.results[0].score
    lost = [
        f"{one.truth.mode} of {one.truth.planned_s * 1000:g} ms"
        for one in ours.findings
        if is_promised(one.truth, RATE) and not (one.found and one.inside)
    ]
    return [*lost, *(f"false alarm at {one.start_s}" for one in ours.false_alarms)]


def main() -> int:
    """Compare, print, and write docs/bench.md and docs/bench.svg."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.side_by_side", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of each length in each mode (3)")
    parser.add_argument("--health", type=float, default=30, metavar="S", help="seconds of health (30)")
    parser.add_argument("--seed", type=int, default=1, help="of the order and the moments (1)")
    parser.add_argument("--docs", type=Path, default=checkout() / "docs", help="folder of bench.md (docs)")
    args = parser.parse_args()
    comparison = compare(repeats=args.repeats, health_s=args.health, seed=args.seed)
    options = f"--repeats {args.repeats} --health {args.health:g} --seed {args.seed}"
    text = as_text(comparison, stated(f"python -m benchmarks.side_by_side {options}"))
    print(text)
    replace_part(args.docs / "bench.md", "side by side", text)
    draw(
        {one.name: one.score for one in comparison.results},
        len(comparison.truths),
        args.docs / "bench.svg",
    )
    lost = missed(comparison)
    for one in lost:
        print(f"ours: {one}")
    return 1 if lost or comparison.absent else 0


if __name__ == "__main__":
    sys.exit(main())
