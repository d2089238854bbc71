"""The service survives the loss of a replica, in both senses of a kill."""

import pytest

from fixtures.plugin import JudgedVerdict
from fixtures.scenarios.pod_kill import ContainerKilled, PodDeleted


@pytest.mark.disruptive
@pytest.mark.quick
@pytest.mark.parametrize("sla", PodDeleted.slas)
def test_service_survives_a_deleted_pod(verdict_of: JudgedVerdict, sla: str) -> None:
    """A pod deleted through the API is replaced and nobody notices."""
    verdict_of(PodDeleted(), sla)


@pytest.mark.disruptive
@pytest.mark.quick
@pytest.mark.parametrize("sla", ContainerKilled.slas)
def test_service_survives_a_killed_container(verdict_of: JudgedVerdict, sla: str) -> None:
    """A container killed on its node comes back in time, and little is lost."""
    verdict_of(ContainerKilled(), sla)
