"""Every fault without its effect, and every expectation on a system too fragile for it. `make test-full`.

Each is played by `verify chaos run` from an altered copy of the checkout, on a live lab. It goes on where it
stopped: a scenario that was played is kept for the commit. The tables go into docs/chaos-sabotage.md. Not
here: `alert_latency`, which no scenario may expect, since nothing in a run watches alerts.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.document import replace_part, table
from benchmarks.origin import stated
from benchmarks.pieces import piece
from core.places import checkout

sys.path.append(str(checkout() / "tests/live"))

from fragile_systems import FRAGILE, SCENARIOS, Disturbed
from ineffective_faults import AUTH, INEFFECTIVE, REFUSED, REFUSES_ITSELF, Edit, Ineffective
from sabotage import Copy, Ended
from verify_command import verify

from chaos.disturbance import lasts
from chaos.registry import FAULTS
from fixtures.chaos.scenario_model import SLAS
from slas.invariants import ALWAYS, INVARIANTS

# What came of each case of this session, played now or kept from before, by the test's own name.
FOUND: dict[str, dict[str, Any]] = {}
LAB = "sabotage"
NAME = "sabotaged"
# A fault without its fault's cases, or something to be expected without a fragile system, is an error here.
FAULT_CASES = [
    pytest.param(fault, one, id=f"{fault}-{number}")
    for fault in sorted(set(FAULTS) - {REFUSES_ITSELF})
    for number, one in enumerate(INEFFECTIVE[fault])
]
EXPECTATIONS = [*SLAS, *INVARIANTS, *ALWAYS]
# An effect that is there shows within seconds; only that of a fault without one is waited for so long. Its
# end is waited for as always: a kubelet that was stopped shows it by its lease, which it renews every 10 s.
PROOF = Edit(
    file="chaos/disturbance.py",
    old="self.fault.prove(self.prove_timeout_s)",
    new="self.fault.prove(min(6.0, self.prove_timeout_s))",
)
# The verdicts are what is looked at, and a page of them takes as long as the scenario.
PAGE = Edit(
    file="fixtures/session.py",
    old="            self.report = build_report(self.run, say=self._progress)\n",
    new="",
)


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """Give a lab of three worker nodes, where a scenario is still to be played."""
    verify("lab", "down", "--name", LAB)
    try:
        up = verify("lab", "up", "--name", LAB, "--json", timeout_s=1200)
        assert up.returncode == 0, up.stderr
        yield LAB
    finally:
        down = verify("lab", "down", "--name", LAB)
        assert down.returncode == 0, down.stderr


@pytest.fixture
def played(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Return what plays a scenario on an altered copy, or finds what came of it before."""

    def play(text: str, edits: Sequence[Edit] = (), scenario: Disturbed | None = None) -> dict[str, Any]:
        asked = hashlib.sha256(repr((text, edits, scenario)).encode()).hexdigest()[:8]

        def measured() -> dict[str, Any]:
            services = scenario.services if scenario is not None else (AUTH,)
            copy = Copy.make(tmp_path / "copy", request.getfixturevalue("lab"), services=services)
            # Where only a proof is looked at, nobody has to watch from within.
            given = scenario.settings if scenario is not None else {"probes": {"inside": False}}
            for part, values in given.items():
                copy.setting(part, **values)
            for one in (PAGE, *edits):
                copy.edit(one.file, one.old, one.new)
            return outcome(copy.play(text, "--json", timeout_s=400))

        FOUND[request.node.name] = piece(f"{request.node.name}-{asked}", measured)
        return FOUND[request.node.name]

    return play


def outcome(ended: Ended) -> dict[str, Any]:
    """Return what a command came to; AssertionError with its words if it judged nothing."""
    assert ended.status in (0, 1, 3), ended.output
    found: dict[str, Any] = {"status": ended.status, "verdicts": {}, "causes": {}}
    for one in ended.told["verdicts"]:
        key = one["subject"] if one["sla"] == "invariant" else one["sla"]
        found["verdicts"][key], found["causes"][key] = one["verdict"], one["cause"]
    kept = ("kind", "by", "reason", "remainders", "unseen")
    found["events"] = [
        {name: event[name] for name in kept if name in event}
        for event in ended.run.of_kind(*PHASES, "audit.ended")
    ]
    return found


PHASES = tuple(
    f"fault.{phase}"
    for phase in ("selected", "injected", "proved", "failed", "healing", "healed", "gone", "recovered")
)


@pytest.mark.parametrize(("fault", "case"), FAULT_CASES)
def test_a_fault_without_effect_is_inconclusive_and_healed(
    played: Callable[..., dict[str, Any]], fault: str, case: Ineffective
) -> None:
    """Nothing passes: the proof names the sound state that it saw. What was begun is seen to be undone."""
    found = played(case.scenario(NAME, fault), [case.edit, PROOF])
    assert found["status"] == 3, found
    assert set(found["verdicts"].values()) == {"INCONCLUSIVE"}, found
    for cause in found["causes"].values():
        assert f"fault {fault} was not seen landing" in cause
        assert re.search(case.lacking, cause, re.DOTALL), cause
    *events, audit = found["events"]
    kinds = [one["kind"].removeprefix("fault.") for one in events]
    undone = ["healing", "healed", "gone"] if lasts_until_undone(fault) else []
    assert kinds == ["selected", "injected", "failed", *undone]
    assert {one["by"] for one in events if one["kind"] == "fault.healed"} <= {"harness"}
    assert audit == {"kind": "audit.ended", "remainders": []}


