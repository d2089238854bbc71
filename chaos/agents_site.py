"""The agents' site: the namespace of faults, with an agent on every node, made for a run and removed."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from chaos.cluster_agents import AGENT, COMPONENT_LABEL, PORT, ClusterAgents
from chaos.cluster_ledger import NAMESPACE
from chaos.lease import ExclusiveLease
from clients.kubernetes import ApiError, Cluster, Json
from core.errors import EnvironmentFailedError, RefusedError, VerifyError, WaitTimeoutError
from core.waiting import wait_until

RUN_LABEL = "ecochain.io/run"
# Held by a run as long as it goes on; the heartbeat is held by whichever of its processes injects faults.
CLAIM, CLAIM_S = "chaos-claim", 10.0
SECRET = "chaos-agent"  # noqa: S105 - the name of an object
# On every node: the agent's notes.
FOLDER = "/var/lib/ecochain-chaos"
_SETTINGS = "/etc/ecochain-chaos"
# Where the agent has the node's own cgroups, beside the narrowed ones that every container gets.
_CGROUPS = "/node/cgroup"
# Entering namespaces; rules and queues; raw packets; others' roots and namespaces in /proc; signals; files of
# other users; chroot, which entering a mount namespace ends with.
CAPABILITIES = ("SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE", "KILL", "DAC_OVERRIDE", "SYS_CHROOT")
_RESOURCES = {"requests": {"cpu": "20m", "memory": "48Mi"}, "limits": {"memory": "256Mi"}}
_GRACE_S = 15
_TAKE_OVER_TIMEOUT_S = CLAIM_S + 6
_REMOVE_TIMEOUT_S = 90.0
Record = Callable[..., None]


def install(
    cluster: Cluster,
    *,
    image: str,
    run_id: str,
    record: Record,
    heal: Callable[[ClusterAgents], None],
    timeout_s: float = 60.0,
) -> ClusterAgents:
    """Put an agent on every node and return them once each answers.

    `record(kind, **fields)` writes into the run's ledger, before anything is made. A namespace that a dead
    run left is healed by `heal`, which is given that run's agents, and removed. Raises RefusedError for one
    whose run goes on, or that no run made; WaitTimeoutError that names the nodes without an agent.
    """
    label = run_id.lower()
    found = run_of(cluster)
    if found is not None and found != label:
        _take_over(cluster, found, run_id, heal)
        found = None
    record("chaos.installing", namespace=NAMESPACE, daemonsets=[AGENT], secrets=[SECRET])
    if found is None:
        cluster.create("namespaces", _namespace(label))
    if cluster.get("secrets", SECRET, NAMESPACE) is None:
        told = {"token": secrets.token_urlsafe(32), "port": PORT, "folder": FOLDER}
        meta = {"name": SECRET, "namespace": NAMESPACE, "labels": {RUN_LABEL: label}}
        cluster.create("secrets", {"metadata": meta, "stringData": {"settings.json": json.dumps(told)}})
    cluster.apply("daemonsets", _daemonset(image, label))
    agents = attach(cluster)
    assert agents is not None
    _wait_answering(cluster, agents, timeout_s)
    return agents


def claim(cluster: Cluster, run_id: str) -> ExclusiveLease:
    """Return a run's claim on the site, not yet acquired; its client has to be its own."""
    return ExclusiveLease(cluster, NAMESPACE, CLAIM, run_id, ttl_s=CLAIM_S)


def attach(cluster: Cluster, namespace: str = NAMESPACE, **settings: float) -> ClusterAgents | None:
    """Return the agents that are installed, whoever installed them; None where there are none.

    `settings` are those of ClusterAgents, such as its time-outs.
    """
    found = cluster.get("secrets", SECRET, namespace)
    if found is None:
        return None
    told = json.loads(base64.b64decode(found["data"]["settings.json"]))
    return ClusterAgents(cluster, told["token"], namespace=namespace, port=told["port"], **settings)


def remove(cluster: Cluster, timeout_s: float = _REMOVE_TIMEOUT_S) -> None:
    """Have every agent undo all and leave its node, then remove the namespace and all in it.

    What is gone already is no error. A node whose agent does not answer is left to that agent: it undoes all
    when it is asked to end, and by its own clock. Raises EnvironmentFailedError, after the removal, that
    names what agents could not undo.
    """
    if run_of(cluster) is None:
        return
    told = _leave(attach(cluster))
    # Their pods have nothing left to do, and Kubernetes would wait for half of their grace period.
    cluster.delete("daemonsets", AGENT, NAMESPACE)
    for pod in cluster.list("pods", NAMESPACE, labels=f"{COMPONENT_LABEL}={AGENT}"):
        if told.get(pod["spec"].get("nodeName")) == []:
            cluster.delete("pods", pod["metadata"]["name"], NAMESPACE, grace_s=1)
    cluster.delete("namespaces", NAMESPACE)

    def gone() -> bool:
        return cluster.get("namespaces", NAMESPACE) is None

    wait_until(f"namespace {NAMESPACE} to be gone", gone, timeout_s, interval_s=0.2)
    left = [f"{node}: act {act_id} is not undone" for node, acts in told.items() for act_id in acts]
    if left:
        raise EnvironmentFailedError("; ".join(left))


def _leave(agents: ClusterAgents | None) -> dict[str, list[str]]:
    """Return, by node whose agent answers, the acts that it could not undo."""
    told: dict[str, list[str]] = {}
    if agents is None:
        return told
    with suppress(EnvironmentFailedError):
        for node in agents.nodes():
            with suppress(VerifyError):
                told[node] = agents.leave(node)
    return told


