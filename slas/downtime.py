"""Downtime over a window: the outages of all series, merged, as brackets that contain the truth.

An outage seen by either series counts. Outages of several series that overlap are one: its lower is the
time that some series proves, its upper the time from the first to the last bound of any of them. What
a series did not see (blind spans of its vantage, missing ticks) proves nothing, and adds to upper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from slas.outages import KINDS, STALL, SeriesOutages, find_outages
from slas.samples import SampleColumns
from slas.spans import Spans, clip, grown, length, spans_of, union, without
from slas.verdicts import Bracket

# A probe's wait reaches no further than this beyond the window in which it is judged.
_MARGIN_S = 60.0
# Outages described one by one, the longest first; totals comprise all.
_DESCRIBED = 200


@dataclass(frozen=True, kw_only=True)
class Interval:
    """One outage: from `start_s` to `end_s` at most (Unix seconds), `lower_s` of it certainly.

    `kind` is the predominant kind of failure among its `samples` failed probes (an outcome, or stall);
    `first_error` is the text of the first; `status` the highest HTTP status among them, 0 for none.
    """

    start_s: float
    end_s: float
    lower_s: float
    kind: str
    first_error: str
    samples: int
    status: int
    series: tuple[str, ...]

    @property
    def upper_s(self) -> float:
        """How long it lasted at most, in seconds."""
        return self.end_s - self.start_s

    def as_json(self) -> dict[str, Any]:
        """Return the record as the evidence of a verdict holds it."""
        return {
            "start_s": round(self.start_s, 6),
            "end_s": round(self.end_s, 6),
            "lower_s": round(self.lower_s, 6),
            "upper_s": round(self.upper_s, 6),
            "kind": self.kind,
            "first_error": self.first_error,
            "samples": self.samples,
            "status": self.status,
            "series": list(self.series),
        }


@dataclass(frozen=True, kw_only=True)
class Downtime:
    """What a window held: `total` and `longest` outage in seconds, and what they rest on.

    The longest is as long as the longest span that is certain without a break, and at most as long as the
    longest one in which no series saw the service up throughout.

    `intervals` are the outages in order (the longest 200 if there are more: `outages` counts all);
    `stalls` are those of each series in which answers came too late. `failed` and `looks` count the probes
    sent in the window. `blind_s` was seen by nobody; `longest_gap_s` is the longest time in which some
    series sent nothing or the runner was blind.
    """

    total: Bracket
    longest: Bracket
    outages: int
    intervals: tuple[Interval, ...]
    stalls: tuple[Interval, ...]
    failed: int
    looks: int
    blind_s: float
    longest_gap_s: float


def measure(
    samples: Mapping[str, SampleColumns],
    *,
    start_s: float,
    end_s: float,
    slow_s: Mapping[str, float],
    rate: Mapping[str, float],
    resolution_s: float = 0.0,
    blind: Mapping[str, Sequence[tuple[float, float]]] | None = None,
    placed_within_s: Mapping[str, float] | None = None,
) -> Downtime:
    """Measure the downtime that these series prove between two moments.

    `slow_s`, `rate` (probes per second), `blind` (spans in which its vantage could not see) and
    `placed_within_s` are by series. The last is how wrong the clock of its vantage may be: what such a
    series saw is certain only where it holds for every error up to that, and possible where it holds for
    one. A time without a probe is a blind span if it is longer than five ticks and than `resolution_s`. A
    series without samples is blind throughout.
    """
    blind_spans = {series: spans_of((blind or {}).get(series, ())) for series in samples}
    found = [
        find_outages(
            series,
            _near(columns, start_s, end_s),
            slow_s=slow_s[series],
            gap_s=max(5.0 / rate[series], resolution_s),
            blind=blind_spans[series],
        )
        for series, columns in samples.items()
    ]
    errors_s = [(placed_within_s or {}).get(series, 0.0) for series in samples]
    return _merged(found, list(blind_spans.values()), errors_s, start_s, end_s)


def _near(columns: SampleColumns, start_s: float, end_s: float) -> SampleColumns:
    """Cut off what is too far from the window to bear on it (a bound out there is the window's anyway)."""
    low, high = np.searchsorted(columns.scheduled_s, [start_s - _MARGIN_S, end_s + _MARGIN_S])
    return columns.take(slice(int(low), int(high)))


def _merged(
    found: Sequence[SeriesOutages],
    blind: Sequence[Spans],
    errors_s: Sequence[float],
    start_s: float,
    end_s: float,
) -> Downtime:
    uppers = [
        clip(grown(one.upper, error_s), start_s, end_s) for one, error_s in zip(found, errors_s, strict=True)
    ]
    seen = [
        without(grown(one.certain, -error_s), spans)
        for one, spans, error_s in zip(found, blind, errors_s, strict=True)
    ]
    certain = clip(union(*seen), start_s, end_s)
    proved = certain[:, 1] - certain[:, 0]
    hulls = union(*uppers)
    owner = np.searchsorted(hulls[:, 0], certain[:, 0], side="right") - 1
    lowers = np.bincount(owner, weights=proved, minlength=len(hulls)) if len(hulls) else np.zeros(0)
    lengths = hulls[:, 1] - hulls[:, 0]
    unseen = clip(union(*blind, *(_unseen(one, start_s, end_s) for one in found)), start_s, end_s)
    possible = union(hulls, unseen)
    within = [(one.looks.sent_s >= start_s) & (one.looks.sent_s < end_s) for one in found]
    described = np.sort(np.argsort(-lengths, kind="stable")[:_DESCRIBED])
    return Downtime(
        total=Bracket(lower=float(lowers.sum()), upper=length(possible)),
        longest=Bracket(
            lower=float(proved.max(initial=0)),
            upper=float((possible[:, 1] - possible[:, 0]).max(initial=0)),
        ),
        outages=len(hulls),
        intervals=tuple(_described(found, hulls[i], float(lowers[i])) for i in described),
        stalls=tuple(stall for one in found for stall in _stalls(one, start_s, end_s)),
        failed=sum(
            int(np.count_nonzero((one.kind >= 0) & inside)) for one, inside in zip(found, within, strict=True)
        ),
        looks=sum(int(np.count_nonzero(inside)) for inside in within),
        blind_s=length(unseen),
        longest_gap_s=max(
            (_longest_gap(one, spans, start_s, end_s) for one, spans in zip(found, blind, strict=True)),
            default=end_s - start_s,
        ),
    )


def _unseen(one: SeriesOutages, start_s: float, end_s: float) -> Spans:
    """Return a series' blind spans, with the window's edges where no probe was yet, or was any more."""
    sent = one.looks.sent_s
    if not len(sent):
        return spans_of([(start_s, end_s)])
    late = []
    if sent[0] - start_s > one.gap_s:
        late.append((start_s, float(one.looks.finished_s[0])))
    if end_s - sent[-1] > one.gap_s:
        late.append((float(sent[-1]), end_s))
    return union(one.blind, spans_of(late))


def _longest_gap(one: SeriesOutages, blind: Spans, start_s: float, end_s: float) -> float:
    moments = np.concatenate([[start_s], np.clip(one.looks.sent_s, start_s, end_s), [end_s]])
    frozen = clip(blind, start_s, end_s)
    return float(max(np.diff(moments).max(), (frozen[:, 1] - frozen[:, 0]).max(initial=0.0)))


def _described(found: Sequence[SeriesOutages], hull: npt.NDArray[np.float64], lower_s: float) -> Interval:
    start_s, end_s = float(hull[0]), float(hull[1])
    counts = np.zeros(len(KINDS), dtype=np.int64)
    first: tuple[float, str] = (np.inf, "")
    status = 0
    series = []
    for one in found:
        inside = one.between(start_s, end_s)
        if inside.start >= inside.stop:
            continue
        looks = slice(int(one.first[inside.start]), int(one.last[inside.stop - 1]) + 1)
        failed = np.flatnonzero(one.kind[looks] >= 0) + looks.start
        counts += np.bincount(one.kind[failed], minlength=len(KINDS))
        status = max(status, int(one.looks.status[failed].max()))
        series.append(one.series)
        error = one.looks.texts[int(one.looks.error[failed[0]])]
        first = min(first, (float(one.looks.sent_s[failed[0]]), error))
    kind = KINDS[int(counts.argmax())]
    return Interval(
        start_s=start_s,
        end_s=end_s,
        lower_s=lower_s,
        kind=kind,
        first_error=first[1] or kind,
        samples=int(counts.sum()),
        status=status,
        series=tuple(series),
    )


def _stalls(one: SeriesOutages, start_s: float, end_s: float) -> list[Interval]:
    """Return the outages of one series in which answers came, but too late (the first 200)."""
    stalled = np.concatenate([[0], np.cumsum(one.kind == STALL)])
    inside = one.between(start_s, end_s)
    has_stall = stalled[one.last[inside] + 1] > stalled[one.first[inside]]
    stalls = []
    for index in np.flatnonzero(has_stall)[:_DESCRIBED] + inside.start:
        hull = np.clip(one.upper[index], start_s, end_s)
        lower_s = length(clip(one.certain, float(hull[0]), float(hull[1])))
        stalls.append(_described([one], hull, lower_s))
    return stalls
