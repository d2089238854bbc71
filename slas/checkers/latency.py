"""latency_p95, latency_p99: the nearest-rank percentile of every answer in the window, in milliseconds.

A failed request got no answer: it counts as slow as its time-out, so that fast errors flatter nothing.
"""

from __future__ import annotations

import numpy as np

from slas.expectations import Expectation
from slas.load_latency import latency_of
from slas.loads import load_of
from slas.percentiles import nearest_rank, needed
from slas.probing import in_window, probing_of
from slas.samples import OK
from slas.spans import overlap, spans_of
from slas.timeline import Timeline
from slas.verdicts import Outcome, Verdict

PERCENT = {"latency_p95": 95, "latency_p99": 99}
_TIMEOUT_S = 2.0


def check(timeline: Timeline, expectation: Expectation) -> Verdict:
    """Judge a percentile from the probes or, with `details.source` load, from the load's samples."""
    if expectation.details.get("source") == "load":
        return _of_load(timeline, expectation)
    probing = probing_of(timeline, expectation)
    blind = timeline.blind_by_series(probing.samples)
    waits = [np.empty(0)]
    for name, columns in probing.samples.items():
        chosen = in_window(columns, expectation.start_s, expectation.end_s)
        wait_s = chosen.finished_s - chosen.sent_s
        # What the runner slept through, it did not wait for.
        wait_s = wait_s - overlap(chosen.sent_s, chosen.finished_s, spans_of(blind[name]))
        started = list(timeline.of_kind("probe.started", end_s=expectation.end_s, series=name))
        timeout_s = float(started[-1].get("timeout_s", _TIMEOUT_S)) if started else _TIMEOUT_S
        waits.append(np.where(chosen.outcome == OK, wait_s, np.maximum(wait_s, timeout_s)))
    waits_ms = np.sort(np.concatenate(waits)) * 1000
    count, least = len(waits_ms), needed(PERCENT[expectation.sla])
    if count < least:
        problems = [*probing.problems, f"{count} samples, at least {least} are needed"]
        return expectation.unknown("; ".join(problems), samples=count, evidence=probing.as_json())
    measured = float(waits_ms[nearest_rank(PERCENT[expectation.sla], count) - 1])
    evidence = {
        **probing.as_json(),
        "p50_ms": float(waits_ms[nearest_rank(50, count) - 1]),
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
    """Judge from when each request was due, so that a stall counts for all who had to wait through it."""
    load = load_of(timeline, expectation)
    latency = latency_of(load, spans_of(timeline.blind_spans()))
    percent = PERCENT[expectation.sla]
    count, least = latency.count, needed(percent)
    evidence = {**load.as_json(), **latency.as_json(), "notes": list(timeline.notes)}
    problems = list(load.problems)
    if not count and load.requests:
        problems.append("this run keeps no samples of its load")
    elif count < least:
        problems.append(f"{count} requests, at least {least} are needed")
    if problems:
        return expectation.unknown("; ".join(problems), evidence=evidence, samples=count)
    measured = latency.percentile_ms(percent)
    outcome = Outcome.PASS if measured <= expectation.allowed else Outcome.FAIL
    return expectation.verdict(outcome, measured, evidence=evidence, samples=count)
