"""Defects of pickups, pictures, listings and orders turn exactly the declared tests red."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry import Sabotage
from sabotage_checks import cases, check_red
from sabotaged_platform import SabotagedPlatform
from suite_command import run_suite, suite_tests

TRADE = ("collection-service", "marketplace-service", "vision-service")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("sabotage", cases(TRADE))
def test_defect_turns_its_tests_red(platform: SabotagedPlatform, tmp_path: Path, sabotage: Sabotage) -> None:
    """The declared tests fail; others stay green beside them."""
    check_red(platform, tmp_path, sabotage)


@pytest.mark.timeout(300)
def test_whole_suite_is_green_without_a_defect(platform: SabotagedPlatform, tmp_path: Path) -> None:
    """The same services without a defect pass every test, so a red one means its defect."""
    outcome = run_suite(platform.url, tmp_path)
    assert (outcome.code, outcome.red) == (0, frozenset()), outcome.printed
    assert outcome.ran == set(suite_tests())
