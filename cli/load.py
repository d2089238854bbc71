"""`verify load`: send a workload to a service, record every request, and judge it by thresholds."""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from core.clock import RunClock
from core.errors import MisuseError, WaitTimeoutError
from core.files import write_atomic
from fixtures.load_places import Place, cluster_place, environment_place
from loadtests.runner import Load, LoadResult
from loadtests.settings import LoadSettings
from loadtests.target import admit_target
from loadtests.workload import Workload
from slas.load_latency import LoadLatency, latency_of
from slas.loads import Load as Evidence
from slas.loads import load_between
from slas.spans import spans_of
from slas.thresholds import Judged, Threshold
from slas.timeline import Timeline
from slas.verdicts import Outcome, merge

_REACH_S = 3.0
_START_S = 180.0
_EXIT = {Outcome.PASS: 0, Outcome.FAIL: 1, Outcome.INCONCLUSIVE: 3}


class Running(Protocol):
    """A load on this machine or in a cluster."""

    load_id: str

    @property
    def result(self) -> LoadResult | None:
        """Return how it ended, None while it runs."""

    @property
    def counts(self) -> tuple[int, int]:
        """Return the requests and failures so far."""

    def start(self) -> Running:
        """Start it."""

    def stop(self) -> LoadResult:
        """Stop it and return how it ended."""


