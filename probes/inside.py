"""The harness's pods in a cluster: a sampler that looks from inside, and a control target behind a Service.

Both live in the run's namespace, with nothing but what a restricted pod may have. The target is reached by
the runner at a node's port and by the sampler at its ClusterIP, as the product is: through kube-proxy.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from clients.kubernetes import ApiError, Cluster, Json, pod_ready
from clients.outbox import OutboxClient
from core.errors import EnvironmentFailedError
from core.waiting import wait_until
from probes.inside_pod import OUTBOX_PORT, TARGET_PORT

CALIBRATION = "calibration"
AGENT, TARGET = "verify-agent", "verify-target"
_MODULES = {AGENT: "probes.inside_agent", TARGET: "probes.inside_target"}
SECRET = "verify-inside"  # noqa: S105 - the name of an object
COMPONENT_LABEL = "app.kubernetes.io/name"
_MOUNT = "/etc/verify"
_USER = 10001
_GRACE_S = 8
# Guaranteed, with far more of the processor than is used: the sampler may not ask for real-time priority in
# a pod, and a share of its own is what keeps its ticks from waiting for a pod that starts beside it.
_RESOURCES = {
    AGENT: {"cpu": "1", "memory": "256Mi"},
    TARGET: {"cpu": "250m", "memory": "128Mi"},
}
Record = Callable[..., None]


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Where the harness's pods are. `url` is the target for the runner, `inside_url` for the sampler.

    `image` and `labels` are what a lost pod is made of again.
    """

    namespace: str
    agent: str
    target: str
    secret: str
    url: str
    inside_url: str
    image: str
    labels: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """Return the record that Inside(**record) reads."""
        return asdict(self)


def create(
    cluster: Cluster,
    namespace: str,
    image: str,
    *,
    labels: Mapping[str, str],
    record: Record,
    settings: Mapping[str, Any] | None = None,
) -> Inside:
    """Create the pods; they are usable once `ready` returns.

    `record(kind, **fields)` writes into the run's ledger, before the objects are made. `settings` are added
    to those of the pods (tests put a skew in). They vanish with the namespace, or by `remove`.
    """
    record("pods.starting", namespace=namespace, pods=[AGENT, TARGET], services=[TARGET], secrets=[SECRET])
    token = json.dumps({"token": secrets.token_urlsafe(32), **(settings or {})})
    meta: dict[str, Any] = {"namespace": namespace, "labels": dict(labels)}
    cluster.create("secrets", {"metadata": {**meta, "name": SECRET}, "stringData": {"settings.json": token}})
    cluster.create(
        "services",
        {
            "metadata": {**meta, "name": TARGET},
            "spec": {
                "type": "NodePort",
                "selector": {COMPONENT_LABEL: TARGET},
                "ports": [{"name": "http", "port": TARGET_PORT, "targetPort": TARGET_PORT}],
            },
        },
    )
    affinity = _beside_the_door(cluster)
    for name in _MODULES:
        cluster.create("pods", _pod(name, image, meta, affinity))
    service = cluster.get("services", TARGET, namespace)
    assert service is not None
    return Inside(
        namespace=namespace,
        agent=AGENT,
        target=TARGET,
        secret=SECRET,
        url=f"http://{node_address(cluster)}:{service['spec']['ports'][0]['nodePort']}/",
        inside_url=f"http://{TARGET}.{namespace}.svc:{TARGET_PORT}/",
        image=image,
        labels=dict(labels),
    )


def restore(cluster: Cluster, inside: Inside, *, record: Record, timeout_s: float) -> list[str]:
    """Make the pods again that have ended or gone, and return their names once they answer.

    Somebody else's fault may hit them as any other pod. What a lost one saw stays lost; the next scenario
    need not be. Raises as `ready` does.
    """
    lost = [pod for pod in (inside.agent, inside.target) if not _lives(cluster, inside.namespace, pod)]
    meta = {"namespace": inside.namespace, "labels": dict(inside.labels)}
    for pod in lost:
        record("pods.starting", namespace=inside.namespace, pods=[pod])
        cluster.delete("pods", pod, inside.namespace, grace_s=0)
        wait_until(
            f"pod {inside.namespace}/{pod} to be gone",
            lambda pod=pod: cluster.get("pods", pod, inside.namespace) is None,  # type: ignore[misc]
            timeout_s,
        )
        cluster.create("pods", _pod(pod, inside.image, meta, _beside_the_door(cluster)))
    if lost:
        ready(cluster, inside, timeout_s)
    return lost


