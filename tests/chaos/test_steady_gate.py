"""The gate before a scenario opens when the subject serves, and stays shut when it never does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.errors import InconclusiveError
from fixtures.scenario import require_steady
from slas.verdicts import Outcome, Verdict

LOOK_S = 3.0


class Subject:
    """Serves without fault from the given look on; each look takes its time."""

    def __init__(self, from_look: int) -> None:
        self.from_look, self.looks, self.now_s = from_look, 0, 100.0

    def look(self) -> Verdict:
        self.looks += 1
        self.now_s += LOOK_S
        steady = self.looks >= self.from_look
        return Verdict(
            sla="steady_state",
            subject="auth-service",
            scenario="pod-delete",
            verdict=Outcome.PASS if steady else Outcome.FAIL,
            measured=float(steady),
            allowed=1,
            unit="bool",
            cause=None if steady else f"stall in look {self.looks}",
        )

    @property
    def now(self) -> Callable[[], float]:
        return lambda: self.now_s


def test_what_settles_within_the_time_opens_the_gate() -> None:
    """A stall that the scenario before has left is over at the second look; no third one is taken."""
    subject = Subject(from_look=2)
    require_steady(subject.look, within_s=30, now=subject.now)
    assert subject.looks == 2


def test_what_never_settles_keeps_it_shut() -> None:
    """Three looks fit into ten seconds; the last one says why."""
    subject = Subject(from_look=4)
    with pytest.raises(InconclusiveError, match=r"within 10 s, nothing was done: stall in look 3"):
        require_steady(subject.look, within_s=10, now=subject.now)
    assert subject.looks == 3
