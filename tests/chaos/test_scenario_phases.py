"""Phases: each expectation is judged over its own span, and one that did not come about cannot be judged."""

from __future__ import annotations

from typing import Any

from fixtures.expecting import Ask, expectations, phases
from fixtures.settings import load_settings

WINDOW = (100.0, 200.0)


def event(t: float, kind: str, fault_id: str = "f1") -> dict[str, Any]:
    return {"t": t, "kind": f"fault.{kind}", "fault_id": fault_id}


def whole(t: float, fault_id: str = "f1", lasting_s: float = 10) -> list[dict[str, Any]]:
    moments = {"injected": 0.0, "proved": 0.5, "healed": lasting_s, "recovered": lasting_s + 5}
    return [event(t + after_s, kind, fault_id) for kind, after_s in moments.items()]


def test_phases_follow_the_faults_own_events() -> None:
    """During runs to the last healing, recovery to the last recovery, after to the end."""
    assert phases(whole(110), WINDOW) == {"during": (110, 120), "recovery": (120, 125), "after": (125, 200)}


def test_overlapping_faults_have_common_phases() -> None:
    """From the first injection to the last healing, and to the last recovery."""
    both = [*whole(110), *whole(115, "f2", lasting_s=20)]
    assert phases(both, WINDOW) == {"during": (110, 135), "recovery": (135, 140), "after": (140, 200)}


def test_a_recovery_at_once_still_has_a_span() -> None:
    """A state must hold for a second to be believed, and so long is the phase."""
    events = [event(110, "injected"), event(111, "proved"), event(120, "healed"), event(119, "recovered")]
    assert phases(events, WINDOW) == {"during": (110, 120), "recovery": (120, 121), "after": (121, 200)}


def test_what_never_recovers_has_no_time_after() -> None:
    """Its recovery goes on to the end."""
    assert phases(whole(110)[:3], WINDOW) == {"during": (110, 120), "recovery": (120, 200)}


def test_what_did_not_land_or_was_not_healed_has_no_phases() -> None:
    """Neither has a fault of another scenario, before this one's window."""
    assert phases([event(110, "injected")], WINDOW) == {}
    assert phases([*whole(110), event(130, "injected", "f2")], WINDOW) == {}
    assert phases(whole(50), WINDOW) == {}


def test_each_expectation_gets_its_own_window() -> None:
    """The recovery's time alone needs the events of before its phase."""
    asks = [
        Ask(sla="downtime", phase="during", allowed=2.0),
        Ask(sla="recovery_time", phase="recovery", allowed=9.0),
        Ask(sla="error_ratio", phase="after"),
        Ask(sla="downtime"),
        Ask(sla="invariant", subject="pickups_kept", allowed=1.0, details={"invariant": "pickups_kept"}),
    ]
    made = expectations(
        "cut",
        "auth-service",
        asks,
        settings=load_settings("lab"),
        window=WINDOW,
        spans=phases(whole(110)[:3], WINDOW),
        details={"load_id": "l1"},
    )
    assert [(one.phase, one.start_s, one.end_s) for one in made] == [
        ("during", 110, 120),
        ("recovery", 100, 200),
        ("after", 100, 200),
        (None, 100, 200),
        (None, 100, 200),
    ]
    assert [one.allowed for one in made] == [2.0, 9.0, 0.01, 0, 1.0]
    assert [one.subject for one in made] == ["auth-service"] * 4 + ["pickups_kept"]
    assert made[2].details["inconclusive"] == "the phase after did not come about"
    assert made[4].details == {"load_id": "l1", "invariant": "pickups_kept"}
