"""`verify lab redeploy`: from a changed service to one that serves, in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from conftest import LabUnderTest
from verify_command import verify

from clients.helm import Helm
from clients.kubernetes import Cluster
from core.places import checkout
from core.waiting import wait_until
from fixtures.releasing import serving
from lab.cluster import find
from lab.images import build_image, source_tag

NAMESPACE = "test-redeploy"
LIMIT_S = 30


@pytest.fixture
def deployed(test_lab: LabUnderTest) -> Iterator[Cluster]:
    """Give the cluster with the front door deployed at a version of its own, once it serves."""
    lab = find(test_lab.name)
    assert lab is not None
    image = build_image("api", "0.0.1")
    lab.push([image])
    Helm(program=lab.tools.helm, kubeconfig=lab.kubeconfig).upgrade_install(
        "api",
        checkout() / "helm/charts/api",
        namespace=NAMESPACE,
        timeout_s=60,
        values_files=[checkout() / "helm/values/lab/api.yaml"],
        values={"image": {"repository": image.reference, "digest": image.digest}, "replicaCount": 1},
    )
    cluster = lab.cluster()
    try:
        wait_until("the release to serve", lambda: serving(cluster, NAMESPACE, "api").settled, 60)
        yield cluster
    finally:
        cluster.delete("namespaces", NAMESPACE)
        wait_until("the namespace to go", lambda: cluster.get("namespaces", NAMESPACE) is None, 90)


def test_a_redeployed_service_serves_within_half_a_minute(test_lab: LabUnderTest, deployed: Cluster) -> None:
    """What the checkout has runs on every replica; the release's other values stay."""
    done = verify("lab", "redeploy", "api", "--name", test_lab.name, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["namespace"], told["version"]) == (NAMESPACE, source_tag("api"))
    assert told["seconds"] < LIMIT_S
    seen = serving(deployed, NAMESPACE, "api")
    assert (seen.settled, seen.digests, seen.replicas) == (True, (told["digest"],), 1)


def test_a_service_that_is_not_deployed_is_refused(test_lab: LabUnderTest) -> None:
    """Redeploying is no way to deploy: there would be no values."""
    done = verify("lab", "redeploy", "vision-service", "--name", test_lab.name)
    assert done.returncode == 2
    assert "expected vision-service deployed in one namespace, found it in none" in done.stderr
