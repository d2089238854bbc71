"""A strip of time for the terminal: one character a slice, so that a person sees when it was down."""

from __future__ import annotations

from collections.abc import Sequence

from slas.downtime import Interval

WIDTH = 80


def draw(intervals: Sequence[Interval], start_s: float, end_s: float, width: int = WIDTH) -> str:
    """Return `width` characters: · up, # down, s answered too late; then how much one of them is."""
    slice_s = max(end_s - start_s, 1e-9) / width
    cells = ["·"] * width
    for interval in intervals:
        first = int((interval.start_s - start_s) / slice_s)
        last = int((interval.end_s - start_s) / slice_s)
        for cell in range(max(0, first), min(width - 1, last) + 1):
            cells[cell] = "s" if interval.kind == "stall" and cells[cell] != "#" else "#"
    return f"|{''.join(cells)}|  · up  # down  s too late  ({slice_s * 1000:.0f} ms each)"
