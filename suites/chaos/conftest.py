"""Makes a test of every expectation of the scenario files."""

from __future__ import annotations

import pytest

from fixtures.chaos.collection import cases


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give the tests of scenarios their scenario and what is asked of it."""
    if "scenario" in metafunc.fixturenames:
        metafunc.parametrize(("scenario", "ask"), cases(metafunc.config))
