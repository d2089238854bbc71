"""The table of the catalogue: the last run of each scenario, with its brackets."""

from __future__ import annotations

from pathlib import Path

from reports.runs import RunStore
from reports.scenario_table import Row, latest, markdown
from slas.judge import write_verdicts
from slas.verdicts import Bracket, Outcome, Verdict

ROWS = [
    Row(name=name, sets=["quick"], faults=["pod_delete"], promise="replicas") for name in ("crash", "never")
]


def verdict(sla: str, outcome: Outcome, measured: float | Bracket, phase: str | None = None) -> Verdict:
    return Verdict(
        sla=sla,
        subject="api",
        scenario="crash",
        verdict=outcome,
        measured=measured,
        allowed=9,
        unit="ratio" if sla == "error_ratio" else "s",
        phase=phase,
        evidence={"longest": {"lower": 0.1, "upper": 0.25}} if sla == "downtime" else {},
    )


def test_each_scenario_shows_its_last_run_and_its_worst_phase(tmp_path: Path) -> None:
    """An older run gives way, and what was never played says so."""
    store = RunStore(tmp_path / "runs")
    runs = [store.create("lab", [], seed) for seed in (1, 2)]
    write_verdicts(runs[0].path, [verdict("downtime", Outcome.FAIL, 5.0)])
    down = Bracket(lower=0.2, upper=0.5)
    write_verdicts(
        runs[1].path,
        [
            verdict("recovery_time", Outcome.PASS, Bracket(lower=1.5, upper=2.0), "recovery"),
            verdict("downtime", Outcome.PASS, Bracket(lower=0.0, upper=0.1), "during"),
            verdict("downtime", Outcome.PASS, down),
            verdict("error_ratio", Outcome.PASS, 0.004),
        ],
    )
    crash, never = markdown(ROWS, latest(runs)).splitlines()[2:]
    for shown in (
        "PASS",
        "1.5\N{EN DASH}2 s",
        "0.2\N{EN DASH}0.5 s",
        "0.1\N{EN DASH}0.25 s",
        "0.004",
        runs[1].id,
    ):
        assert shown in crash
    assert "FAIL" not in crash
    assert "not played" in never
