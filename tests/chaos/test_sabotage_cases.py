"""The cases of the chaos campaign of sabotage: complete, and still about the sources as they are."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from core.places import checkout

sys.path.append(str(checkout() / "tests/live"))

from fragile_systems import FRAGILE, SCENARIOS
from ineffective_faults import INEFFECTIVE, REFUSED, REFUSES_ITSELF, Edit

from chaos.registry import FAULTS
from fixtures.chaos.scenario_file import check_against, read_scenario
from fixtures.chaos.scenario_model import SLAS
from fixtures.settings import load_settings
from slas.invariants import ALWAYS, INVARIANTS

EDITS = [
    *((fault, one.edit) for fault, cases in INEFFECTIVE.items() for one in cases),
    *((sla, edit) for sla, one in FRAGILE.items() for edit in one.edits),
]


def test_every_fault_and_every_expectation_has_a_case() -> None:
    """What is added to the registry or to what a scenario may expect needs its sabotage."""
    assert set(INEFFECTIVE) == set(FAULTS) - {REFUSES_ITSELF}
    assert all(INEFFECTIVE.values())
    assert set(FRAGILE) == {*SLAS, *INVARIANTS, *ALWAYS}


@pytest.mark.parametrize(("what", "edit"), EDITS)
def test_an_alteration_finds_its_text_once_and_leaves_a_program(what: str, edit: Edit) -> None:
    """A sabotage that finds nothing to break would be none, nor one that breaks everything."""
    text = (checkout() / edit.file).read_text()
    assert text.count(edit.old) == 1, f"{what}: {edit.file}: {edit.old!r}"
    altered = text.replace(edit.old, edit.new)
    if edit.file.endswith(".py"):
        compile(altered, edit.file, "exec")
    else:
        assert yaml.safe_load(altered) != yaml.safe_load(text)


def test_every_scenario_is_one_that_the_lab_takes(tmp_path: Path) -> None:
    """Read and checked as `verify chaos run` does before it makes anything."""
    settings = load_settings("lab", cluster_needed=False)
    texts = [one.scenario("it", fault) for fault, cases in INEFFECTIVE.items() for one in cases]
    texts += [REFUSED.scenario("it", REFUSES_ITSELF)]
    texts += [one.scenario("it") for one in SCENARIOS.values()]
    texts += [SCENARIOS[one.shown_by].scenario("it", [sla, *one.holds]) for sla, one in FRAGILE.items()]
    file = tmp_path / "it.yaml"
    for text in texts:
        file.write_text(text)
        check_against(read_scenario(file), settings)


def test_the_sound_system_is_held_to_what_a_fragile_one_breaks() -> None:
    """Else the bound might be one that nothing keeps."""
    for sla, one in FRAGILE.items():
        shown_by = SCENARIOS[one.shown_by]
        assert {sla, *one.holds} <= {*shown_by.expect, *shown_by.invariants, *ALWAYS}
