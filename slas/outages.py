"""Outages that the samples of one series prove: which probes failed, and what that says about when.

The reasoning, for probes in the order of sending (retries apart, the runner's own failures blind):

- A probe *failed* if it got no good answer, or a good one only after `slow_s` (a stall).
- An outage runs through consecutive failed probes, and the service is taken to be down between them.
- *Upper*: from the sending of the last good probe before them to the end of the first good one after.
- *Lower*: an error proves a moment of downtime between sending and end. So with several, the service was
  down from the earliest end to the latest sending. Silence proves more: a probe that waited was
  unanswered from its sending plus the normal service time on, and until its end less that time.
- Silence is no proof past a quick answer to a later probe, because a request that was lost stays
  unanswered after the outage. Past the last failed sending it counts only if later probes had to wait
  as well, or if no later probe was sent before the wait ended.
- Where the runner was blind nothing is certain: *lower* leaves the span out, *upper* includes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from slas.samples import OK, OUTCOMES, RUNNER, SampleColumns
from slas.spans import Spans, overlap, union

Floats = npt.NDArray[np.float64]
TIMEOUT = OUTCOMES.index("timeout")
# A kind of failure is an outcome; what was answered well, but too late, is a stall.
KINDS = (*OUTCOMES, "stall")
STALL = KINDS.index("stall")


@dataclass(frozen=True, kw_only=True)
class SeriesOutages:
    """What one series says. `looks` are its probes in the order of sending, without retries and blind ones.

    Outage i is `upper[i]` at most, and comprises the looks from `first[i]` to `last[i]`. `certain` are
    spans that were certainly down; `blind` are spans in which nothing was seen. `kind` is -1 for a good
    look, else an index of KINDS. Beyond the first and the last look, `upper` is infinite.
    """

    series: str
    looks: SampleColumns
    kind: npt.NDArray[np.int8]
    silent: npt.NDArray[np.bool_]
    upper: Spans
    certain: Spans
    blind: Spans
    first: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]
    normal_s: float
    gap_s: float

    def between(self, start_s: float, end_s: float) -> slice:
        """Return which outages reach into a span: neighbours, since they are in the order of sending."""
        low = np.searchsorted(self.reach, start_s, side="right")
        return slice(int(low), int(np.searchsorted(self.upper[:, 0], end_s, side="left")))

    @cached_property
    def reach(self) -> Floats:
        """The latest end of each outage and those before it."""
        return np.maximum.accumulate(self.upper[:, 1])


def normal_service_s(waits_s: Floats, slow_s: float) -> float:
    """Return what a good answer takes at most when all is well, in seconds.

    That is Tukey's upper fence, the third quartile plus 1.5 times the distance of the quartiles, which a
    minority of good answers delayed by an outage does not move. Without good answers it is `slow_s`.
    """
    if not len(waits_s):
        return slow_s
    low, high = np.quantile(waits_s, [0.25, 0.75])
    return float(min(high + 1.5 * (high - low), slow_s))


def find_outages(
    series: str, samples: SampleColumns, *, slow_s: float, gap_s: float, blind: Spans
) -> SeriesOutages:
    """Find the outages in one series.

    `gap_s` is the longest time between two sendings that is not a blind spot; `blind` are spans in which
    the runner is known to have been blind.
    """
    probes = samples.without(samples.retry).in_order()
    lost_s = overlap(probes.sent_s, probes.finished_s, blind)
    waits = probes.finished_s - probes.sent_s - lost_s
    # A wait that the runner slept through is the runner's: the time-out fired because it woke up.
    own = (probes.outcome == RUNNER) | ((probes.outcome == TIMEOUT) & (lost_s > 0) & (waits <= slow_s))
    runner_gaps = _gaps_with_runner(own)
    looks, waits = probes.without(own), waits[~own]
    silent = waits > slow_s
    kind = np.where(looks.outcome != OK, looks.outcome, np.where(silent, STALL, -1)).astype(np.int8)
    good = kind < 0
    normal_s = normal_service_s(waits[good], slow_s)
    sent, finished = looks.sent_s, looks.finished_s

    # Between looks i and i+1: was anything between them unseen?
    unseen = (np.diff(sent) > gap_s) | runner_gaps
    if len(blind):
        unseen |= overlap(sent[:-1], sent[1:], blind) > 0
    first, last = _runs(~good, np.zeros(len(unseen), dtype=np.bool_))
    ends = np.concatenate([finished, [np.inf]])
    upper = np.column_stack([np.concatenate([[-np.inf], sent])[first], ends[last + 1]])
    wide = np.flatnonzero(np.diff(sent) > gap_s)
    return SeriesOutages(
        series=series,
        looks=looks,
        kind=kind,
        silent=silent & ~good,
        upper=upper,
        certain=_certain(looks, good, silent & ~good, unseen, normal_s),
        blind=union(blind, np.column_stack([sent[wide], finished[wide + 1]])),
        first=first,
        last=last,
        normal_s=normal_s,
        gap_s=gap_s,
    )


def _gaps_with_runner(own: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Tell, for each two neighbouring looks, whether a failure of the runner lies between them."""
    positions = np.flatnonzero(~own)
    return np.diff(positions) > 1


