"""`verify probe URL…`: watch addresses for a while and say when they were down, and how surely."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cli.strip import draw
from core.clock import RunClock
from core.errors import MisuseError, VerifyError, WaitTimeoutError
from core.files import write_atomic
from probes.blind import BLIND_AFTER_S
from probes.endpoint import Endpoint
from probes.recorder import ProbeTarget, Recorder
from probes.series import NEW, REUSED
from slas.downtime import Downtime, measure
from slas.samples import OK, RUNNER, SampleColumns
from slas.timeline import Timeline

MIN_COVERAGE = 0.99
# Any machine holds this many probes a second; past it, look before waiting for a calibration.
_EASY_RATE = 1000.0
_LOOK_AFTER_S, _SILENT_S = 2.0, 1.0
_SILENCE = frozenset({"stall", "timeout"})
_CONNECTIONS = {"new": (NEW,), "reused": (REUSED,), "both": (NEW, REUSED)}


def add_parser(subparsers: Any) -> None:
    """Add the command `probe` to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "probe",
        help="sample addresses at a fixed rate and report their downtime as brackets",
        description="Open-loop sampling: a slow answer never delays the next request. Exit status: 0 no "
        "failure at a proved resolution, 1 a failure, 2 misuse, 3 nothing can be said.",
    )
    parser.add_argument("url", nargs="+", metavar="URL", help="http:// or https:// address")
    parser.add_argument(
        "--rate", type=float, default=100.0, help="requests/s on each kind of connection (100)"
    )
    parser.add_argument("--duration", type=float, default=10.0, metavar="S", help="seconds to watch (10)")
    parser.add_argument("--connection", choices=sorted(_CONNECTIONS), default="both")
    parser.add_argument("--slow-ms", type=float, default=250.0, help="a slower answer is a stall (250)")
    parser.add_argument("--timeout-s", type=float, default=2.0, help="give up a request after (2)")
    parser.add_argument(
        "--expect", type=int, action="append", default=[], metavar="STATUS", help="good status (200 to 399)"
    )
    parser.add_argument("--body", default="", help="text that a good answer contains")
    parser.add_argument("--insecure", action="store_true", help="do not check the TLS certificate")
    parser.add_argument("--seed", type=int, default=0, help="of the calibration's moment and mode (0)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Probe, report, and return the exit status. Raises MisuseError before anything is sent."""
    if not 0 < args.duration <= 7 * 86400:
        raise MisuseError(f"--duration: expected more than 0 s and at most a week, got {args.duration:g}")
    if args.json and (not args.json.parent.is_dir() or args.json.is_dir()):
        raise MisuseError(f"--json: expected a file in a folder that exists, got {args.json}")
    if args.json and not os.access(args.json.parent, os.W_OK):
        raise MisuseError(f"--json: expected a folder that may be written to, got {args.json.parent}")
    if not all(100 <= status <= 599 for status in args.expect):
        raise MisuseError(f"--expect: expected a status from 100 to 599, got {args.expect}")
    if len(set(args.url)) < len(args.url):
        raise MisuseError("URL: expected each address once")
    targets = [
        ProbeTarget(
            name=f"target-{number}",
            url=url,
            connections=_CONNECTIONS[args.connection],
            expected=tuple(args.expect),
            body=args.body,
            insecure=args.insecure,
        )
        for number, url in enumerate(args.url, start=1)
    ]
    run_dir = Path(tempfile.mkdtemp(prefix="verify-probe-"))
    try:
        clock = RunClock.start()
        recorder = Recorder(
            run_dir,
            clock,
            None,
            "",
            targets,
            rate=args.rate,
            slow_ms=args.slow_ms,
            timeout_s=args.timeout_s,
            seed=args.seed,
        )
        for url in args.url:
            _reach(url, args.timeout_s)
        end_s = _record(recorder, clock, args)
        found = _results(Timeline.load(run_dir), targets, args, end_s)
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
    if args.json:
        result = {"schema": 1, "targets": [one.as_json() for one in found]}
        write_atomic(args.json, json.dumps(result, indent=2) + "\n")
    for one in found:
        print(one.as_text())
    worst: int = max((one.exit_code for one in found), key=(0, 3, 1).index)
    return worst


def _reach(url: str, timeout_s: float) -> None:
    """Raise MisuseError if the address does not resolve or takes no connection."""
    endpoint = Endpoint.parse(url)
    try:
        endpoint.reach(timeout_s)
    except OSError as error:
        raise MisuseError(
            f"{url}: cannot be reached: {error.strerror or error or 'no answer'}; "
            "expected a server that accepts a connection before probing begins"
        ) from None


def _record(recorder: Recorder, clock: RunClock, args: argparse.Namespace) -> float:
    """Watch until the time is over or Ctrl-C, and return the end in Unix seconds."""
    end_s = clock.now()
    with recorder:
        try:
            recorder.ready(args.timeout_s + 30 + 5 / args.rate, samples=1)
            start_s = recorder.started_s()
            if args.rate * len(recorder.series) > _EASY_RATE and _drowns(recorder, start_s, clock):
                print("ended early: this machine cannot hold the rate", file=sys.stderr)
                return clock.now()
            with contextlib.suppress(WaitTimeoutError):  # then the resolution is unproved, which is said
                recorder.calibrate()
            while (left_s := start_s + args.duration - clock.now()) > 0:
                recorder.check()
                _progress(args.duration - left_s, args.duration)
                time.sleep(min(0.5, left_s))
            end_s = start_s + float(args.duration)
        except KeyboardInterrupt:
            end_s = clock.now()
            print("\nended by Ctrl-C: the result so far", file=sys.stderr)
    return end_s


def _drowns(recorder: Recorder, start_s: float, clock: RunClock) -> bool:
    """Look, once a rate far too high would show, whether the sampler still gets to say how far it is."""
    time.sleep(max(0.0, start_s + _LOOK_AFTER_S - clock.now()))
    return recorder.status_age_s() > _SILENT_S


def _progress(done_s: float, all_s: float) -> None:
    if sys.stderr.isatty():
        print(f"\rprobing: {done_s:.0f} of {all_s:.0f} s ", end="", file=sys.stderr, flush=True)


@dataclass(frozen=True, kw_only=True)
class _Result:
    url: str
    connection: str
    start_s: float
    end_s: float
    sent: int
    failed: int
    stalled: int
    runner_failures: int
    runner_error: str
    answered: int
    coverage: float
    late_p99_s: float
    resolution_s: float | None
    latency_ms: Mapping[str, float]
    downtime: Downtime

    @property
    def exit_code(self) -> int:
        if not self.answered:
            return 3
        if self.downtime.outages and not (self.overload and self.only_silence):
            return 1
        return 3 if self.doubts else 0

    @property
    def only_silence(self) -> bool:
        """Tell whether nothing but missing and late answers speaks for an outage."""
        return all(one.kind in _SILENCE for one in self.downtime.intervals)

    @property
    def overload(self) -> list[str]:
        """Why this machine could not probe as it was told to: what it waited for may be itself."""
        signs = []
        if self.coverage < MIN_COVERAGE:
            signs.append(
                f"only {self.coverage:.1%} of the ticks were probed: this machine cannot hold the rate"
            )
        if self.runner_failures > (1 - MIN_COVERAGE) * self.sent:
            signs.append(f"{self.runner_failures} probes failed on this machine: {self.runner_error}")
        if self.late_p99_s > BLIND_AFTER_S:
            signs.append(
                f"1 % of the probes left {self.late_p99_s * 1000:.0f} ms late or more: "
                "this machine cannot hold the rate"
            )
        return signs

    @property
    def doubts(self) -> list[str]:
        """Why the absence of failures would prove less than it seems."""
        doubts = self.overload
        if not self.answered:
            doubts.append("not one good answer: nothing to measure downtime from")
        if self.resolution_s is None:
            doubts.append("the calibration outage was not found: the resolution is unproved")
        if self.downtime.blind_s > 0:
            doubts.append(f"the runner itself was blind for {self.downtime.blind_s:.3f} s")
        return doubts

    def as_json(self) -> dict[str, Any]:
        return {
            "url": self.url,
            "connection": self.connection,
            "start": self.start_s,
            "end": self.end_s,
            "sent": self.sent,
            "failed": self.failed,
            "stalled": self.stalled,
            "runner_failures": self.runner_failures,
            "coverage": self.coverage,
            "lateness_p99_ms": self.late_p99_s * 1000,
            "resolution_s": self.resolution_s,
            "latency_ms": dict(self.latency_ms),
            "blind_s": self.downtime.blind_s,
            "doubts": self.doubts,
            "intervals": [
                {
                    "start": one.start_s,
                    "end": one.end_s,
                    "lower_s": one.lower_s,
                    "upper_s": one.upper_s,
                    "kind": one.kind,
                    "first_error": one.first_error,
                    "samples": one.samples,
                }
                for one in self.downtime.intervals
            ],
        }

    def as_text(self) -> str:
        total = self.downtime.total
        resolution = f"{self.resolution_s * 1000:.0f} ms" if self.resolution_s is not None else "unproved"
        lines = [
            f"{self.url}  {self.connection} connections",
            f"  {draw(self.downtime.intervals, self.start_s, self.end_s)}",
            f"  {self.sent} sent, {self.failed} failed, {self.stalled} stalled; "
            + "".join(f"{name} {value:.1f} ms, " for name, value in self.latency_ms.items())
            + f"smallest outage seen for certain: {resolution}",
            f"  down for {total.lower:.3f} to {total.upper:.3f} s in {self.downtime.outages} outage(s)",
        ]
        for one in self.downtime.intervals:
            at = time.strftime("%H:%M:%S", time.localtime(one.start_s)) + f"{one.start_s % 1:.3f}"[1:]
            lines.append(
                f"    {at}  {one.lower_s:8.3f} to {one.upper_s:8.3f} s  {one.kind:9}  "
                f"{one.samples} probes  {one.first_error}"
            )
        return "\n".join([*lines, *(f"  doubt: {doubt}" for doubt in self.doubts)])


def _results(
    timeline: Timeline, targets: list[ProbeTarget], args: argparse.Namespace, end_s: float
) -> list[_Result]:
    return [
        _judged(timeline, target.url, f"{target.name}/{connection}", args, end_s)
        for target in targets
        for connection in target.connections
    ]


def _judged(timeline: Timeline, url: str, series: str, args: argparse.Namespace, end_s: float) -> _Result:
    samples = timeline.samples.get(series) or SampleColumns.of([])
    samples = samples.take(samples.scheduled_s < end_s)
    if not len(samples):
        raise VerifyError(f"{url}: ended before the first probe: nothing was measured")
    start_s, last_s = float(samples.scheduled_s[0]), float(samples.scheduled_s[-1])
    resolutions = [event["resolution_s"] for event in timeline.of_kind("calibration.result", series=series)]
    resolution_s = resolutions[-1] if resolutions else None
    ticks = samples.take(~samples.retry)
    waits_ms = (ticks.finished_s - ticks.sent_s) * 1000
    answered = waits_ms[ticks.outcome == OK]
    ended = list(timeline.of_kind("probe.ended", series=series))
    on_runner = np.flatnonzero(ticks.outcome == RUNNER)
    return _Result(
        url=url,
        connection=series.rpartition("/")[2],
        start_s=start_s,
        end_s=end_s,
        sent=len(ticks),
        failed=int(np.count_nonzero((ticks.outcome != OK) & (ticks.outcome != RUNNER))),
        stalled=int(np.count_nonzero(answered > args.slow_ms)),
        runner_failures=len(on_runner),
        runner_error=ticks.texts[int(ticks.error[on_runner[0]])] if len(on_runner) else "",
        answered=len(answered),
        coverage=float(ended[-1]["coverage"]) if ended else 0.0,
        late_p99_s=float(np.percentile(ticks.sent_s - ticks.scheduled_s, 99)) if len(ticks) else 0.0,
        resolution_s=resolution_s,
        latency_ms={f"p{q}": float(np.percentile(answered, q)) for q in (50, 95, 99)}
        if len(answered)
        else {},
        downtime=measure(
            {series: samples},
            start_s=start_s,
            end_s=min(end_s, last_s),
            slow_s={series: args.slow_ms / 1000},
            rate={series: args.rate},
            resolution_s=resolution_s or 0.0,
            blind=timeline.blind_by_series([series]),
        ),
    )
