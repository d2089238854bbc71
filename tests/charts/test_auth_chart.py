"""What the chart of auth-service promises, read from what the real Helm renders."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from clients.helm import Helm, Manifest
from core.errors import SettingsError
from core.places import checkout

CHART = checkout() / "helm/charts/auth-service"
DIGEST = "sha256:" + "ab" * 32
PINNED = {"image": {"digest": DIGEST}}
ENVIRONMENTS = ["lab", "staging", "production"]


def values_file(environment: str) -> Path:
    return checkout() / "helm/values" / environment / "auth-service.yaml"


def render(helm: Helm, environment: str = "lab", **values: Any) -> Manifest:
    """Render with the values of an environment and an image pinned by digest."""
    return helm.render_check(
        "auth-service", CHART, values_files=[values_file(environment)], values={**PINNED, **values}
    )


def one(manifest: Manifest, kind: str) -> dict[str, Any]:
    """Return the only object of a kind."""
    (found,) = [document for document in manifest.documents() if document["kind"] == kind]
    return found


def container(manifest: Manifest) -> dict[str, Any]:
    (found,) = one(manifest, "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def variables(manifest: Manifest) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in container(manifest)["env"]}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_chart_passes_the_strict_linter(helm: Helm, environment: str) -> None:
    """Helm finds nothing to complain of in any environment."""
    helm.lint(CHART, values_files=[values_file(environment)], values=PINNED)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_rolling_update_can_lose_no_request(helm: Helm, environment: str) -> None:
    """The hook drains, the grace period covers it and the requests in flight, and no replica goes early."""
    manifest = render(helm, environment)
    deployment = one(manifest, "Deployment")["spec"]
    hook = container(manifest)["lifecycle"]["preStop"]["httpGet"]
    assert hook["port"] == "metrics"
    path, _, seconds = hook["path"].partition("?seconds=")
    assert path == "/drain"
    assert int(seconds) >= 4
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] > int(seconds) + 15
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_liveness_and_readiness_ask_different_questions(helm: Helm) -> None:
    """A failing dependency must not restart the pods."""
    probes = container(render(helm))
    assert probes["livenessProbe"]["httpGet"]["path"] == "/health"
    assert probes["readinessProbe"]["httpGet"]["path"] == "/ready"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_container_may_do_nothing_it_need_not(helm: Helm, environment: str) -> None:
    """No root, no writing, no capabilities, no escalation, no token of the API."""
    manifest = render(helm, environment)
    pod = one(manifest, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container(manifest)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_signing_key_comes_from_a_secret_that_exists(helm: Helm) -> None:
    """The chart makes no Secret and holds none."""
    manifest = render(helm)
    assert variables(manifest)["JWT_SECRET"]["valueFrom"]["secretKeyRef"] == {
        "name": "auth-service-jwt",
        "key": "secret",
    }
    assert "Secret" not in {document["kind"] for document in manifest.documents()}


def test_the_pod_learns_its_name_and_what_was_provisioned(helm: Helm) -> None:
    """A changed output of Terraform changes what the pod gets, hence rolls it."""
    manifest = render(helm, serviceEnvironment={"STORAGE_BUCKET": "bucket-7"})
    found = variables(manifest)
    assert found["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    assert found["STORAGE_BUCKET"]["value"] == "bucket-7"
    other = render(helm, serviceEnvironment={"STORAGE_BUCKET": "bucket-8"})
    assert one(other, "Deployment")["spec"]["template"] != one(manifest, "Deployment")["spec"]["template"]


def test_the_digest_pins_the_image(helm: Helm) -> None:
    """A digest wins over a tag, which stays as the version label."""
    manifest = render(helm, image={"digest": DIGEST, "tag": "2.0.1"})
    assert container(manifest)["image"] == f"docker.io/ecochain/auth-service@{DIGEST}"
    assert manifest.image_digests == [DIGEST]
    labels = one(manifest, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == "2.0.1"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_selector_finds_the_pods(helm: Helm, environment: str) -> None:
    """Service, budget and Deployment select by labels that the pods carry and no version changes."""
    manifest = render(helm, environment)
    deployment = one(manifest, "Deployment")["spec"]
    wanted = {"app.kubernetes.io/name": "auth-service", "app.kubernetes.io/instance": "auth-service"}
    assert wanted.items() <= deployment["template"]["metadata"]["labels"].items()
    assert deployment["selector"]["matchLabels"] == wanted
    assert one(manifest, "Service")["spec"]["selector"] == wanted
    assert one(manifest, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == wanted


def test_only_the_lab_opens_a_node_port_and_nobody_the_metrics(helm: Helm) -> None:
    """The port with /metrics and /drain is the pod's own; Prometheus finds it by annotation."""
    services = {name: one(render(helm, name), "Service")["spec"] for name in ENVIRONMENTS}
    kinds = {name: service["type"] for name, service in services.items()}
    assert kinds == {"lab": "NodePort", "staging": "ClusterIP", "production": "ClusterIP"}
    assert {port["name"] for service in services.values() for port in service["ports"]} == {"http"}
    notes = one(render(helm), "Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert notes["prometheus.io/scrape"] == "true"
    assert notes["prometheus.io/port"] == "9090"


def test_replicas_are_as_the_document_says(helm: Helm) -> None:
    """Two in lab and staging, three in production."""
    counts = {name: one(render(helm, name), "Deployment")["spec"]["replicas"] for name in ENVIRONMENTS}
    assert counts == {"lab": 2, "staging": 2, "production": 3}


def test_one_replica_has_no_budget_that_would_block_every_drain(helm: Helm) -> None:
    """A budget on a single replica only gets in the way of node maintenance."""
    kinds = {document["kind"] for document in render(helm, replicaCount=1).documents()}
    assert "PodDisruptionBudget" not in kinds
    assert "Deployment" in kinds


def test_the_drain_can_be_left_out_outside_production(helm: Helm) -> None:
    """What the document's template lacks can be reproduced, but not where it would hurt."""
    assert "lifecycle" not in container(render(helm, drain={"seconds": 0}))
    with pytest.raises(SettingsError, match="drain/seconds"):
        render(helm, "production", drain={"seconds": 0})


def test_optional_stores_are_wired_only_when_switched_on(helm: Helm) -> None:
    """MongoDB and Redis, as in the document, wait for a service that uses them."""
    assert not {"MONGODB_URI", "REDIS_HOST"} & variables(render(helm)).keys()
    found = variables(
        render(helm, mongodb={"enabled": True}, redis={"enabled": True, "host": "redis.internal"})
    )
    assert found["MONGODB_URI"]["valueFrom"]["secretKeyRef"]["name"] == "auth-service-mongodb"
    assert found["REDIS_HOST"]["value"] == "redis.internal"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"image": {"tag": "latest"}}, "image/tag"),
        ({"image": {"digest": "sha256:short"}}, "image/digest"),
        ({"image": {"tga": "1"}}, "tga"),
        ({"replicas": 3}, "replicas"),
        ({"replicaCount": "two"}, "replicaCount"),
        ({"serviceEnvironment": {"JWT_SECRET": "in the open"}}, "JWT_SECRET"),
        ({"jwt": {"secret": "in the open"}}, "jwt"),
        ({"redis": {"enabled": True}}, "redis"),
    ],
)
def test_wrong_values_are_refused_by_name(helm: Helm, values: dict[str, Any], named: str) -> None:
    """A typing error, an unpinned image or a secret among the values never reaches a cluster."""
    with pytest.raises(SettingsError) as caught:
        helm.render_check("auth-service", CHART, values_files=[values_file("lab")], values=values)
    assert named in str(caught.value)
    assert str(CHART) in str(caught.value)
    assert "in the open" not in str(caught.value)


def test_production_without_a_digest_does_not_render(helm: Helm) -> None:
    """What runs in production is pinned."""
    with pytest.raises(SettingsError, match="image/digest"):
        helm.render_check("auth-service", CHART, values_files=[values_file("production")])


def test_a_chart_that_does_not_render_is_one_clear_line(helm: Helm, tmp_path: Path) -> None:
    """The error names the chart and Helm's reason, with the template's place."""
    broken = tmp_path / "auth-service"
    shutil.copytree(CHART, broken)
    with (broken / "templates/service.yaml").open("a") as template:
        template.write("{{ .Values.nowhere.deeper }}\n")
    with pytest.raises(SettingsError) as caught:
        helm.render_check("auth-service", broken, values_files=[values_file("lab")])
    assert str(broken) in str(caught.value)
    assert "templates/service.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_values_file_is_named(helm: Helm, tmp_path: Path) -> None:
    """Helm is not even asked."""
    with pytest.raises(SettingsError, match=r"absent\.yaml"):
        helm.render_check("auth-service", CHART, values_files=[tmp_path / "absent.yaml"])
