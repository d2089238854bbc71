"""The accuracy campaign's measurements: our sampler against known outages, and against none."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.outages import STALL, Truth, planned, play
from benchmarks.scoring import Finding, Seen, score
from benchmarks.stage import sampler, server
from core.clock import RunClock
from probes.children import Child
from probes.series import NEW, REUSED, SeriesConfig
from slas.downtime import Downtime, measure
from slas.samples import SampleColumns
from slas.timeline import Timeline

SLOW_S = 0.25
MERGED, ALL = "merged", "all"
# The shortest outage that is promised to be found, in seconds, by the rate in probes per second.
SHORTEST_S = {200: 0.010, 1000: 0.005}
MOST_MEAN_ERROR_S = 0.003
MOST_DISTURBED = 0.1
_QUIET_S = (0.4, 0.9)
_DISTURBED_S = 0.1

Samples = Mapping[str, SampleColumns]
Record = dict[str, Any]


def lengths_s(rate: float) -> tuple[float, ...]:
    """Return the lengths of a campaign: 5 ms to 3 s, with the shortest stall that a rate must find."""
    return (0.005, 0.01, 0.03, 0.1, SLOW_S + 2 / rate, 0.5, 1.0, 3.0)


def is_promised(truth: Truth, rate: float) -> bool:
    """Tell whether an outage must be found: long enough, and a stall also `slow_ms` and two periods."""
    shortest_s = SHORTEST_S.get(round(rate), 2 / rate)
    return truth.planned_s >= (max(shortest_s, SLOW_S + 2 / rate) if truth.mode == STALL else shortest_s)


def observe_outages(
    rate: float, lengths: Sequence[float], *, repeats: int, seed: int
) -> tuple[list[Truth], Timeline]:
    """Let the sampler see outages of these lengths in every mode; return the truth and what it recorded."""
    row = planned(lengths, repeats=repeats, quiet_s=_QUIET_S, seed=seed)
    truths: list[Truth] = []
    timeline = _probe(rate, lambda child: truths.extend(play(child, row, settle_s=_QUIET_S[1])))
    return truths, timeline


def reported(timeline: Timeline, rate: float, *, slow_s: float = SLOW_S) -> dict[str, list[Seen]]:
    """Return what we report of a record: by each series alone, and merged."""
    every = {name: {name: one} for name, one in timeline.samples.items()} | {MERGED: timeline.samples}
    return {name: seen_of(_measured(timeline, chosen, rate, slow_s)) for name, chosen in every.items()}


def compared(
    truths: Sequence[Truth],
    seen: Mapping[str, Sequence[Seen]],
    rate: float,
    blind: Sequence[tuple[float, float]] = (),
) -> Record:
    """Compare what is reported with the truth, by series and mode.

    Outages next to a moment in which this machine was known to be `blind` are counted as disturbed and
    not compared: there the server was as likely frozen as the sampler, and its truth is none.
    """
    clear = [one for one in truths if not _disturbed(one, blind)]
    lines, alarms = [], {}
    for name, intervals in seen.items():
        result = score(truths, intervals)
        findings = [one for one in result.findings if one.truth in clear]
        alarms[name] = len(result.false_alarms)
        lines += [
            _line(name, mode, [one for one in findings if one.truth.mode == mode], rate)
            for mode in sorted({truth.mode for truth in clear})
        ]
        lines.append(_line(name, ALL, findings, rate))
    return {
        "outages": len(truths),
        "disturbed": len(truths) - len(clear),
        "lines": lines,
        "false_intervals": alarms,
    }


def _disturbed(truth: Truth, blind: Sequence[tuple[float, float]]) -> bool:
    return any(
        start_s < truth.outer_end_s + _DISTURBED_S and end_s > truth.outer_start_s - _DISTURBED_S
        for start_s, end_s in blind
    )


def measure_outages(rate: float, lengths: Sequence[float], *, repeats: int, seed: int) -> Record:
    """Let the sampler see outages of these lengths in every mode, and compare what it reports."""
    truths, timeline = observe_outages(rate, lengths, repeats=repeats, seed=seed)
    return {
        "rate": rate,
        "seed": seed,
        "truth_known_to_ms": round(max(one.most_s - one.least_s for one in truths) * 1000, 3),
        **compared(truths, reported(timeline, rate), rate, timeline.blind_spans()),
        **_conduct(timeline),
    }


def measure_health(rate: float, span_s: float) -> Record:
    """Let the sampler see a server in health for `span_s` seconds; whatever it reports is false."""
    timeline = _probe(rate, lambda _: time.sleep(span_s))
    downtime = _measured(timeline, timeline.samples, rate, SLOW_S)
    return {
        "rate": rate,
        "span_s": span_s,
        "false_intervals": downtime.outages,
        "intervals": [one.as_json() for one in downtime.intervals],
        "blind_s": round(downtime.blind_s, 6),
        **_conduct(timeline),
    }


def seen_of(downtime: Downtime) -> list[Seen]:
    """Return our intervals as a detector's."""
    return [
        Seen(start_s=one.start_s, end_s=one.end_s, lower_s=one.lower_s, upper_s=one.upper_s)
        for one in downtime.intervals
    ]


