"""The cluster is closed to the internet, logged, and keeps AI work apart."""

from __future__ import annotations

import pytest

from fixtures.infrastructure.promises import ADDONS, AI_LABELS, AI_TAINT, CONTROL_PLANE_LOGS
from fixtures.infrastructure.reading import Infrastructure

pytestmark = [pytest.mark.readonly, pytest.mark.quick]


def test_ai_nodes_are_tainted_and_labelled(eks: Infrastructure) -> None:
    """Only what tolerates the taint lands on AI nodes, and the label lets it select them."""
    group = eks.node_groups()["ai"]
    assert group.get("taints") == [AI_TAINT]
    assert AI_LABELS.items() <= group["labels"].items()


def test_general_nodes_take_any_pod(eks: Infrastructure) -> None:
    """There is a node group without taints for everything else."""
    assert not eks.node_groups()["general"].get("taints")


def test_nodes_lie_in_private_subnets(eks: Infrastructure) -> None:
    """Every node group uses exactly the private subnets."""
    private = {subnet["SubnetId"] for subnet in eks.private_subnets()}
    assert private
    assert {name: set(group["subnets"]) for name, group in eks.node_groups().items()} == dict.fromkeys(
        eks.node_groups(), private
    )


def test_the_api_server_is_not_open_to_the_internet(eks: Infrastructure) -> None:
    """The API server answers within the VPC, and outside at most to named ranges."""
    access = eks.cluster()["resourcesVpcConfig"]
    assert access["endpointPrivateAccess"]
    assert not access["endpointPublicAccess"] or "0.0.0.0/0" not in access["publicAccessCidrs"]


def test_the_control_plane_is_logged(eks: Infrastructure) -> None:
    """Every kind of the control plane's logs is on."""
    setups = eks.cluster()["logging"]["clusterLogging"]
    on = {kind for setup in setups if setup.get("enabled") for kind in setup.get("types") or ()}
    assert on == CONTROL_PLANE_LOGS


def test_the_control_planes_logs_have_an_end(eks: Infrastructure) -> None:
    """They are kept as long as promised, and not for ever."""
    group = eks.log_group(f"/aws/eks/{eks.cluster()['name']}/cluster")
    assert group is not None
    assert group.get("retentionInDays", 0) >= eks.promises.log_days


def test_service_accounts_get_roles_from_this_cluster_alone(eks: Infrastructure) -> None:
    """The identity provider in IAM is the cluster's own issuer, for STS."""
    issuer = eks.cluster()["identity"]["oidc"]["issuer"].partition("://")[2]
    provider = eks.identity_provider()
    assert provider["Url"].removeprefix("https://") == issuer
    assert provider["ClientIDList"] == ["sts.amazonaws.com"]


def test_addons_are_there(eks: Infrastructure) -> None:
    """Network, names, proxy and storage come with the cluster, and are active."""
    addons = eks.addons()
    assert set(addons) == ADDONS
    assert {addon["status"] for addon in addons.values()} == {"ACTIVE"}


def test_the_storage_driver_has_a_role_of_its_own(eks: Infrastructure) -> None:
    """Volumes are made under the driver's role, not the nodes'."""
    role = eks.addons()["aws-ebs-csi-driver"].get("serviceAccountRoleArn") or ""
    assert role.rpartition("/")[2].startswith(eks.cluster()["name"])


def test_secrets_are_encrypted_by_the_environments_key(eks: Infrastructure) -> None:
    """Where a key is promised, Kubernetes' Secrets are encrypted by it."""
    if not eks.promises.customer_key:
        pytest.skip(f"not promised for {eks.environment}")
    [encryption] = eks.cluster().get("encryptionConfig") or [{}]
    assert encryption.get("resources") == ["secrets"]
    assert ":key/" in encryption["provider"]["keyArn"]
