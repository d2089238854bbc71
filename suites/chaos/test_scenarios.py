"""The scenario files, a test per expectation."""

from __future__ import annotations

import pytest

from fixtures.expecting import Ask
from fixtures.plugin import JudgedVerdict
from fixtures.scenarios.described import Described


@pytest.mark.disruptive
def test_scenario(verdict_of: JudgedVerdict, scenario: Described, ask: Ask) -> None:
    """What the scenario's file expects came true."""
    verdict_of(scenario, ask)