def broken_promises(outages: Record) -> list[str]:
    """Say what of the promise the outages of a campaign break; empty if nothing."""
    broken = []
    for line in outages["lines"]:
        which = f"{line['series']} {line['mode']}"
        if line["promised_found"] < line["promised"]:
            missed = ", ".join(f"{ms:g}" for ms in line["missed_ms"])
            broken.append(
                f"{which}: {line['promised_found']} of {line['promised']} found, missed {missed} ms"
            )
        if line["inside"] < line["found"]:
            broken.append(f"{which}: the truth inside the bracket {line['inside']} of {line['found']} times")
        error_ms = line["mean_error_ms"]
        if line["mode"] == ALL and error_ms is not None and error_ms > MOST_MEAN_ERROR_S * 1000:
            broken.append(f"{which}: mean error {error_ms:.2f} ms, at most {MOST_MEAN_ERROR_S * 1000:g} ms")
    if outages["disturbed"] > MOST_DISTURBED * outages["outages"]:
        broken.append(
            f"{outages['disturbed']} outages were disturbed: this machine is too busy to measure on"
        )
    broken += [f"{name}: {n} false intervals" for name, n in outages["false_intervals"].items() if n]
    return broken


def _probe(rate: float, meanwhile: Callable[[Child], None]) -> Timeline:
    clock = RunClock.start()
    with tempfile.TemporaryDirectory(prefix="verify-accuracy-") as folder:
        run_dir = Path(folder)
        with server(run_dir / "server", clock) as (child, url):
            series = [
                SeriesConfig(
                    series=f"p/{connection}",
                    target="p",
                    url=url,
                    connection=connection,
                    rate=rate,
                    slow_ms=SLOW_S * 1000,
                )
                for connection in (NEW, REUSED)
            ]
            with sampler(run_dir, clock, series):
                meanwhile(child)
        return Timeline.load(run_dir)


def _measured(timeline: Timeline, samples: Samples, rate: float, slow_s: float) -> Downtime:
    return measure(
        samples,
        start_s=max(float(one.scheduled_s[0]) for one in samples.values()),
        end_s=min(float(one.scheduled_s[-1]) for one in samples.values()),
        slow_s=dict.fromkeys(samples, slow_s),
        rate=dict.fromkeys(samples, rate),
        blind=timeline.blind_by_series(samples),
    )


def _line(series: str, mode: str, findings: Sequence[Finding], rate: float) -> Record:
    promised = [one for one in findings if is_promised(one.truth, rate)]
    errors_ms = [one.error_s * 1000 for one in findings if one.error_s is not None]
    return {
        "series": series,
        "mode": mode,
        "outages": len(findings),
        "found": len(errors_ms),
        "promised": len(promised),
        "promised_found": sum(one.found for one in promised),
        "missed_ms": [one.truth.planned_s * 1000 for one in promised if not one.found],
        "inside": sum(one.inside for one in findings),
        "mean_error_ms": round(float(np.mean(errors_ms)), 3) if errors_ms else None,
        "max_error_ms": round(max(errors_ms), 3) if errors_ms else None,
    }


def _conduct(timeline: Timeline) -> Record:
    ended = list(timeline.of_kind("probe.ended"))
    return {
        "sent": sum(int(one["sent"]) for one in ended),
        "coverage": round(min(float(one["coverage"]) for one in ended), 6),
        "lateness_p99_ms": max(float(one["lateness_p99_ms"]) for one in ended),
        "blind_spans": [[round(start, 6), round(end, 6)] for start, end in timeline.blind_spans()],
    }
