"""Releases: nobody notices a good one, and a bad one undoes itself."""

import pytest

from fixtures.plugin import JudgedVerdict
from fixtures.scenarios.release import FailedRelease, GoodRelease


@pytest.mark.disruptive
@pytest.mark.quick
@pytest.mark.parametrize("sla", GoodRelease.slas)
def test_good_release_is_not_noticed(verdict_of: JudgedVerdict, sla: str) -> None:
    """A rolling upgrade serves in time and without downtime."""
    verdict_of(GoodRelease(), sla)


@pytest.mark.disruptive
@pytest.mark.quick
@pytest.mark.parametrize("sla", FailedRelease.slas)
def test_failed_release_rolls_back(verdict_of: JudgedVerdict, sla: str) -> None:
    """A release whose pods never become ready is rolled back by itself, unnoticed."""
    verdict_of(FailedRelease(), sla)
