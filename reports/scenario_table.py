"""The table of the catalogue: what each scenario measured when it was last played, per commit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reports.measures import figure, measured
from reports.runs import Run
from slas.judge import read_verdicts
from slas.verdicts import Bracket, Verdict, merge

_HEAD = (
    "scenario",
    "sets",
    "faults",
    "promise",
    "verdict",
    "recovery",
    "downtime",
    "longest outage",
    "errors",
    "run",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One scenario of the catalogue as the table shows it."""

    name: str
    sets: Sequence[str]
    faults: Sequence[str]
    promise: str


@dataclass(frozen=True, kw_only=True)
class Played:
    """The verdicts on a scenario in the run that played it last."""

    run: str
    verdicts: Sequence[Verdict] = field(default_factory=tuple)

    def figure(self, *slas: str) -> str:
        """Return what was measured of the first of these SLAs that was judged, or a dash."""
        for sla in slas:
            found = [one for one in self.verdicts if one.sla == sla]
            if found:
                return measured(max(found, key=_upper))
        return "-"

    @property
    def longest(self) -> str:
        """Return the longest outage, judged or only seen."""
        judged = self.figure("downtime_longest")
        if judged != "-":
            return judged
        seen = [one.evidence["longest"] for one in self.verdicts if one.evidence.get("longest")]
        if not seen:
            return "-"
        worst = max(seen, key=lambda one: float(one["upper"]))
        lower, upper = (figure(float(worst[end]), "s") for end in ("lower", "upper"))
        return f"{lower} s" if lower == upper else f"{lower}\N{EN DASH}{upper} s"


def _upper(verdict: Verdict) -> float:
    value = verdict.measured
    return value.upper if isinstance(value, Bracket) else float(value or 0.0)


def latest(runs: Iterable[Run]) -> Mapping[str, Played]:
    """Return for each scenario the run that played it last; runs are given from the oldest to the newest."""
    found: dict[str, Played] = {}
    for run in runs:
        verdicts = read_verdicts(run.path) if run.verdicts.exists() else []
        for name in dict.fromkeys(verdict.scenario for verdict in verdicts):
            mine = [verdict for verdict in verdicts if verdict.scenario == name]
            info: Any = run.info()
            where = f"{run.id} at {(info.commit or 'no commit')[:9]}{' with changes' if info.dirty else ''}"
            found[name] = Played(run=where, verdicts=mine)
    return found


def markdown(rows: Iterable[Row], played: Mapping[str, Played]) -> str:
    """Return the table; a scenario that no run has played says so."""
    lines = ["| " + " | ".join(_HEAD) + " |", "|" + "---|" * len(_HEAD)]
    for row in rows:
        cells = [row.name, ", ".join(row.sets), ", ".join(row.faults), row.promise]
        one = played.get(row.name)
        if one is None:
            cells += ["not played", "-", "-", "-", "-", "-"]
        else:
            cells.append(merge(verdict.verdict for verdict in one.verdicts).value)
            cells += [one.figure("recovery_time"), one.figure("downtime"), one.longest]
            cells += [one.figure("error_ratio"), one.run]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
