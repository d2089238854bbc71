"""A run as the harness writes it, of any length, whose outages are known: for the bounds of size and speed.

`python tests/slas/made_hour.py FOLDER SECONDS` writes one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from slas.expectations import UNITS
from slas.samples import SegmentWriter

T0 = 1_700_000_000.0
SEGMENT_S = 0.5
# What each of the two samplers, on the runner and in the cluster, sends on each kind of connection.
RATE = 500.0
WRITERS = {
    "sampler": ("auth-service/new", "auth-service/reused"),
    "sampler-cluster": ("auth-service/new@cluster", "auth-service/reused@cluster"),
}
ASKED = {
    "downtime": 600.0,
    "downtime_longest": 10.0,
    "error_ratio": 0.05,
    "latency_p95": 50.0,
    "latency_p99": 2500.0,
    "steady_state": 1.0,
}
_MODES = ("refused", "reset", "timeout", "status")
_EVERY_S, _TIMEOUT_S = 60.0, 2.0


class Row(NamedTuple):
    """One sample, as a sampler hands it over."""

    series: str
    scheduled_s: float
    sent_s: float
    finished_s: float
    outcome: str
    phase: str
    status: int
    instance: str
    version: str
    error: str
    retry: bool


@dataclass(frozen=True, kw_only=True)
class Outage:
    """When it began and ended (Unix seconds), and how requests failed."""

    start_s: float
    end_s: float
    mode: str


def outages(seconds: float) -> list[Outage]:
    """Return one outage a minute, of 50 ms to 3 s."""
    draw = np.random.default_rng(7)
    starts = np.arange(T0 + _EVERY_S / 2, T0 + seconds - 5, _EVERY_S)
    lengths = draw.uniform(0.05, 3.0, len(starts))
    return [
        Outage(start_s=float(start), end_s=float(start + length), mode=_MODES[number % len(_MODES)])
        for number, (start, length) in enumerate(zip(starts, lengths, strict=True))
    ]


def write(folder: Path, seconds: float) -> int:
    """Write a run of so many seconds at 2,000 samples a second, and return how many samples it has."""
    folder.mkdir(parents=True)
    known = outages(seconds)
    draw = np.random.default_rng(11)
    writers = {names: SegmentWriter(folder / "samples", name) for name, names in WRITERS.items()}
    rows = 0
    for number in range(int(seconds / SEGMENT_S)):
        start_s = T0 + number * SEGMENT_S
        near = [one for one in known if one.start_s < start_s + SEGMENT_S and one.end_s > start_s]
        for offset, (names, writer) in enumerate(writers.items()):
            segment = [
                row
                for index, name in enumerate(names)
                for row in _rows(name, start_s + (2 * offset + index) / (4 * RATE), near, draw)
            ]
            writer.write(segment)
            rows += len(segment)
    (folder / "run.json").write_text(json.dumps(_info(folder)))
    with (folder / "events.jsonl").open("w") as events:
        for event in _events(seconds):
            events.write(json.dumps(event) + "\n")
    return rows


def _rows(name: str, start_s: float, near: list[Outage], draw: np.random.Generator) -> Iterator[Row]:
    count = int(SEGMENT_S * RATE)
    scheduled = start_s + np.arange(count) / RATE
    sent = scheduled + draw.exponential(0.0002, count)
    # Around 2.5 ms with a tail: what a small service answers in.
    finished = sent + draw.lognormal(-6.0, 0.4, count)
    times = zip(scheduled.tolist(), sent.tolist(), finished.tolist(), strict=True)
    for number, (due_s, sent_s, finished_s) in enumerate(times):
        pod = f"auth-service-7d9c5b6f4-{number % 2}"
        hit = next((one for one in near if one.start_s <= finished_s < one.end_s), None)
        if hit is None:
            yield Row(name, due_s, sent_s, finished_s, "ok", "done", 200, pod, "1.0.0", "", retry=False)
        elif hit.mode == "status":
            yield Row(name, due_s, sent_s, finished_s, "status", "done", 503, pod, "1.0.0", "HTTP 503", False)
        else:
            ended_s = sent_s + _TIMEOUT_S if hit.mode == "timeout" else finished_s
            yield Row(name, due_s, sent_s, ended_s, hit.mode, "connect", 0, "", "", f"E{hit.mode}", False)


def _events(seconds: float) -> Iterator[dict[str, Any]]:
    names = [name for some in WRITERS.values() for name in some]
    for name in names:
        yield {"t": T0 - 5, "kind": "probe.started", "series": name, "rate": RATE, "slow_ms": 250.0}
        yield {"t": T0 - 1, "kind": "calibration.result", "series": name, "by": name, "mode": "reset"} | {
            "found": True,
            "resolution_s": 0.008,
        }
    yield {"t": T0, "kind": "load.started", "load_id": "l1", "workers": 1, "users": 10, "rate": 50}
    for second in range(int(seconds)):
        yield {"t": T0 + second + 0.9, "kind": "load.second", "load_id": "l1", "requests": 50} | {
            "failures": 0,
            "latency_ms": {"3": 48, "7": 2},
        }
        if second % 10 == 0:
            pod = {"name": f"auth-service-{second % 2}", "uid": f"u{second % 2}", "restarts": 0}
            yield {"t": T0 + second, "kind": "k8s.pod", "type": "MODIFIED", "ready": True, **pod}
    yield {"t": T0 + seconds + 1, "kind": "load.ended", "load_id": "l1", "exit_code": 0, "workers_lost": 0}
    for sla, allowed in ASKED.items():
        yield {"t": T0 + seconds + 2, "kind": "expectation", "sla": sla, "subject": "auth-service"} | {
            "scenario": "made-up",
            "start_s": T0 + 1,
            "end_s": T0 + seconds - 1,
            "allowed": allowed,
            "unit": UNITS[sla],
            "resolution_s": 0.1,
            "details": {"source": "probes", "series": names},
        }


def _info(folder: Path) -> dict[str, Any]:
    blank = {"commit": None, "dirty": None, "versions": {}, "images": {}, "seed": 0, "arguments": []}
    where = {"schema": 1, "id": folder.name, "environment": "made-up", "clock_offset_s": 0.0}
    return {**blank, **where, "pid": 1, "start_ticks": 0, "started": "2023-11-14T22:13:20+00:00"}


if __name__ == "__main__":
    write(Path(sys.argv[1]), float(sys.argv[2]))
