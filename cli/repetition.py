"""Rehearsals in a row, and the table that says whether they agree."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.files import write_atomic
from core.places import checkout
from reports.measures import measured
from reports.origin import commit
from reports.runs import RunStore
from slas.judge import read_verdicts
from slas.verdicts import Outcome, Verdict

# The columns: what varies from run to run and has a figure.
_FIGURES = (
    ("good-release", "deploy_time"),
    ("good-release", "downtime"),
    ("pod-delete", "recovery_time"),
    ("pod-delete", "downtime"),
    ("pod-kill", "recovery_time"),
    ("pod-kill", "downtime"),
    ("failed-release", "rollback_time"),
    ("failed-release", "downtime"),
    ("steady-state", "latency_p95"),
)


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """One rehearsal of the row: its run, wall-clock seconds, exit code and verdicts."""

    run: str
    seconds: float
    exit_code: int
    verdicts: Sequence[Verdict]

    def figure(self, scenario: str, sla: str) -> str:
        """Return what was measured, or a dash."""
        found = [v for v in self.verdicts if (v.scenario, v.sla) == (scenario, sla)]
        return measured(found[0]) if found else "-"

    def count(self, outcome: Outcome) -> int:
        """Return how many verdicts are this one."""
        return sum(v.verdict is outcome for v in self.verdicts)


def repeat(times: int, arguments: Sequence[str], table: Path) -> int:
    """Rehearse `times` times, each in its own process; write the table after each; return the worst exit."""
    done: list[Rehearsal] = []
    for _ in range(times):
        started = time.monotonic()
        status = subprocess.run(
            [sys.executable, "-m", "cli.main", "rehearse", *arguments], cwd=checkout(), check=False
        ).returncode
        seconds = time.monotonic() - started
        latest = RunStore().latest()
        verdicts = read_verdicts(latest.path) if latest and latest.verdicts.exists() else []
        name = latest.id if latest else "none"
        done.append(Rehearsal(run=name, seconds=seconds, exit_code=status, verdicts=verdicts))
        write_atomic(table, _markdown(done, times))
    return max(one.exit_code for one in done)


def _markdown(done: Sequence[Rehearsal], times: int) -> str:
    revision, dirty = commit()
    head = ["run", "wall s", "exit", *(o.value for o in Outcome)]
    head += [f"{scenario} {sla}" for scenario, sla in _FIGURES]
    where = f"commit {revision}{' with changes' if dirty else ''}, {platform.machine()}, {_cores()} cores"
    note = "A measured span is a bracket [lower, upper]; 0 s means that no probe failed."
    lines = ["# Rehearsals in a row", "", f"`verify rehearse --repeat {times}` at {where}. {note}", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for one in done:
        cells = [one.run, f"{one.seconds:.0f}", str(one.exit_code)]
        cells += [str(one.count(o)) for o in Outcome]
        cells += [one.figure(scenario, sla) for scenario, sla in _FIGURES]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _cores() -> int:
    return sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
