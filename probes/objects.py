"""What the timeline keeps of a Kubernetes object: the fields of the k8s.* events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from clients.kubernetes import pod_ready

Json = dict[str, Any]
_SERVICE_LABEL = "kubernetes.io/service-name"
_REVISION = "deployment.kubernetes.io/revision"


def pod_event(change: str, pod: Json) -> Json:
    """Describe a pod: where it runs, whether it serves, and its containers."""
    meta, status = pod["metadata"], pod.get("status", {})
    spec = pod.get("spec", {})
    containers = status.get("containerStatuses") or []
    hooks = [hook for hook in map(_pre_stop, spec.get("containers") or []) if hook]
    return {
        "kind": "k8s.pod",
        "type": change,
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "uid": meta["uid"],
        "node": spec.get("nodeName", ""),
        "phase": status.get("phase", ""),
        "ready": pod_ready(pod),
        "deleting": bool(meta.get("deletionTimestamp")),
        # A delete may shorten the time that the spec gives.
        "grace_s": meta.get("deletionGracePeriodSeconds", spec.get("terminationGracePeriodSeconds")),
        "pre_stop": [words for words, _ in hooks],
        "pre_stop_s": max((seconds for _, seconds in hooks if seconds is not None), default=None),
        "restarts": sum(int(one.get("restartCount", 0)) for one in containers),
        "containers": [_container(one) for one in containers],
        "labels": meta.get("labels") or {},
        "pod_ip": status.get("podIP", ""),
    }


def endpointslice_event(change: str, piece: Json) -> Json:
    """Describe an EndpointSlice: which pods a Service sends to."""
    meta = piece["metadata"]
    return {
        "kind": "k8s.endpointslice",
        "type": change,
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "service": (meta.get("labels") or {}).get(_SERVICE_LABEL, ""),
        "endpoints": [_endpoint(one) for one in piece.get("endpoints") or []],
    }


def deployment_event(change: str, deployment: Json) -> Json:
    """Describe a Deployment: how far its rollout is."""
    meta, status = deployment["metadata"], deployment.get("status", {})
    return {
        "kind": "k8s.deployment",
        "type": change,
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "generation": int(meta.get("generation", 0)),
        "observed_generation": int(status.get("observedGeneration", 0)),
        "replicas": int(deployment.get("spec", {}).get("replicas", 1)),
        "updated": int(status.get("updatedReplicas", 0)),
        "ready": int(status.get("readyReplicas", 0)),
        "available": int(status.get("availableReplicas", 0)),
        "revision": (meta.get("annotations") or {}).get(_REVISION, ""),
        "labels": meta.get("labels") or {},
    }


def event_event(_change: str, event: Json) -> Json:
    """Describe an Event of the cluster's own."""
    about = event.get("involvedObject") or {}
    return {
        "kind": "k8s.event",
        "namespace": event["metadata"].get("namespace", ""),
        "reason": event.get("reason") or "",
        "object_kind": about.get("kind", ""),
        "object_name": about.get("name", ""),
        "message": event.get("message") or "",
        "event_type": event.get("type") or "",
    }


DESCRIBED: Mapping[str, Callable[[str, Json], Json]] = {
    "pods": pod_event,
    "endpointslices": endpointslice_event,
    "deployments": deployment_event,
    "events": event_event,
}


def node_event(change: str, node: Json) -> Json:
    """Describe a node: whether its kubelet says that it is ready, and whether it takes pods."""
    conditions = node.get("status", {}).get("conditions") or []
    ready: Json = next((one for one in conditions if one.get("type") == "Ready"), {})
    return {
        "kind": "k8s.node",
        "type": change,
        "name": node["metadata"]["name"],
        "ready": ready.get("status") == "True",
        "reason": ready.get("reason") or "",
        "unschedulable": bool(node.get("spec", {}).get("unschedulable")),
    }


def _pre_stop(container: Json) -> tuple[str, float | None] | None:
    """Return a container's preStop hook in words, and how long it takes if it says so."""
    hook = (container.get("lifecycle") or {}).get("preStop") or {}
    if "sleep" in hook:
        seconds = float(hook["sleep"].get("seconds", 0))
        return f"sleep {seconds:g} s", seconds
    if "httpGet" in hook:
        path = str(hook["httpGet"].get("path", "/"))
        return f"GET {path}", _number((parse_qs(urlsplit(path).query).get("seconds") or [""])[0])
    if "exec" in hook:
        command = [str(word) for word in hook["exec"].get("command") or []]
        sleeps = len(command) == 2 and command[0].rpartition("/")[2] == "sleep"
        return " ".join(command), _number(command[1]) if sleeps else None
    return None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _container(status: Json) -> Json:
    started = (status.get("state", {}).get("running") or {}).get("startedAt")
    described = {
        "name": status["name"],
        "image": status.get("image", ""),
        "image_id": status.get("imageID", ""),
        "container_id": status.get("containerID", ""),
    }
    return described | ({"started_at": started} if started else {})


def _endpoint(endpoint: Json) -> Json:
    conditions = endpoint.get("conditions") or {}
    # The API leaves a condition out to say "unknown, take it as ready" (and serving like ready).
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    return {
        "pod": (endpoint.get("targetRef") or {}).get("name", ""),
        "ip": (endpoint.get("addresses") or [""])[0],
        "ready": ready,
        "serving": ready if serving is None else bool(serving),
        "terminating": bool(conditions.get("terminating")),
    }
