"""Percentiles by the nearest rank, and how many samples one of them needs."""

from __future__ import annotations

# This many samples must lie beyond a percentile, or a handful of accidents would be it.
BEYOND = 5


def nearest_rank(percent: int, count: int) -> int:
    """Return the rank (from 1) of the percentile among `count` sorted samples: ceil(percent / 100 * count).

    In whole numbers, since 0.95 * 100 need not be 95 in floating point.
    """
    return -(-percent * count // 100)


def needed(percent: int) -> int:
    """Return the least count that has BEYOND samples beyond the percentile: BEYOND / (1 - percent / 100)."""
    return -(-BEYOND * 100 // (100 - percent))
