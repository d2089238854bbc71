"""The life of a pickup as a table: which step leads from where to where, and who may take it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["requested", "scheduled", "assigned", "completed", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step: `whose` is the field of the pickup that names who may take it, None any collector."""

    name: str
    before: frozenset[Status]
    after: Status
    whose: Literal["owner", "collector"] | None


SCHEDULE = Step(name="schedule", before=frozenset({"requested"}), after="scheduled", whose="owner")
ASSIGN = Step(name="assign", before=frozenset({"scheduled"}), after="assigned", whose=None)
COMPLETE = Step(name="complete", before=frozenset({"assigned"}), after="completed", whose="collector")
CANCEL = Step(
    name="cancel", before=frozenset({"requested", "scheduled", "assigned"}), after="cancelled", whose="owner"
)
STEPS = (SCHEDULE, ASSIGN, COMPLETE, CANCEL)
OPEN: Status = "scheduled"  # What collectors choose from.
