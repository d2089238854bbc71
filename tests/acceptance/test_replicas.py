"""What the Kubernetes API shows of a service: which pods count, what is unreleased, what may not be seen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from clients.kubernetes import ApiError
from core.errors import InconclusiveError
from fixtures.acceptance.replicas import all_of, ask, expected_replicas, ready_of, unreleased
from fixtures.acceptance.stage import Stage
from fixtures.namespaces import RUN_LABEL
from fixtures.settings import load_settings

DIGEST = "sha256:" + "a" * 64


class FakeCluster:
    """Lists what it was given; refuses what it is told to refuse."""

    def __init__(self, answer: bytes = b"{}", refuse: int = 0, **objects: list[dict[str, Any]]) -> None:
        self.objects, self.answer, self.refuse = objects, answer, refuse

    def _see(self) -> None:
        if self.refuse:
            raise ApiError("LIST", self.refuse, "no")

    def list(self, resource: str, _namespace: str, *, labels: str = "") -> list[dict[str, Any]]:
        self._see()
        key, _, value = labels.partition("=")
        found = self.objects.get(resource, [])
        return [each for each in found if not key or each["metadata"]["labels"].get(key) == value]

    def get(self, resource: str, _name: str, _namespace: str) -> dict[str, Any] | None:
        self._see()
        return next(iter(self.objects.get(resource, [])), None)

    def proxy(self, *_: object) -> bytes:
        self._see()
        return self.answer


@pytest.fixture
def stage() -> Stage:
    return Stage(settings=load_settings("lab"), kubeconfig=Path(), context=None, release_file=None)


def pod(name: str, *, ready: bool = True, leaving: bool = False, service: str = "api") -> dict[str, Any]:
    labels = {"app.kubernetes.io/instance": service}
    meta: dict[str, Any] = {"name": name, "namespace": "ecochain", "labels": labels}
    meta |= {"deletionTimestamp": "2026-11-25T17:00:00Z"} if leaving else {}
    ports = [{"name": "http", "containerPort": 3000}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}]
    container = {
        "name": service,
        "image": f"x@{DIGEST}",
        "ports": ports,
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}, {"name": "B", "value": "b"}],
        "volumeMounts": [{"mountPath": "/tmp"}, {"mountPath": "/keys", "readOnly": True}],
    }
    statuses = [{"name": "sidecar", "imageID": "y"}, {"name": service, "imageID": f"registry/x@{DIGEST}"}]
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"conditions": conditions, "containerStatuses": statuses}
    return {"metadata": meta, "spec": {"containers": [container]}, "status": status}


def test_pods_on_their_way_out_do_not_count(stage: Stage) -> None:
    """Those that are not ready are replicas, but not ready ones."""
    pods = [pod("a"), pod("b", ready=False), pod("c", leaving=True), pod("d", service="other")]
    cluster: Any = FakeCluster(pods=pods)
    assert [each.name for each in all_of(cluster, stage, "api")] == ["a", "b"]
    assert [each.name for each in ready_of(cluster, stage, "api")] == ["a"]


def test_without_a_ready_replica_nothing_is_said_of_any(stage: Stage) -> None:
    """Looking at none of them would pass everything."""
    cluster: Any = FakeCluster(pods=[pod("b", ready=False)])
    with pytest.raises(InconclusiveError, match="no replica is ready"):
        ready_of(cluster, stage, "api")


def test_a_replica_is_read_from_its_pod(stage: Stage) -> None:
    """The digest is the service's own container's, and ports are those of TCP."""
    cluster: Any = FakeCluster(pods=[pod("a")])
    (replica,) = all_of(cluster, stage, "api")
    assert (replica.digest, replica.http_port, replica.ports) == (DIGEST, 3000, {3000})
    assert (replica.from_secrets, replica.writable_volumes) == ({"A"}, {"/tmp"})


@pytest.mark.parametrize(
    ("scaler", "counts"),
    [
        ([], [2]),
        ([{"spec": {"maxReplicas": 4, "minReplicas": 3}}], [3, 4]),
        ([{"spec": {"maxReplicas": 2}}], [1, 2]),
    ],
)
def test_an_autoscaler_may_have_changed_the_count(
    stage: Stage, scaler: list[dict[str, Any]], counts: list[int]
) -> None:
    """Within its bounds; without one it is as released."""
    cluster: Any = FakeCluster(horizontalpodautoscalers=scaler)
    assert list(expected_replicas(cluster, stage, "api", 2)) == counts


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ({"app.kubernetes.io/instance": "api"}, []),
        ({"app.kubernetes.io/instance": "ferretdb"}, []),
        ({RUN_LABEL: "20261125t170000z-lab-0000"}, []),
        ({"app.kubernetes.io/instance": "miner"}, ["deployments/x", "pods/x"]),
        ({}, ["deployments/x", "pods/x"]),
    ],
)
def test_what_nobody_released_is_named(stage: Stage, labels: Mapping[str, str], found: list[str]) -> None:
    """Releases, stores and the harness's own are known; anything else is not."""
    it = {"metadata": {"name": "x", "labels": dict(labels)}}
    cluster: Any = FakeCluster(deployments=[it], pods=[it])
    assert unreleased(cluster, stage, {"api"}) == found


@pytest.mark.parametrize("status", [401, 403])
def test_what_may_not_be_seen_is_inconclusive(stage: Stage, status: int) -> None:
    """Neither is it taken for nothing."""
    cluster: Any = FakeCluster(refuse=status)
    with pytest.raises(InconclusiveError, match="not allowed to look"):
        unreleased(cluster, stage, {"api"})


def test_an_answer_that_is_no_json_fails(stage: Stage) -> None:
    """`status:ok` as text is not healthy."""
    healthy: Any = FakeCluster(pods=[pod("a")], answer=json.dumps({"status": "ok"}).encode())
    (replica,) = all_of(healthy, stage, "api")
    assert ask(healthy, replica, "health") == {"status": "ok"}
    text: Any = FakeCluster(answer=b"status:ok")
    with pytest.raises(AssertionError, match="expected a JSON object"):
        ask(text, replica, "health")


def test_a_replica_that_does_not_answer_fails(stage: Stage) -> None:
    """The API server's word for it is no refusal to look."""
    healthy: Any = FakeCluster(pods=[pod("a")])
    (replica,) = all_of(healthy, stage, "api")
    gone: Any = FakeCluster(refuse=503)
    with pytest.raises(ApiError):
        ask(gone, replica, "ready")
