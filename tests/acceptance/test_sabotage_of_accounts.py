"""Defects of the front door, of accounts and of profiles turn exactly the declared tests red."""

from __future__ import annotations

from pathlib import Path

import pytest
from registry import SABOTAGES, TEARDOWN, Sabotage
from sabotage_checks import cases, check_red
from sabotaged_platform import SabotagedPlatform
from suite_command import suite_tests

ACCOUNTS = ("api", "auth-service", "user-service")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("sabotage", cases(ACCOUNTS))
def test_defect_turns_its_tests_red(platform: SabotagedPlatform, tmp_path: Path, sabotage: Sabotage) -> None:
    """The declared tests fail; others stay green beside them."""
    check_red(platform, tmp_path, sabotage)


def test_every_acceptance_test_has_its_sabotage() -> None:
    """No test is without a defect that turns it red; no defect is declared for a test that is not there."""
    declared = {test for sabotage in SABOTAGES for test in sabotage.red} - {TEARDOWN}
    assert declared == set(suite_tests())
