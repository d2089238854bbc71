"""What was provisioned, part by part; a part that this run did not make has nothing to be asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from fixtures.environment import Environment
from fixtures.infrastructure.reading import Infrastructure, infrastructure_of


@pytest.fixture(scope="session")
def infrastructure(environment: Environment) -> Infrastructure:
    """Return what Terraform has made, to be read through boto3."""
    if environment.provisioned is None:
        pytest.skip("this environment is not provisioned by Terraform")
    return infrastructure_of(environment.provisioned)


def _part(name: str) -> Callable[[Infrastructure], Infrastructure]:
    @pytest.fixture(scope="session", name=name)
    def part(infrastructure: Infrastructure) -> Infrastructure:
        if name not in infrastructure.modules:
            pytest.skip(f"{name} was not provisioned (--modules)")
        return infrastructure

    return part


vpc = _part("vpc")
eks = _part("eks")
rds = _part("rds")
elasticache = _part("elasticache")
s3 = _part("s3")
cloudfront = _part("cloudfront")
