"""The cache is private, encrypted, and survives what it is promised to."""

from __future__ import annotations

import pytest

from fixtures.infrastructure.reading import Infrastructure

pytestmark = [pytest.mark.readonly, pytest.mark.quick]


def test_the_cache_is_encrypted(elasticache: Infrastructure) -> None:
    """What the cache holds is encrypted at rest."""
    assert elasticache.cache()["AtRestEncryptionEnabled"]


def test_the_cache_speaks_tls_only(elasticache: Infrastructure) -> None:
    """A connection without TLS is refused."""
    found = elasticache.cache()
    assert found["TransitEncryptionEnabled"]
    assert found["TransitEncryptionMode"] == "required"


def test_the_cache_is_private(elasticache: Infrastructure) -> None:
    """Its nodes lie in private subnets."""
    private = {subnet["SubnetId"] for subnet in elasticache.private_subnets()}
    assert elasticache.subnets_of_cache() == private


def test_the_cache_survives_the_loss_of_a_zone(elasticache: Infrastructure) -> None:
    """Where it is promised, replicas lie in other zones and one takes over by itself."""
    if not elasticache.promises.multi_az:
        pytest.skip(f"not promised for {elasticache.environment}")
    found = elasticache.cache()
    assert (found["MultiAZ"], found["AutomaticFailover"]) == ("enabled", "enabled")
