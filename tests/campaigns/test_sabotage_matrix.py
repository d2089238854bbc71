"""Every defect against the whole of the acceptance suites. `make test-full`, not `make test`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.pieces import piece
from core.places import checkout

sys.path.append(str(checkout() / "tests/acceptance"))

from registry import SABOTAGES, Sabotage
from sabotaged_platform import SabotagedPlatform, sabotaged_platform
from suite_command import run_suite, suite_tests


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SabotagedPlatform]:
    """Give the running platform; it is not started where every piece is kept already."""
    with sabotaged_platform(tmp_path_factory.mktemp("defects")) as started:
        yield started


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda s: s.defect)
def test_defect_turns_its_tests_red_and_no_other(
    request: pytest.FixtureRequest, tmp_path: Path, sabotage: Sabotage
) -> None:
    """Of all acceptance tests exactly the declared ones fail, and those declared to depend on them may."""

    def measured() -> dict[str, list[str]]:
        platform: SabotagedPlatform = request.getfixturevalue("platform")
        with platform.broken(sabotage.service, sabotage.defect):
            outcome = run_suite(platform.url, tmp_path, (), "-n", "2", timeout_s=600)
        return {"ran": sorted(outcome.ran), "red": sorted(outcome.red)}

    found = piece(f"sabotage-{sabotage.defect}", measured)
    assert set(found["ran"]) == set(suite_tests())
    assert set(sabotage.red) <= set(found["red"]) <= {*sabotage.red, *sabotage.may}
