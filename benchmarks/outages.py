"""Known outages: which ones, in which order, and the truth about each as the server itself measured it."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probes.children import Child
from probes.control import MODES

STALL = "stall"
MOST_LONGER_S = 0.005


@dataclass(frozen=True, kw_only=True)
class Outage:
    """One planned outage of `length_s`, for `planned_s`, which comes `quiet_s` after the one before it."""

    mode: str
    planned_s: float
    length_s: float
    quiet_s: float


@dataclass(frozen=True, kw_only=True)
class Truth:
    """One outage as it was, in Unix seconds.

    The service was certainly out from `start_s` to `end_s`, certainly in before `outer_start_s` and after
    `outer_end_s`: the server took the time between to switch. `planned_s` is the length it was
    made for, which it exceeds a little.
    """

    mode: str
    planned_s: float
    start_s: float
    end_s: float
    outer_start_s: float
    outer_end_s: float

    @property
    def least_s(self) -> float:
        """How long it lasted at least."""
        return self.end_s - self.start_s

    @property
    def most_s(self) -> float:
        """How long it lasted at most."""
        return self.outer_end_s - self.outer_start_s


def planned(
    lengths_s: Sequence[float],
    *,
    repeats: int,
    quiet_s: tuple[float, float],
    seed: int,
    modes: Sequence[str] = MODES,
) -> list[Outage]:
    """Return each length in each mode `repeats` times, in a random order and at random distances.

    An outage is up to `MOST_LONGER_S` longer than asked for: lengths that are whole periods would make
    the bracket's middle look exact.
    """
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    row = [(mode, length_s) for length_s in lengths_s for mode in modes] * repeats
    chance.shuffle(row)
    return [
        Outage(
            mode=mode,
            planned_s=length_s,
            length_s=length_s + chance.uniform(0, MOST_LONGER_S),
            quiet_s=chance.uniform(*quiet_s),
        )
        for mode, length_s in row
    ]


def play(server: Child, row: Sequence[Outage], settle_s: float) -> list[Truth]:
    """Have the server go through the outages (blocking), then wait `settle_s`; return what was true."""
    said = len(server.said())
    for one in row:
        server.tell({"mode": one.mode, "length_s": one.length_s, "delay_s": one.quiet_s})
    span_s = sum(one.length_s + one.quiet_s for one in row)

    def all_said() -> list[dict[str, Any]] | None:
        lines = server.said()[said:]
        return lines if len(lines) >= len(row) else None

    lines = server.wait_for(f"the end of {len(row)} outages", all_said, span_s * 1.1 + 20)
    time.sleep(settle_s)
    return [
        Truth(
            mode=line["mode"],
            planned_s=one.planned_s,
            start_s=line["start_s"],
            end_s=line["end_s"],
            outer_start_s=line["outer_start_s"],
            outer_end_s=line["outer_end_s"],
        )
        for one, line in zip(row, lines, strict=True)
    ]