def _runs(
    chosen: npt.NDArray[np.bool_], split: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return the first and last index of each run of chosen ones; `split[i]` parts i from i+1."""
    joined = chosen[1:] & chosen[:-1] & ~split
    edge = np.zeros(min(len(chosen), 1), dtype=np.bool_)
    first = np.flatnonzero(chosen & ~np.concatenate([edge, joined]))
    last = np.flatnonzero(chosen & ~np.concatenate([joined, edge]))
    return first, last


def _certain(
    looks: SampleColumns,
    good: npt.NDArray[np.bool_],
    silent: npt.NDArray[np.bool_],
    unseen: npt.NDArray[np.bool_],
    normal_s: float,
) -> Spans:
    """Return the spans certainly down: one for each run of failed looks with nothing unseen between."""
    first, last = _runs(~good, unseen)
    if not len(first):
        return np.empty((0, 2))
    sent, finished = looks.sent_s, looks.finished_s
    begun = np.where(silent, np.minimum(finished, sent + normal_s), finished)
    waited = np.where(silent, finished - normal_s, -np.inf)
    begin, wait_end = _over(np.minimum, begun, first, last), _over(np.maximum, waited, first, last)

    # The earliest moment at which an answer was in the making, to a probe sent since the run's first or
    # to an earlier one that had to wait into the run.
    answers = np.where(looks.outcome == OK, finished - normal_s, np.inf)
    answered = np.minimum.accumulate(answers[::-1])[::-1][first]
    moments = np.append(np.sort(answers[np.isfinite(answers)]), np.inf)
    answered = np.minimum(answered, moments[np.searchsorted(moments, begin, side="right")])
    following = np.append(sent, np.inf)[last + 1]
    # Good, and nothing unseen before it; after the last look of all, nothing contradicts a silence.
    followed_by_good = np.append(good, True)[last + 1] & ~np.append(unseen, False)[last]
    next_waited = followed_by_good & (following < answered)
    nobody_later = followed_by_good & silent[last] & (following >= finished[last] - normal_s)
    end = sent[last]
    end = np.where(nobody_later, np.maximum(end, np.minimum(answered, waited[last])), end)
    end = np.where(next_waited, np.maximum(sent[last], np.minimum(answered, wait_end)), end)
    # Never past the end of the first good answer: that is what upper says.
    end = np.minimum(end, np.where(followed_by_good, np.append(finished, np.inf)[last + 1], np.inf))
    return np.column_stack([begin, end])[end > begin]


def _over(
    reduce: np.ufunc, values: Floats, first: npt.NDArray[np.intp], last: npt.NDArray[np.intp]
) -> Floats:
    """Reduce the values of each run from `first` to `last`, both included."""
    bounds = np.column_stack([first, last + 1]).ravel()
    padded = np.append(values, values[-1])
    return np.asarray(reduce.reduceat(padded, bounds)[::2], dtype=np.float64)
