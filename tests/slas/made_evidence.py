"""Made-up evidence for tests: probes of a simulated service, and expectations about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slas.expectations import UNITS
from slas.samples import SampleColumns
from slas.timeline import Timeline

T0 = 1_000_000.0
NEW, REUSED = "auth-service/new", "auth-service/reused"
MODES = ("refused", "reset", "status", "truncated", "hang", "blackhole", "retransmit")


def probe(
    sent_s: float, outages: Sequence[tuple[float, float]], mode: str, service_s: float, timeout_s: float
) -> dict[str, Any]:
    """Return what a probe sees of a service that needs `service_s` and is down in `outages`."""
    due_s = sent_s + service_s

    def answer(finished_s: float, outcome: str = "ok", **more: Any) -> dict[str, Any]:
        return {"sent_s": sent_s, "finished_s": finished_s, "outcome": outcome, **more}

    hit = next(((a, b) for a, b in outages if a <= due_s < b), None)
    if hit is None:
        return answer(due_s, status=200)
    begin_s, end_s = hit
    if mode == "hang":
        thawed_s = end_s + service_s
        return answer(thawed_s) if thawed_s <= sent_s + timeout_s else answer(sent_s + timeout_s, "timeout")
    if mode == "blackhole":
        return answer(sent_s + timeout_s, "timeout")
    if mode == "retransmit":
        # The kernel sends a lost SYN again after one second.
        again_s = due_s + 1.0
        lost = again_s > sent_s + timeout_s or any(a <= again_s < b for a, b in outages)
        return answer(sent_s + timeout_s, "timeout") if lost else answer(again_s)
    return answer(max(due_s, begin_s), mode, status=503 if mode == "status" else 0, error=f"E{mode}")


def series(
    outages: Sequence[tuple[float, float]] = (),
    mode: str = "refused",
    *,
    length_s: float = 10.0,
    rate: float = 100.0,
    service_s: Sequence[float] = (0.003,),
    timeout_s: float = 2.0,
    offset_s: float = 0.0,
) -> list[dict[str, Any]]:
    """Return the rows of an open-loop series; times count from T0."""
    shifted = [(T0 + a, T0 + b) for a, b in outages]
    return [
        probe(T0 + offset_s + i / rate, shifted, mode, service_s[i % len(service_s)], timeout_s)
        for i in range(int(length_s * rate))
    ]


def expected(sla: str, *, allowed: float = 0.0, end_s: float = 10.0, **more: Any) -> dict[str, Any]:
    """Return an `expectation` event about auth-service, from T0 to `end_s` after it."""
    return {
        "t": T0 + 1000,
        "kind": "expectation",
        "sla": sla,
        "subject": "auth-service",
        "scenario": "made-up",
        "start_s": T0,
        "end_s": T0 + end_s,
        "allowed": allowed,
        "unit": UNITS.get(sla, "s"),
        "resolution_s": 0.1,
        **more,
    }


def at(second: float, kind: str, **fields: Any) -> dict[str, Any]:
    """Return an event `second` seconds after T0."""
    return {"t": T0 + second, "kind": kind, **fields}


def probed(*names: str, rate: float = 100.0, slow_ms: float = 250.0) -> list[dict[str, Any]]:
    """Return the events of series that were started, and calibrated at 40 ms."""
    started = [
        at(-5, "probe.started", series=name, rate=rate, slow_ms=slow_ms, timeout_s=2.0) for name in names
    ]
    proved = [
        at(-1, "calibration.result", series=name, found=True, resolution_s=0.04, mode="reset")
        for name in names
    ]
    return [*started, *proved]


def timeline(rows: Mapping[str, list[dict[str, Any]]], *events: Mapping[str, Any]) -> Timeline:
    """Return a timeline of these series and events."""
    return Timeline.of(events=events, samples={name: SampleColumns.of(some) for name, some in rows.items()})
