"""NetworkPolicy is not only there, it is enforced."""

from __future__ import annotations

from fixtures.acceptance.policy import CLOSED, OPEN, Way, conclude, connects
from fixtures.acceptance.replicas import ready_of
from fixtures.acceptance.stage import Stage


def test_a_connection_that_no_policy_allows_is_refused(stage: Stage) -> None:
    """One that is allowed comes through first, so that the refusal means something."""
    cluster = stage.cluster()

    def tried(way: Way) -> bool:
        return connects(
            cluster, ready_of(cluster, stage, way.source)[0], ready_of(cluster, stage, way.target)[0]
        )

    conclude(
        opened=tried(OPEN),
        closed=tried(CLOSED),
        enforced=stage.settings.environment.network_policy == "enforced",
    )
