"""Everything says whose it is."""

from __future__ import annotations

import pytest

from clients.aws import RUN_TAG
from fixtures.infrastructure.promises import TAGS
from fixtures.infrastructure.reading import Infrastructure

pytestmark = [pytest.mark.readonly, pytest.mark.quick]

# What AWS gives no tags: they are found by their names.
UNTAGGABLE = {"cloudfront-origin-access-control", "cloudfront-response-headers-policy", "kms-alias"}


def test_everything_that_can_carry_tags_says_whose_it_is(infrastructure: Infrastructure) -> None:
    """Each resource bears project, environment and what manages it, and a run's own the run's id too."""
    wanted = {*TAGS, RUN_TAG} if infrastructure.run_id else {*TAGS}
    taggable = [one for one in infrastructure.everything if one.kind not in UNTAGGABLE]
    assert taggable
    lacking = {str(one): sorted(wanted - set(one.tags)) for one in taggable if not wanted <= set(one.tags)}
    assert lacking == {}
    assert {one.tags["Environment"] for one in taggable} == {infrastructure.environment}
