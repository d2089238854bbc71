"""Spans of time as arrays of (start_s, end_s): joined, cut, clipped and measured."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

# Shape (n, 2): a start and an end a row.
Spans = npt.NDArray[np.float64]


def spans_of(pairs: Iterable[tuple[float, float]]) -> Spans:
    """Return pairs as an array of spans; those without length are left out."""
    rows = np.asarray(list(pairs), dtype=np.float64).reshape(-1, 2)
    return rows[rows[:, 1] > rows[:, 0]]


def union(*several: Spans) -> Spans:
    """Return the disjoint spans, in order, that cover exactly what the given ones cover."""
    rows = np.concatenate([np.empty((0, 2)), *several])
    rows = rows[rows[:, 1] > rows[:, 0]]
    if not len(rows):
        return rows
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    reach = np.maximum.accumulate(rows[:, 1])
    first = np.flatnonzero(np.concatenate([[True], rows[1:, 0] > reach[:-1]]))
    last = np.concatenate([first[1:] - 1, [len(rows) - 1]])
    return np.column_stack([rows[first, 0], reach[last]])


def clip(spans: Spans, start_s: float, end_s: float) -> Spans:
    """Return what of the spans lies between two moments."""
    rows = np.clip(spans, start_s, end_s)
    return rows[rows[:, 1] > rows[:, 0]]


def without(spans: Spans, taken: Spans) -> Spans:
    """Return what of the spans lies in none of those taken, disjoint and in order."""
    kept, gone = union(spans), union(taken)
    if not len(kept) or not len(gone):
        return kept
    # Between all bounds nothing changes: keep the pieces that lie in a span and in none of the taken.
    bounds = np.unique(np.concatenate([kept.ravel(), gone.ravel()]))
    middles = (bounds[:-1] + bounds[1:]) / 2
    inside = covers(kept, middles) & ~covers(gone, middles)
    return union(np.column_stack([bounds[:-1], bounds[1:]])[inside])


def covers(spans: Spans, moments: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell for each moment whether it lies in one of the spans, which are disjoint and in order."""
    begun = np.searchsorted(spans[:, 0], moments, side="right")
    over = np.searchsorted(spans[:, 1], moments, side="right")
    return np.asarray(begun > over)


def grown(spans: Spans, by_s: float) -> Spans:
    """Return the spans longer by `by_s` at either end, or shorter where it is negative."""
    if not by_s or not len(spans):
        return spans
    rows: Spans = spans + np.array([-by_s, by_s])
    return rows[rows[:, 1] > rows[:, 0]]


def length(spans: Spans) -> float:
    """Return how much time the spans cover, in seconds."""
    joined = union(spans)
    return float(np.sum(joined[:, 1] - joined[:, 0]))


def overlap(
    starts: npt.NDArray[np.float64], ends: npt.NDArray[np.float64], spans: Spans
) -> npt.NDArray[np.float64]:
    """Return, for each pair of a start and an end, how many of its seconds lie within the spans."""
    joined = union(spans)
    if not len(joined):
        return np.zeros(len(starts))
    # Covered time up to a moment grows only within spans: linear between their bounds, constant outside.
    lengths = joined[:, 1] - joined[:, 0]
    covered = np.cumsum(lengths)
    grown = np.column_stack([covered - lengths, covered]).ravel()
    bounds = joined.ravel()
    return np.asarray(np.interp(ends, bounds, grown) - np.interp(starts, bounds, grown), dtype=np.float64)
