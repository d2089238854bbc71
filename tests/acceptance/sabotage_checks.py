"""What is checked of every defect: its tests turn red, and others beside them do not."""

from __future__ import annotations

import random
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pytest
from registry import SABOTAGES, TEARDOWN, Sabotage
from sabotaged_platform import SabotagedPlatform
from suite_command import run_suite, suite_tests

_SEED = 20261125
_CONTROLS = 2
_SAMPLE = 9
# Waiting for a token to expire takes seconds, whoever is the control.
_SLOW = {"test_expired_token_is_refused"}


def cases(services: Collection[str]) -> list[Any]:
    """Return the defects of these services: a sample for `make test`, the others for `make test-full`."""
    found = [one for one in SABOTAGES if one.service in services]
    sample = random.Random(_SEED).sample(found, _SAMPLE)
    return [
        pytest.param(one, id=one.defect, marks=() if one in sample else pytest.mark.long) for one in found
    ]


def controls(sabotage: Sabotage) -> list[str]:
    """Return a few tests that the defect does not concern, the same in every run."""
    others = sorted(set(suite_tests()) - {*sabotage.red, *sabotage.may} - _SLOW)
    return random.Random(f"{_SEED} {sabotage.defect}").sample(others, _CONTROLS)


def check_red(platform: SabotagedPlatform, folder: Path, sabotage: Sabotage) -> None:
    """Run the declared tests and a few others against the defect; fail unless exactly the former fail."""
    tests = [test for test in sabotage.red if test != TEARDOWN]
    with platform.broken(sabotage.service, sabotage.defect):
        outcome = run_suite(platform.url, folder, [*tests, *controls(sabotage)])
    assert outcome.code == 1, outcome.printed
    assert set(sabotage.red) <= outcome.red <= {*sabotage.red, *sabotage.may}, outcome.printed