def add_parser(subparsers: Any) -> None:
    """Add the command `load` to an argparse subparsers object."""
    parser = subparsers.add_parser(
        "load",
        help="send a workload to a service and judge it by thresholds",
        description="Sends requests at the moments that the workload's stages give, whatever became of those "
        "before; latencies count from those moments. Exit status: 0 all thresholds kept, 1 one broken, "
        "2 misuse, 3 the load proves nothing.",
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--env", metavar="ENV", help="an environment whose service is up")
    where.add_argument("--url", help="http:// or https:// address, loopback or private")
    parser.add_argument("--service", help="which service of the environment (default: the front door)")
    parser.add_argument("--workload", required=True, metavar="FILE|NAME", help="a workload file or its name")
    parser.add_argument(
        "--on", choices=("local", "kubernetes"), default="local", help="where it is sent from"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="processes, or pods, that send (1)"
    )
    parser.add_argument("--users", type=int, metavar="N", help="requests under way at once (the workload's)")
    parser.add_argument("--rate", type=float, metavar="R", help="scale the workload to this peak, requests/s")
    parser.add_argument("--duration", type=float, metavar="S", help="stretch the workload to this length")
    parser.add_argument(
        "--threshold",
        action="append",
        default=[],
        metavar="BOUND",
        help="p95<250ms, max<2s, error_ratio<1%%, rate>=95; may be repeated; replaces the workload's own",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the users' choices (0)")
    parser.add_argument("--kubeconfig", metavar="FILE", help="the cluster of --on kubernetes, with --url")
    parser.add_argument("--context", help="a context of the kubeconfig")
    parser.add_argument("--namespace", default="default", help="where its pods go, with --url (default)")
    parser.add_argument("--image", metavar="REF", help="image of the pods, where the nodes can pull one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep events and samples in this new folder")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Send the load, report, and return the exit status. Raises MisuseError before anything is started."""
    workload = Workload.read(args.workload)
    for name in ("workers", "users", "rate", "duration"):
        value = getattr(args, name)
        if value is not None and not 0 < value < float("inf"):
            raise MisuseError(f"--{name}: expected a positive number, got {value:g}")
    thresholds = [Threshold.parse(text) for text in args.threshold or workload.thresholds]
    settings = workload.settings(
        workers=args.workers, users=args.users, rate=args.rate, duration_s=args.duration, seed=args.seed
    )
    if args.json and not args.json.parent.is_dir():
        raise MisuseError(f"--json: expected a file in a folder that exists, got {args.json}")
    if args.keep and args.keep.exists():
        raise MisuseError(f"--keep: expected a folder that is not there yet, got {args.keep}")
    place = _place(args)
    run_dir = args.keep or Path(tempfile.mkdtemp(prefix="verify-load-"))
    run_dir.mkdir(parents=True, exist_ok=True)
    try:
        report = _send(place, settings, thresholds, run_dir)
    finally:
        if not args.keep:
            shutil.rmtree(run_dir, ignore_errors=True)
    if args.json:
        write_atomic(args.json, json.dumps(report.as_json(), indent=2) + "\n")
    print(report.as_text())
    return _EXIT[report.outcome]


def _place(args: argparse.Namespace) -> Place:
    """Return where the load goes and comes from, checked."""
    if args.env:
        place = environment_place(args.env, args.service, inside=args.on == "kubernetes")
    elif args.on == "kubernetes":
        if not args.kubeconfig:
            raise MisuseError("--on kubernetes: expected a cluster, by --env or --kubeconfig, got none")
        place = cluster_place(args.url, Path(args.kubeconfig), args.context, args.namespace)
    else:
        place = Place(url=args.url, allowed_hosts=(str(urlsplit(args.url).hostname),))
    if place.cluster is None:
        admit_target(place.url, place.allowed_hosts)
        _reach(place.url)
    return replace(place, image=args.image) if args.image else place


def _reach(url: str) -> None:
    """Raise MisuseError if the address takes no connection."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((str(parts.hostname), port), _REACH_S).close()
    except OSError as error:
        raise MisuseError(
            f"{url}: cannot be reached: {error.strerror or error}; "
            "expected a server that accepts a connection before load begins"
        ) from None


def _send(place: Place, settings: LoadSettings, thresholds: list[Threshold], run_dir: Path) -> _Report:
    clock = RunClock.start()
    load: Running
    if place.cluster is None:
        load = Load(run_dir, clock.offset_s, place.url, settings, allowed_hosts=place.allowed_hosts)
    else:
        load = place.cluster_load(run_dir, clock, settings, _say)
    try:
        load.start()
        _follow(load, settings)
    except KeyboardInterrupt:
        print("\nended by Ctrl-C: the result so far", file=sys.stderr)
    finally:
        result = load.stop()
    return _judge(Timeline.load(run_dir), load.load_id, result, place.url, thresholds)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _follow(load: Running, settings: LoadSettings) -> None:
    """Show the load's progress until it has ended; WaitTimeoutError if it does not in time."""
    whole_s = settings.plan.duration_s + 2 * settings.request_timeout_s + _START_S
    deadline = time.monotonic() + whole_s
    while load.result is None:
        if time.monotonic() > deadline:
            raise WaitTimeoutError(f"the end of {load.load_id}", whole_s, load.counts)
        if sys.stderr.isatty():
            requests, failures = load.counts
            print(f"\r{requests} requests, {failures} failed ", end="", file=sys.stderr, flush=True)
        time.sleep(0.2)


@dataclass(frozen=True, kw_only=True)
class _Report:
    url: str
    result: LoadResult
    load: Evidence
    latency: LoadLatency
    duration_s: float
    judged: list[Judged]

    @property
    def outcome(self) -> Outcome:
        # A load that proves nothing passes nothing, whatever was asked of it.
        own = Outcome.PASS if self.result.succeeded and not self.load.problems else Outcome.INCONCLUSIVE
        return merge([own, *(one.outcome for one in self.judged)])

    @property
    def doubts(self) -> list[str]:
        error = self.result.error
        told = error is None or any(error in problem for problem in self.load.problems)
        return [*self.load.problems, *([] if told else [str(error)])]

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "url": self.url,
            "verdict": self.outcome.value,
            "reason": self.result.reason,
            "duration_s": self.duration_s,
            "requests": self.load.requests,
            "failures": self.load.failures,
            "error_ratio": self.load.error_ratio,
            "offered": self.load.offered,
            "achieved": self.load.achieved,
            "generator_cpu": self.load.cpu,
            **self.latency.as_json(),
            "doubts": self.doubts,
            "thresholds": [one.as_json() for one in self.judged],
        }

    def as_text(self) -> str:
        achieved, offered = self.load.achieved / self.duration_s, self.load.offered / self.duration_s
        lines = [f"{self.url}: {self.outcome.value}"]
        lines.append(
            f"  {self.load.requests} requests in {self.duration_s:.1f} s ({achieved:.1f}/s of "
            f"{offered:.1f}/s offered), {self.load.failures} failed; "
            f"busiest generator {self.load.cpu:.0%} of a core"
        )
        for name, figures in self.latency.as_json().items():
            what = "from when due" if name == "corrected_ms" else "from when sent"
            shown = ", ".join(f"{key} {value:.1f} ms" for key, value in figures.items() if key != "samples")
            lines.append(f"  latency {what}: {shown or 'none'}")
        for one in self.judged:
            measured = "" if one.measured is None else f"  measured {one.measured:.4g}"
            lines.append(f"  {one.outcome.value:12}  {one.threshold}{measured}")
        return "\n".join([*lines, *(f"  doubt: {doubt}" for doubt in self.doubts)])


def _judge(
    timeline: Timeline, load_id: str, result: LoadResult, url: str, thresholds: list[Threshold]
) -> _Report:
    seconds = list(timeline.of_kind("load.second", load_id=load_id))
    ended = list(timeline.of_kind("load.ended", load_id=load_id))
    start_s = min((second["t"] - second["span_s"] for second in seconds), default=0.0)
    last_s = max((second["t"] for second in seconds), default=1.0)
    end_s = float(ended[-1].get("end_s", last_s)) if ended else last_s
    if end_s <= start_s:
        end_s = max(last_s, start_s + 1e-3)
    load = load_between(timeline, start_s, end_s, load_id=load_id)
    latency = latency_of(load, spans_of(timeline.blind_spans()))
    return _Report(
        url=url,
        result=result,
        load=load,
        latency=latency,
        duration_s=end_s - start_s,
        judged=[threshold.judge(load, latency, end_s - start_s) for threshold in thresholds],
    )
