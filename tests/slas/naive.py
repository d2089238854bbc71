"""The checkers once more, plainly: loops over samples and milliseconds, after the words of the design.

Nothing here is shared with slas/: where both agree, two independent readings agree. Times are whole
milliseconds; a span is the set of its milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Cells = set[int]


class Look(NamedTuple):
    """A probe: when it was sent and ended (ms), and its outcome; errors only, no silence."""

    sent: int
    ended: int
    outcome: str


class Down(NamedTuple):
    """What a window held, in ms: surely and possibly down, and the longest stretch of each."""

    lower: int
    upper: int
    longest_lower: int
    longest_upper: int


def failed_of(looks: Sequence[Look], start: int, end: int) -> tuple[int, int]:
    """Count the failed among those of the window that the runner did not fail itself."""
    failed = count = 0
    for look in looks:
        if start <= look.sent < end and look.outcome != "runner":
            count += 1
            if look.outcome != "ok":
                failed += 1
    return failed, count


def percentile(looks: Sequence[Look], start: int, end: int, percent: int, timeout: int) -> int:
    """Return the smallest wait that at least so many percent of all waits do not exceed."""
    waits = []
    for look in looks:
        if start <= look.sent < end and look.outcome != "runner":
            wait = look.ended - look.sent
            waits.append(wait if look.outcome == "ok" else max(wait, timeout))
    for candidate in sorted(set(waits)):
        within = 0
        for wait in waits:
            if wait <= candidate:
                within += 1
        if 100 * within >= percent * len(waits):
            return candidate
    raise AssertionError("no waits")


def down(series: Sequence[Sequence[Look]], blind: Sequence[tuple[int, int]], start: int, end: int) -> Down:
    """Measure the downtime of several series by colouring milliseconds."""
    window = set(range(start, end))
    unseen: Cells = set()
    for begin, over in blind:
        unseen |= set(range(begin, over))
    surely: Cells = set()
    possibly: Cells = set()
    for looks in series:
        surely |= _surely(looks, blind) - unseen
        possibly |= _possibly(looks, start, end)
    surely &= window
    possibly = (possibly | unseen) & window
    return Down(len(surely), len(possibly), _longest(surely), _longest(possibly))


def _possibly(looks: Sequence[Look], start: int, end: int) -> Cells:
    """From the sending of the last good look before a failed one to the end of the first good one after."""
    cells: Cells = set()
    for index, look in enumerate(looks):
        if look.outcome == "ok":
            continue
        begin, over = start, end
        for before in looks[:index]:
            if before.outcome == "ok":
                begin = before.sent
        for after in reversed(looks[index + 1 :]):
            if after.outcome == "ok":
                over = after.ended
        cells |= set(range(begin, over))
    return cells


def _surely(looks: Sequence[Look], blind: Sequence[tuple[int, int]]) -> Cells:
    """From the earliest end to the latest sending of failed looks in a row with nothing unseen between."""
    cells: Cells = set()
    row: list[Look] = []
    for index, look in enumerate(looks):
        hidden = index > 0 and any(b < look.sent and looks[index - 1].sent < e for b, e in blind)
        if hidden or look.outcome == "ok":
            cells |= _between(row)
            row = []
        if look.outcome != "ok":
            row.append(look)
    return cells | _between(row)


def _between(row: Sequence[Look]) -> Cells:
    return set(range(min(look.ended for look in row), max(look.sent for look in row))) if row else set()


def _longest(cells: Cells) -> int:
    longest = length = 0
    for cell in range(min(cells, default=0), max(cells, default=0) + 1):
        length = length + 1 if cell in cells else 0
        longest = max(longest, length)
    return longest


def deploy_time(events: Sequence[dict[str, Any]], start: int, end: int) -> int | None:
    """Walk through the window until the release's own revision serves; None if it does not."""
    wanted = None
    began = 0
    for now in range(start, end + 1):
        for event in events:
            if event["ms"] == now and event["kind"] == "release.started":
                wanted, began = event["revision"], now
        for event in events:
            if event["ms"] == now and event["kind"] == "release.serving" and event["revision"] == wanted:
                return now - began
    return None


def recovery_time(injected: int, proved: int, recovered: int) -> tuple[int, int]:
    """Count the milliseconds until the recovery, from the latest and the earliest landing of the fault."""
    shortest = sum(1 for now in range(proved, recovered) if now >= proved)
    longest = sum(1 for now in range(min(injected, proved), recovered) if now >= injected)
    return shortest, longest
