"""What the chart of a distributed load promises, read from what the real Helm renders."""

from __future__ import annotations

from typing import Any

import pytest

from clients.helm import Helm, Manifest
from core.errors import SettingsError
from core.places import checkout

CHART = checkout() / "helm/charts/loadtest"
VALUES: dict[str, Any] = {
    "image": {"repository": "docker.io/ecochain/agent", "digest": "sha256:" + "ab" * 32},
    "workers": 3,
    "assignment": '{"load_id": "load-1"}',
    "token": "a-token-of-the-tests",
    "labels": {"ecochain.io/run": "r1"},
}


def render(helm: Helm, **values: Any) -> Manifest:
    return helm.render_check("load-1", CHART, values={**VALUES, **values})


def of_kind(manifest: Manifest, kind: str) -> list[dict[str, Any]]:
    return [document for document in manifest.documents() if document["kind"] == kind]


def test_the_chart_passes_the_strict_linter(helm: Helm) -> None:
    """Helm finds nothing to complain of."""
    helm.lint(CHART, values=VALUES)


def test_there_is_a_master_and_as_many_workers_as_asked_for(helm: Helm) -> None:
    """Each worker knows its own number, and none is ever started a second time."""
    pods = of_kind(render(helm), "Pod")
    assert [pod["metadata"]["name"] for pod in pods] == [
        "load-1-master",
        "load-1-worker-0",
        "load-1-worker-1",
        "load-1-worker-2",
    ]
    roles = [pod["spec"]["containers"][0]["args"][2:] for pod in pods]
    assert roles == [["master"], ["worker", "0"], ["worker", "1"], ["worker", "2"]]
    assert {pod["spec"]["restartPolicy"] for pod in pods} == {"Never"}
    assert {pod["spec"]["activeDeadlineSeconds"] for pod in pods} == {3600}


def test_the_pods_may_do_no_more_than_they_need(helm: Helm) -> None:
    """The restricted standard, a read-only root, no token of the API, and bounds on CPU and memory."""
    for pod in of_kind(render(helm), "Pod"):
        spec, (container,) = pod["spec"], pod["spec"]["containers"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert container["image"].endswith("@" + VALUES["image"]["digest"])


def test_the_token_is_in_the_secret_and_nowhere_else(helm: Helm) -> None:
    """Only the master gets it, by reference."""
    manifest = render(helm)
    for document in manifest.documents():
        assert (VALUES["token"] in str(document)) == (document["kind"] == "Secret")
    with_token = [pod["metadata"]["name"] for pod in of_kind(manifest, "Pod") if "VERIFY_TOKEN" in str(pod)]
    assert with_token == ["load-1-master"]


def test_every_object_carries_the_labels_of_the_run(helm: Helm) -> None:
    """So that what a killed run left is found."""
    for document in render(helm, networkPolicy={"enabled": True}).documents():
        labels = document["metadata"]["labels"]
        assert labels["ecochain.io/run"] == "r1"
        assert labels["app.kubernetes.io/name"] == "loadtest"
        assert labels["app.kubernetes.io/instance"] == "load-1"


def test_the_service_and_the_policy_choose_the_master(helm: Helm) -> None:
    """Workers reach the master's Locust port; with the policy nobody else does."""
    manifest = render(helm, networkPolicy={"enabled": True})
    master = of_kind(manifest, "Pod")[0]["metadata"]["labels"]
    (service,), (policy,) = of_kind(manifest, "Service"), of_kind(manifest, "NetworkPolicy")
    for selector in (service["spec"]["selector"], policy["spec"]["podSelector"]["matchLabels"]):
        assert selector.items() <= master.items()
        assert not selector.items() <= of_kind(manifest, "Pod")[1]["metadata"]["labels"].items()
    assert of_kind(render(helm), "NetworkPolicy") == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"token": "short"},
        {"assignment": ""},
        {"image": {"repository": "x", "digest": ""}},
        {"n": 1},
    ],
    ids=["no worker", "short token", "no assignment", "no digest", "unknown"],
)
def test_wrong_values_are_refused(helm: Helm, wrong: dict[str, Any]) -> None:
    """The schema says no before anything is made."""
    with pytest.raises(SettingsError):
        render(helm, **wrong)
