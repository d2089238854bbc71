"""What the values of a service's chart do, seen on the one that the document draws."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from chart_schemas import CHARTS
from rendered import DIGEST, PINNED, Rendered, values_file

from clients.helm import Helm
from core.errors import SettingsError

CHART = CHARTS / "auth-service"
LAB = values_file("auth-service", "lab")
WITHOUT_STORES = {"mongodb": {"enabled": False}, "redis": {"enabled": False}}


def render(helm: Helm, environment: str = "lab", **values: Any) -> Rendered:
    return Rendered.of(helm, "auth-service", environment, **values)


def secret_of(found: Rendered, variable: str) -> dict[str, str]:
    return dict(found.variables[variable]["valueFrom"]["secretKeyRef"])


def test_the_signing_keys_come_from_a_secret_that_exists(helm: Helm) -> None:
    """As a directory, which a rotation reaches; its name follows from the release's unless it is given."""
    (volume,) = render(helm, jwt={"existingSecret": ""}).pod["volumes"]
    assert volume["secret"]["secretName"] == "auth-service-jwt"

    found = render(helm)
    assert found.variables["JWT_KEYS_FILE"]["value"] == "/etc/ecochain/jwt/keys.json"
    (volume,) = found.pod["volumes"]
    assert volume["secret"] == {"secretName": "auth-jwt", "defaultMode": 0o440}
    (mount,) = found.container["volumeMounts"]
    assert mount == {"name": "jwt", "mountPath": "/etc/ecochain/jwt", "readOnly": True}
    # The container's user is not the files' owner, but of their group.
    assert found.pod["securityContext"]["fsGroup"] == 10001


def test_stores_are_wired_only_when_switched_on(helm: Helm) -> None:
    """By Secrets named after the service, unless the values name others."""
    without = render(helm, **WITHOUT_STORES)
    assert not {"MONGODB_URI", "REDIS_HOST", "REDIS_URL"} & without.variables.keys()
    found = render(helm, "staging")
    assert secret_of(found, "MONGODB_URI") == {"name": "auth-service-mongodb", "key": "uri"}
    assert secret_of(found, "REDIS_URL") == {"name": "auth-service-redis", "key": "url"}
    assert found.variables["REDIS_HOST"]["value"] == "ecochain-staging-redis.internal"
    assert found.variables["REDIS_PORT"]["value"] == "6379"
    assert secret_of(render(helm), "MONGODB_URI")["name"] == "mongodb"


def test_the_pod_learns_what_was_provisioned(helm: Helm) -> None:
    """A changed output of Terraform changes what the pod gets, hence rolls it."""
    found = render(helm, serviceEnvironment={"STORAGE_BUCKET": "bucket-7"})
    assert found.variables["STORAGE_BUCKET"]["value"] == "bucket-7"
    other = render(helm, serviceEnvironment={"STORAGE_BUCKET": "bucket-8"})
    assert other.workload["template"] != found.workload["template"]


def test_the_digest_pins_the_image(helm: Helm) -> None:
    """A digest wins over a tag, which stays as the version label."""
    found = render(helm, image={"digest": DIGEST, "tag": "2.0.1"})
    assert found.container["image"] == f"docker.io/ecochain/auth-service@{DIGEST}"
    assert found.labels["app.kubernetes.io/version"] == "2.0.1"


def test_one_replica_has_no_budget_that_would_block_every_drain(helm: Helm) -> None:
    """Nor has an autoscaler's single one."""
    assert not render(helm, replicaCount=1).every("PodDisruptionBudget")
    scaled = {"enabled": True, "minReplicas": 1}
    assert not render(helm, replicaCount=2, autoscaling=scaled).every("PodDisruptionBudget")
    assert render(helm, replicaCount=1, autoscaling={"enabled": True}).every("PodDisruptionBudget")


def test_the_drain_can_be_left_out_outside_production(helm: Helm) -> None:
    """What the document's template lacks can be reproduced, but not where it would hurt."""
    assert "lifecycle" not in render(helm, drain={"seconds": 0}).container
    with pytest.raises(SettingsError, match="drain/seconds"):
        render(helm, "production", drain={"seconds": 0})


def test_an_autoscaler_alone_says_how_many(helm: Helm) -> None:
    """A number of replicas beside it would undo its work at every release."""
    assert not render(helm).every("HorizontalPodAutoscaler")
    found = render(helm, autoscaling={"enabled": True, "minReplicas": 2, "maxReplicas": 5})
    assert "replicas" not in found.workload
    scaler = found.one("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["scaleTargetRef"]["name"] == found.one("Deployment")["metadata"]["name"]


def test_vaults_agent_is_injected_only_when_switched_on(helm: Helm) -> None:
    """With the document's annotations, the token it logs in with, and a way to Vault."""
    assert not [note for note in render(helm, "staging").annotations if "vault" in note]
    found = render(
        helm, "staging", vault={"enabled": True, "templates": {"database": "{{ .Data.username }}"}}
    )
    notes = {key: value for key, value in found.annotations.items() if "vault" in key}
    assert notes == {
        "vault.hashicorp.com/agent-inject": "true",
        "vault.hashicorp.com/role": "auth-service",
        "vault.hashicorp.com/agent-inject-secret-database": "database/creds/auth-service",
        "vault.hashicorp.com/agent-inject-template-database": "{{ .Data.username }}",
    }
    assert found.pod["automountServiceAccountToken"] is True
    assert found.pod["serviceAccountName"] == found.one("ServiceAccount")["metadata"]["name"]
    egress = found.one("NetworkPolicy")["spec"]["egress"]
    to_vault = [rule for rule in egress if {"port": 8200, "protocol": "TCP"} in rule["ports"]]
    assert to_vault == [
        {
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "vault"}}}],
            "ports": [{"port": 8200, "protocol": "TCP"}],
        }
    ]


def test_a_chart_that_does_not_render_is_one_clear_line(helm: Helm, tmp_path: Path) -> None:
    """The error names the chart and Helm's reason, with the template's place, and nothing of Helm's log."""
    shutil.copytree(CHARTS, tmp_path / "charts", symlinks=True)
    broken = tmp_path / "charts/auth-service"
    with (broken / "templates/objects.yaml").open("a") as template:
        template.write("{{ .Values.nowhere.deeper }}\n")
    with pytest.raises(SettingsError) as caught:
        helm.render_check("auth-service", broken, values_files=[LAB], values=PINNED)
    assert str(broken) in str(caught.value)
    assert "templates/objects.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "level=" not in str(caught.value)


def test_a_missing_values_file_is_named(helm: Helm, tmp_path: Path) -> None:
    """Helm is not even asked."""
    with pytest.raises(SettingsError, match=r"absent\.yaml"):
        helm.render_check("auth-service", CHART, values_files=[tmp_path / "absent.yaml"])
