"""The watchdog's site: two pods beside the agents, with no more rights than undoing takes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from chaos.agents_site import RUN_LABEL
from chaos.agents_site import SECRET as AGENT_SECRET
from chaos.cluster_agents import COMPONENT_LABEL
from chaos.cluster_ledger import NAMESPACE
from chaos.heartbeat import HEARTBEAT
from chaos.undo import UNDOABLE
from clients.kubernetes import Cluster, Json, group_of
from core.waiting import wait_until

WATCHDOG = "chaos-watchdog"
# Of objects outside the namespace of faults: theirs go with it.
ABROAD = "ecochain-chaos-watchdog"
REPLICAS = 2
_SETTINGS = "/etc/ecochain-chaos"
_SCRATCH = "/tmp"  # noqa: S108 - of the pod's own
_PORT = 8086
_USER = 10001
_RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "192Mi"}}
_RBAC = "rbac.authorization.k8s.io"
Record = Callable[..., None]


def install(
    cluster: Cluster,
    *,
    image: str,
    run_id: str,
    record: Record,
    namespaces: Sequence[str],
    timeout_s: float = 60.0,
) -> None:
    """Let the watchdog watch; it is ready when it has looked once. The namespace of faults has to be there.

    `namespaces` are those in which faults make or change objects. `record` writes into the run's ledger what
    is made outside the namespace of faults, before it is made. Doing it again changes what differs.
    """
    made = list(manifests(image, run_id, namespaces))
    abroad = [
        f"{resource}/{manifest['metadata'].get('namespace', '')}/{manifest['metadata']['name']}"
        for resource, manifest in made
        if manifest["metadata"].get("namespace") != NAMESPACE
    ]
    record("chaos.watchdog", namespace=NAMESPACE, deployments=[WATCHDOG], abroad=abroad)
    for resource, manifest in made:
        cluster.apply(resource, manifest)

    def watching() -> bool:
        found = cluster.get("deployments", WATCHDOG, NAMESPACE)
        status = (found or {}).get("status") or {}
        if found is None or status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return False
        return int(status.get("updatedReplicas", 0)) >= REPLICAS <= int(status.get("readyReplicas", 0))

    wait_until(
        f"{REPLICAS} watchdogs {NAMESPACE}/{WATCHDOG} to watch",
        watching,
        timeout_s,
        interval_s=0.3,
        last=lambda: _states(cluster),
    )


def _states(cluster: Cluster) -> Json:
    pods = cluster.list("pods", NAMESPACE, labels=f"{COMPONENT_LABEL}={WATCHDOG}")
    return {
        str(pod["metadata"]["name"]): pod.get("status", {}).get("containerStatuses")
        or pod.get("status", {}).get("conditions")
        for pod in pods
    }


def remove(cluster: Cluster) -> None:
    """Remove what lies outside the namespace of faults, wherever it is; what is gone is no error."""
    for resource in ("rolebindings", "roles", "clusterrolebindings", "clusterroles"):
        for found in cluster.list(resource, labels=f"{COMPONENT_LABEL}={WATCHDOG}"):
            meta = found["metadata"]
            cluster.delete(resource, meta["name"], meta.get("namespace"))


def manifests(image: str, run_id: str, namespaces: Sequence[str]) -> Iterator[tuple[str, Json]]:
    """Yield (resource, manifest) of all that the watchdog is made of, in the order of making."""
    labels = {COMPONENT_LABEL: WATCHDOG, RUN_LABEL: run_id.lower()}

    def meta(name: str, namespace: str | None = NAMESPACE) -> Json:
        return {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}

    core = {"apiVersion": "v1"}
    yield "serviceaccounts", {**core, "kind": "ServiceAccount", "metadata": meta(WATCHDOG)}
    settings = json.dumps({"namespace": NAMESPACE, "port": _PORT})
    yield (
        "configmaps",
        {
            **core,
            "kind": "ConfigMap",
            "metadata": meta(WATCHDOG),
            "data": {"settings.json": settings},
        },
    )
    yield from _bound("Role", meta(WATCHDOG), _at_home())
    yield from _bound("ClusterRole", meta(ABROAD, None), [_rule("", ["nodes"], ["get", "patch"])])
    for namespace in namespaces:
        yield from _bound("Role", meta(ABROAD, namespace), list(_undoing()))
    yield "deployments", _deployment(image, meta(WATCHDOG), labels)


def _at_home() -> list[Json]:
    return [
        _rule("", ["configmaps"], ["list", "patch"]),
        _rule("coordination.k8s.io", ["leases"], ["get"], [HEARTBEAT]),
        _rule("", ["secrets"], ["get"], [AGENT_SECRET]),
        _rule("", ["pods"], ["list"]),
        _rule("", ["pods/proxy"], ["create"]),
    ]


def _undoing() -> Iterator[Json]:
    for verb, resources in UNDOABLE.items():
        for resource in resources:
            if resource != "nodes":
                yield _rule(group_of(resource), [resource], [verb])


def _rule(group: str, resources: list[str], verbs: list[str], names: list[str] | None = None) -> Json:
    rule: Json = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return {**rule, "resourceNames": names} if names else rule


def _bound(kind: str, meta: Json, rules: list[Json]) -> Iterator[tuple[str, Json]]:
    version = {"apiVersion": f"{_RBAC}/v1"}
    yield f"{kind.lower()}s", {**version, "kind": kind, "metadata": meta, "rules": rules}
    yield (
        f"{kind.lower()}bindings",
        {
            **version,
            "kind": f"{kind}Binding",
            "metadata": meta,
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": meta["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": WATCHDOG, "namespace": NAMESPACE}],
        },
    )


def _deployment(image: str, meta: Json, labels: Json) -> Json:
    selected = {"matchLabels": {COMPONENT_LABEL: WATCHDOG}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta,
        "spec": {
            "replicas": REPLICAS,
            "selector": selected,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": WATCHDOG,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 2,
                    "priorityClassName": "system-cluster-critical",
                    # It stays on a node in trouble, which is when it is needed, and comes to none that is
                    # kept for others: those of the AI have to themselves what runs there.
                    "tolerations": [{"operator": "Exists", "effect": "NoExecute"}],
                    "topologySpreadConstraints": [
                        {
                            "maxSkew": 1,
                            "topologyKey": "kubernetes.io/hostname",
                            "whenUnsatisfiable": "ScheduleAnyway",
                            "labelSelector": selected,
                        }
                    ],
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": _USER,
                        "runAsGroup": _USER,
                        "fsGroup": _USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [_container(image)],
                    "volumes": [
                        {"name": "settings", "configMap": {"name": WATCHDOG}},
                        {"name": "scratch", "emptyDir": {"sizeLimit": "16Mi"}},
                    ],
                },
            },
        },
    }


def _container(image: str) -> Json:
    return {
        "name": "watchdog",
        "image": image,
        "args": ["chaos.watchdog", f"{_SETTINGS}/settings.json"],
        "resources": _RESOURCES,
        "readinessProbe": {"httpGet": {"port": _PORT, "path": "/"}, "periodSeconds": 1, "timeoutSeconds": 5},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "settings", "mountPath": _SETTINGS, "readOnly": True},
            {"name": "scratch", "mountPath": _SCRATCH},
        ],
    }