def _take_over(cluster: Cluster, left_by: str, run_id: str, heal: Callable[[ClusterAgents], None]) -> None:
    held = claim(cluster, run_id)
    try:
        held.acquire(_TAKE_OVER_TIMEOUT_S)
    except WaitTimeoutError as error:
        raise RefusedError(
            f"namespace {NAMESPACE} belongs to run {left_by}, which goes on: {error}"
        ) from error
    except ApiError as error:
        if error.status != 403:  # a namespace that is being deleted already takes no new lease
            raise
    agents = attach(cluster)
    if agents is not None:
        heal(agents)
    held.release()
    remove(cluster)


def _wait_answering(cluster: Cluster, agents: ClusterAgents, timeout_s: float) -> None:
    missing: dict[str, str] = {"every node": "not looked at"}

    def answering() -> bool:
        missing.clear()
        found = cluster.get("daemonsets", AGENT, NAMESPACE)
        status: Mapping[str, Any] = (found or {}).get("status") or {}
        if found is None or status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            missing["every node"] = "its pod is not made yet"
            return False
        try:
            nodes = agents.nodes()
        except EnvironmentFailedError as error:
            missing["every node"] = str(error)
            return False
        if len(nodes) < status.get("desiredNumberScheduled", 0):
            missing["some nodes"] = f"{len(nodes)} of {status['desiredNumberScheduled']} have a pod"
        for node in nodes:
            try:
                agents.acts(node)
            except EnvironmentFailedError as error:
                missing[node] = str(error)
        return not missing

    wait_until(
        f"the agent {NAMESPACE}/{AGENT} of every node to answer",
        answering,
        timeout_s,
        interval_s=0.3,
        last=lambda: {**missing, **_reasons(cluster)},
    )


def _reasons(cluster: Cluster) -> dict[str, Any]:
    """Return what Kubernetes says of the pods, and of those that it was not let make."""
    pods = cluster.list("pods", NAMESPACE, labels=f"{COMPONENT_LABEL}={AGENT}")
    states = {
        str(pod["metadata"]["name"]): [
            status.get("state") for status in pod.get("status", {}).get("containerStatuses") or []
        ]
        for pod in pods
    }
    warnings = {
        f"{event.get('reason')}: {event.get('message')}"
        for event in cluster.list("events", NAMESPACE)
        if event.get("type") == "Warning"
    }
    return {**states, **({"warnings": sorted(warnings)[:5]} if warnings else {})}


def run_of(cluster: Cluster) -> str | None:
    """Return the run that the namespace is of, None where it is not; RefusedError if no run made it."""
    found = cluster.get("namespaces", NAMESPACE)
    if found is None:
        return None
    run = (found["metadata"].get("labels") or {}).get(RUN_LABEL)
    if run is None:
        raise RefusedError(
            f"namespace {NAMESPACE} is there and no run made it: it lacks the label {RUN_LABEL}"
        )
    return str(run)


def _namespace(label: str) -> Json:
    # Acting on nodes is what a restricted pod must not: the cluster's admission has to be told.
    levels = {f"pod-security.kubernetes.io/{mode}": "privileged" for mode in ("enforce", "warn", "audit")}
    return {"metadata": {"name": NAMESPACE, "labels": {RUN_LABEL: label, **levels}}}


def _daemonset(image: str, label: str) -> Json:
    labels = {COMPONENT_LABEL: AGENT}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": AGENT, "namespace": NAMESPACE, "labels": {**labels, RUN_LABEL: label}},
        "spec": {
            "selector": {"matchLabels": labels},
            "updateStrategy": {"type": "OnDelete"},
            "template": {
                "metadata": {"labels": {**labels, RUN_LABEL: label}},
                "spec": _pod(image),
            },
        },
    }


def _pod(image: str) -> Json:
    fields = {"NODE_NAME": "spec.nodeName", "NODE_ADDRESS": "status.hostIP"}
    mounts = [
        {"name": "settings", "mountPath": _SETTINGS, "readOnly": True},
        {"name": "notes", "mountPath": FOLDER},
        {"name": "cgroups", "mountPath": _CGROUPS},
        {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - of the pod's own
    ]
    return {
        "hostPID": True,
        "hostNetwork": True,
        "dnsPolicy": "Default",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_S,
        # It has to be there when the node is in trouble, and on nodes that take nothing else.
        "priorityClassName": "system-node-critical",
        "tolerations": [{"operator": "Exists"}],
        "affinity": _real_nodes(),
        "securityContext": {"runAsUser": 0, "runAsGroup": 0},
        "containers": [
            {
                "name": "agent",
                "image": image,
                "args": ["chaos.node.agent", f"{_SETTINGS}/settings.json"],
                "env": [
                    {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
                    for name, path in fields.items()
                ],
                "resources": _RESOURCES,
                "securityContext": {
                    "privileged": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": list(CAPABILITIES)},
                    # Their default profiles forbid to mount and to trace, whatever the capabilities.
                    "seccompProfile": {"type": "RuntimeDefault"},
                    "appArmorProfile": {"type": "Unconfined"},
                },
                "volumeMounts": mounts,
            }
        ],
        "volumes": [
            {"name": "settings", "secret": {"secretName": SECRET, "defaultMode": 0o400}},
            {"name": "notes", "hostPath": {"path": FOLDER, "type": "DirectoryOrCreate"}},
            {"name": "cgroups", "hostPath": {"path": "/sys/fs/cgroup", "type": "Directory"}},
            {"name": "scratch", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }


def _real_nodes() -> Json:
    # Nodes that are none take no DaemonSet: their pods would be waited for in vain.
    expressions = [
        {"key": "eks.amazonaws.com/compute-type", "operator": "NotIn", "values": ["fargate"]},
        {"key": "type", "operator": "NotIn", "values": ["virtual-kubelet"]},
    ]
    terms = [{"matchExpressions": expressions}]
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
