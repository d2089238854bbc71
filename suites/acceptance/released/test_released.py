"""What runs is what was released: on every replica, as Kubernetes says and as the replica itself says."""

from __future__ import annotations

import pytest

from fixtures.acceptance.replicas import all_of, ask, expected_replicas, ready_of, unreleased
from fixtures.acceptance.stage import Stage

pytestmark = [pytest.mark.readonly, pytest.mark.smoke]


def test_every_replica_runs_the_released_digest(stage: Stage, service: str) -> None:
    """The digest is what the runtime runs, and what the pod asks for, ready or not."""
    digest = stage.release().services[service].digest
    replicas = all_of(stage.cluster(), stage, service)
    assert replicas, f"{service} has no pod"
    got = {each.name: (each.digest, str(each.container["image"]).rpartition("@")[2]) for each in replicas}
    assert got == dict.fromkeys(got, (digest, digest))


def test_as_many_replicas_as_released_are_ready(stage: Stage, service: str) -> None:
    """Where an autoscaler decides, it is within its bounds."""
    cluster, released = stage.cluster(), stage.release().services[service]
    assert len(ready_of(cluster, stage, service)) in expected_replicas(
        cluster, stage, service, released.replicas
    )


def test_every_replica_says_what_was_released(stage: Stage, service: str) -> None:
    """Each one is asked by itself for its service, version, digest and name."""
    cluster, released = stage.cluster(), stage.release().services[service]
    for replica in ready_of(cluster, stage, service):
        told = ask(cluster, replica, "info")
        wanted = {"service": service, "digest": released.digest, "pod": replica.name}
        wanted |= {"version": released.version} if released.version else {}
        assert {name: told.get(name) for name in wanted} == wanted, replica.name


def test_every_replica_is_healthy(stage: Stage, service: str) -> None:
    """The document's check done right: the JSON is read, its status and version, of every replica."""
    cluster, released = stage.cluster(), stage.release().services[service]
    for replica in ready_of(cluster, stage, service):
        told = ask(cluster, replica, "health")
        assert told.get("status") == "ok", f"{replica.name}: {told}"
        assert told.get("version") == (released.version or told.get("version")), f"{replica.name}: {told}"
        # It answers 503 unless it is ready.
        ask(cluster, replica, "ready")


def test_every_service_is_in_the_release_file(stage: Stage) -> None:
    """Nothing is verified against a file that leaves it out."""
    assert set(stage.release().services) == set(stage.settings.releases)


def test_nothing_runs_that_was_not_released(stage: Stage) -> None:
    """Every workload and pod of the namespace is a release's, a store's, or the harness's own."""
    assert unreleased(stage.cluster(), stage, set(stage.release().services)) == []
