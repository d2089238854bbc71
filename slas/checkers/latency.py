"""latency_p95, latency_p99: the nearest-rank percentile of every answer in the window, in milliseconds.

A failed request got no answer: it counts as slow as its time-out, so that fast errors flatter nothing.
"""

from __future__ import annotations

import math
from collections import Counter

import numpy as np

from core.errors import InconclusiveError
from slas.expectations import Expectation
from slas.loads import load_of
from slas.probing import in_window, probing_of
from slas.samples import OK
from slas.spans import overlap, spans_of
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict

# A percentile needs some answers beyond it: five of a hundred, five of five hundred.
MIN_SAMPLES = {"latency_p95": 100, "latency_p99": 500}
SHARES = {"latency_p95": 0.95, "latency_p99": 0.99}
_TIMEOUT_S = 2.0


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge a percentile from the probes or, with `details.source` load, from the load's histograms."""
    if expectation.details.get("source") == "load":
        return _of_load(timeline, expectation)
    probing = probing_of(timeline, expectation)
    blind = spans_of(timeline.blind_spans())
    waits = [np.empty(0)]
    for name, columns in probing.samples.items():
        chosen = in_window(columns, expectation.start_s, expectation.end_s)
        wait_s = chosen.finished_s - chosen.sent_s
        # What the runner slept through, it did not wait for.
        wait_s = wait_s - overlap(chosen.sent_s, chosen.finished_s, blind)
        started = list(timeline.of_kind("probe.started", end_s=expectation.end_s, series=name))
        timeout_s = float(started[-1].get("timeout_s", _TIMEOUT_S)) if started else _TIMEOUT_S
        waits.append(np.where(chosen.outcome == OK, wait_s, np.maximum(wait_s, timeout_s)))
    waits_ms = np.sort(np.concatenate(waits)) * 1000
    count, needed = len(waits_ms), MIN_SAMPLES[expectation.sla]
    if count < needed:
        problems = [*probing.problems, f"{count} samples, at least {needed} are needed"]
        return expectation.unknown("; ".join(problems), samples=count, evidence=probing.as_json())
    measured = float(waits_ms[math.ceil(SHARES[expectation.sla] * count) - 1])
    evidence = {
        **probing.as_json(),
        "p50_ms": float(waits_ms[math.ceil(0.5 * count) - 1]),
        "max_ms": float(waits_ms[-1]),
        "problems": list(probing.problems),
        "notes": list(timeline.notes),
    }
    if measured > expectation.allowed:
        return expectation.verdict(Outcome.FAIL, measured, evidence=evidence, samples=count)
    if probing.problems:
        return expectation.unknown(
            "; ".join(probing.problems), measured=measured, evidence=evidence, samples=count
        )
    return expectation.verdict(Outcome.PASS, measured, evidence=evidence, samples=count)


def _of_load(timeline: Timeline, expectation: Expectation) -> Verdict:
    load = load_of(timeline, expectation)
    if load.problems:
        return expectation.unknown("; ".join(load.problems), evidence=load.as_json(), samples=load.requests)
    histogram: Counter[float] = Counter()
    for second in load.seconds:
        for bucket, count in (second.get("latency_ms") or {}).items():
            histogram[float(bucket)] += int(count)
    answers, needed = sum(histogram.values()), MIN_SAMPLES[expectation.sla]
    if answers + load.failures < load.requests:
        raise InconclusiveError(f"latencies of {answers} answers, but {load.requests} requests were counted")
    total = answers + load.failures
    if total < needed:
        return expectation.unknown(
            f"{total} requests, at least {needed} are needed", evidence=load.as_json(), samples=total
        )
    rank, seen = math.ceil(SHARES[expectation.sla] * total), 0
    for bucket in sorted(histogram):
        seen += histogram[bucket]
        if seen >= rank:
            outcome = Outcome.PASS if bucket <= expectation.allowed else Outcome.FAIL
            return expectation.verdict(outcome, bucket, evidence=load.as_json(), samples=total)
    return expectation.verdict(
        Outcome.FAIL,
        None,
        cause=f"{load.failures} of {total} requests got no good answer",
        evidence=load.as_json(),
        samples=total,
    )