def _lives(cluster: Cluster, namespace: str, name: str) -> bool:
    pod = cluster.get("pods", name, namespace)
    return pod is not None and pod_ready(pod)


def ready(cluster: Cluster, inside: Inside, timeout_s: float) -> None:
    """Wait until both pods answer through the API server, and the target at the runner's address too.

    Raises WaitTimeoutError, or EnvironmentFailedError when a pod has ended.
    """
    for name in (inside.agent, inside.target):
        client = outbox(cluster, inside, name)
        said: list[object] = []

        def answers(name: str = name, client: OutboxClient = client, said: list[object] = said) -> bool:
            try:
                client.exchange(lambda: 0.0)
            except ApiError as error:
                said[:] = [_state(cluster, inside.namespace, name), str(error)]
                return False
            return True

        wait_until(
            f"pod {inside.namespace}/{name} to answer",
            answers,
            timeout_s,
            interval_s=0.2,
            last=lambda said=said: said,  # type: ignore[misc]
        )
    host = urlsplit(inside.url)

    def reached() -> bool:
        try:
            socket.create_connection((str(host.hostname), int(host.port or 80)), 2.0).close()
        except OSError:
            return False
        return True

    wait_until(f"the control target at {inside.url}", reached, timeout_s, interval_s=0.1)


def outbox(cluster: Cluster, inside: Inside, pod: str) -> OutboxClient:
    """Return the outbox of one of the pods; EnvironmentFailedError if the run's token is gone."""
    found = cluster.get("secrets", inside.secret, inside.namespace)
    if found is None:
        raise EnvironmentFailedError(f"secret {inside.namespace}/{inside.secret}: not there")
    token = json.loads(base64.b64decode(found["data"]["settings.json"]))["token"]
    return OutboxClient(cluster, inside.namespace, pod, OUTBOX_PORT, token)


def remove(cluster: Cluster, inside: Inside) -> None:
    """Remove what `create` made; what is gone already is no error."""
    for pod in (inside.agent, inside.target):
        cluster.delete("pods", pod, inside.namespace, grace_s=0)
    cluster.delete("services", inside.target, inside.namespace)
    cluster.delete("secrets", inside.secret, inside.namespace)


def node_address(cluster: Cluster) -> str:
    """Return the InternalIP of the first node by name."""
    addresses = [
        str(address["address"])
        for node in _nodes(cluster)
        for address in node["status"]["addresses"]
        if address["type"] == "InternalIP"
    ]
    if not addresses:
        raise EnvironmentFailedError("nodes: expected one with an InternalIP, got none")
    return addresses[0]


def _nodes(cluster: Cluster) -> list[Json]:
    return sorted(cluster.list("nodes"), key=lambda node: str(node["metadata"]["name"]))


def _beside_the_door(cluster: Cluster) -> dict[str, Any]:
    """Prefer the node by which the runner comes in: whatever takes that one blinds the runner as well."""
    preferred = [
        {
            "weight": 100,
            "preference": {
                "matchFields": [
                    {"key": "metadata.name", "operator": "In", "values": [node["metadata"]["name"]]}
                ]
            },
        }
        for node in _nodes(cluster)[:1]
    ]
    return {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}


def _state(cluster: Cluster, namespace: str, pod: str) -> str:
    found = cluster.get("pods", pod, namespace)
    if found is None:
        raise EnvironmentFailedError(f"pod {namespace}/{pod}: gone")
    status = found.get("status", {})
    if status.get("phase") in {"Failed", "Succeeded"}:
        raise EnvironmentFailedError(f"pod {namespace}/{pod}: ended\n{cluster.logs(pod, namespace, tail=8)}")
    return f"{status.get('phase')}: {status.get('containerStatuses')}"


def _pod(name: str, image: str, meta: Mapping[str, Any], affinity: Mapping[str, Any]) -> Json:
    return {
        "metadata": {**meta, "name": name, "labels": {**meta["labels"], COMPONENT_LABEL: name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE_S,
            "affinity": affinity,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _USER,
                "runAsGroup": _USER,
                "fsGroup": _USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "args": [_MODULES[name], f"{_MOUNT}/settings.json"],
                    "resources": {"requests": _RESOURCES[name], "limits": _RESOURCES[name]},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "volumeMounts": [{"name": "settings", "mountPath": _MOUNT, "readOnly": True}],
                }
            ],
            "volumes": [{"name": "settings", "secret": {"secretName": SECRET, "defaultMode": 0o440}}],
        },
    }
