"""How long the lab's AWS side takes, whole and its fast set, applied and destroyed. `make test-full`.

Each run is a piece that is kept for the commit; the table goes into docs/terraform.md. Let it run alone.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.document import replace_part, table
from benchmarks.origin import stated
from benchmarks.pieces import piece
from core.places import checkout
from fixtures.provisioning import Provision

WHOLE, FAST = "whole", "fast"
MODULES = {
    WHOLE: ("vpc", "eks", "rds", "elasticache", "s3", "cloudfront"),
    FAST: ("vpc", "eks", "s3"),
}
# Seconds: applied, from the call to the outputs; destroyed, until a listing has shown that nothing is left.
MOST_S = {WHOLE: (110.0, 20.0), FAST: (20.0, 20.0)}
REPEATS = {WHOLE: 2, FAST: 3}
RUNS = [(name, number) for name in MODULES for number in range(REPEATS[name])]
STEPS = ("open", "init", "plan", "apply", "outputs", "inventory")


@pytest.fixture
def state_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give an empty machine-wide state, whose path is short enough for a provider's socket."""
    folder = Path(tempfile.mkdtemp(prefix="evp-"))
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize(("name", "number"), RUNS)
def test_the_lab_is_there_and_gone_in_time(request: pytest.FixtureRequest, name: str, number: int) -> None:
    """From the call to the outputs, and from the call to an empty listing."""
    found = times(request, name, number)
    applied_s, destroyed_s = MOST_S[name]
    assert found["applied_s"] < applied_s, found
    assert found["destroyed_s"] < destroyed_s, found


def test_the_table_has_every_run(request: pytest.FixtureRequest) -> None:
    """No run is missing in the document."""
    found = {run: times(request, *run) for run in RUNS}
    replace_part(checkout() / "docs/terraform.md", "times", document(found))


def times(request: pytest.FixtureRequest, name: str, number: int) -> dict[str, Any]:
    """Return how long one run took, done now or kept from before."""

    def measured() -> dict[str, Any]:
        request.getfixturevalue("state_folder")
        return lived(name, f"run-{name}-{number}")

    return piece(f"provision-times-{name}-{number}", measured)


def lived(name: str, run_id: str) -> dict[str, Any]:
    """Apply and destroy it; return the seconds of each."""
    provision = Provision(run_id=run_id, modules=MODULES[name], variables={"lifecycle_rules": name == WHOLE})
    began_s = time.monotonic()
    try:
        made = provision.apply()
        applied_s = time.monotonic() - began_s
    finally:
        began_s = time.monotonic()
        provision.destroy()
    destroyed_s = time.monotonic() - began_s
    return {
        "applied_s": round(applied_s, 1),
        "destroyed_s": round(destroyed_s, 1),
        "steps": {step: made.seconds[step] for step in STEPS},
    }


def document(found: Mapping[tuple[str, int], Mapping[str, Any]]) -> str:
    """Return the table: a row per run."""
    rows: list[Sequence[object]] = []
    for (name, _), one in found.items():
        applied_s, destroyed_s = MOST_S[name]
        parts = ", ".join(MODULES[name]) + (", lifecycle rules" if name == WHOLE else "")
        steps = " + ".join(f"{one['steps'][step]:.1f}" for step in STEPS)
        rows.append(
            [
                parts,
                f"{one['applied_s']:.1f} (< {applied_s:g})",
                steps,
                f"{one['destroyed_s']:.1f} (< {destroyed_s:g})",
            ]
        )
    head = ["modules", "applied, s", f"of that {' + '.join(STEPS)}", "destroyed, s"]
    return f"{table(head, rows)}\n\n{stated('pytest tests/campaigns/test_provision_times.py')}"