def lasts_until_undone(fault: str) -> bool:
    """Tell whether the harness undoes it, not Kubernetes."""
    return lasts(FAULTS[fault])  # type: ignore[arg-type] # the class has what its objects have


def test_a_fault_that_cannot_be_safe_refuses_itself(played: Callable[..., dict[str, Any]]) -> None:
    """It says why, nothing is touched, and nothing passes."""
    found = played(REFUSED.scenario(NAME, REFUSES_ITSELF))
    assert found["status"] == 3, found
    assert set(found["verdicts"].values()) == {"INCONCLUSIVE"}
    assert all("fault clock_skew is refused: Linux gives" in cause for cause in found["causes"].values())
    assert [one["kind"] for one in found["events"]] == ["fault.failed", "audit.ended"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_sound_system_holds_all_that_the_fragile_ones_break(
    played: Callable[..., dict[str, Any]], name: str
) -> None:
    """With nothing altered every bound is kept."""
    scenario = SCENARIOS[name]
    found = played(scenario.scenario(NAME), (), scenario)
    assert set(found["verdicts"]) == {*scenario.expect, *scenario.invariants, *ALWAYS}
    assert set(found["verdicts"].values()) == {"PASS"}, found
    assert found["status"] == 0


@pytest.mark.parametrize("sla", EXPECTATIONS)
def test_a_fragile_system_fails_exactly_the_expectation_that_it_breaks(
    played: Callable[..., dict[str, Any]], sla: str
) -> None:
    """Exit 1; what holds beside it passes."""
    fragile = FRAGILE[sla]
    scenario = SCENARIOS[fragile.shown_by]
    asked = [sla, *fragile.holds]
    found = played(scenario.scenario(NAME, asked), fragile.edits, scenario)
    expected = dict.fromkeys([*fragile.holds, *ALWAYS], "PASS") | {sla: "FAIL"}
    assert found["verdicts"] == expected, json.dumps(found, indent=1)
    assert found["status"] == 1
    assert re.search(fragile.cause, found["causes"][sla] or "")


def test_the_tables_have_every_case() -> None:
    """No fault and no expectation is missing in the document; what was not played is named there."""
    faults = {case.id: FOUND.get(named(BARE, str(case.id))) for case in FAULT_CASES}
    slas = {sla: FOUND.get(named(BROKEN, sla)) for sla in EXPECTATIONS}
    unaltered = {name: FOUND.get(named(SOUND, name)) for name in SCENARIOS}
    unaltered[REFUSES_ITSELF] = FOUND.get(test_a_fault_that_cannot_be_safe_refuses_itself.__name__)
    absent = [name for name, found in (faults | slas | unaltered).items() if found is None]
    part = document(faults, slas, unaltered, stated("pytest tests/campaigns/test_chaos_sabotage.py"))
    replace_part(checkout() / "docs/chaos-sabotage.md", "sabotage", part)
    assert not absent


BARE = test_a_fault_without_effect_is_inconclusive_and_healed
BROKEN = test_a_fragile_system_fails_exactly_the_expectation_that_it_breaks
SOUND = test_the_sound_system_holds_all_that_the_fragile_ones_break


def named(test: Callable[..., None], case: str) -> str:
    """Return the name that pytest gives a case."""
    return f"{test.__name__}[{case}]"


def document(
    faults: Mapping[str | None, dict[str, Any] | None],
    slas: Mapping[str, dict[str, Any] | None],
    unaltered: Mapping[str, dict[str, Any] | None],
    origin: str,
) -> str:
    """Return the three tables, and what is not played."""
    rows = []
    for case in FAULT_CASES:
        fault, one = case.values
        found = faults[case.id]
        if found is not None:
            verdicts = ", ".join(sorted(set(found["verdicts"].values())))
            # They all have the same cause, and of its words those after the last colon are what was seen.
            seen = next(iter(found["causes"].values())).rpartition("last seen: ")[2]
            how = ", ".join(f"{key} {value}" for key, value in one.parameters.items())
            rows.append([f"`{fault}`", how, verdicts, cell(seen)])
    broken = [
        [
            f"`{sla}`",
            FRAGILE[sla].shown_by,
            ", ".join(dict.fromkeys(f"`{edit.file}`" for edit in FRAGILE[sla].edits)),
            found["verdicts"].get(sla, "none"),
            cell(found["causes"].get(sla) or ""),
            ", ".join(f"`{name}` {verdict}" for name, verdict in found["verdicts"].items() if name != sla),
        ]
        for sla, found in slas.items()
        if found is not None
    ]
    sound = [
        [
            f"`{name}`",
            ", ".join(f"`{asked}` {verdict}" for asked, verdict in found["verdicts"].items()),
            cell("; ".join(dict.fromkeys(cause for cause in found["causes"].values() if cause))),
        ]
        for name, found in unaltered.items()
        if found is not None
    ]
    whole = [*faults.items(), *slas.items(), *unaltered.items()]
    absent = ", ".join(f"`{name}`" for name, found in whole if found is None)
    return "\n\n".join(
        [
            table(["fault without its effect", "how", "all verdicts", "what the proof saw instead"], rows),
            table(["expectation", "scenario", "made fragile", "verdict", "cause", "beside it"], broken),
            table(["nothing altered", "verdicts", "causes"], sound),
            *(
                [textwrap.fill(f"No result is kept of: {absent}.", 120, break_on_hyphens=False)]
                if absent
                else []
            ),
            origin,
        ]
    )


def cell(text: str) -> str:
    """Return text that is one cell of a table, and no longer than can be read there."""
    return textwrap.shorten(text.replace("|", "/"), 160, placeholder=" ...")
