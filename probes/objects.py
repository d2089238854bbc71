"""What the timeline keeps of a Kubernetes object: the fields of the k8s.* events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clients.kubernetes import pod_ready

Json = dict[str, Any]
_SERVICE_LABEL = "kubernetes.io/service-name"
_REVISION = "deployment.kubernetes.io/revision"


def pod_event(change: str, pod: Json) -> Json:
    """Describe a pod: where it runs, whether it serves, and its containers."""
    meta, status = pod["metadata"], pod.get("status", {})
    containers = status.get("containerStatuses") or []
    return {
        "kind": "k8s.pod",
        "type": change,
        "namespace": meta.get("namespace", ""),
        "name": meta["name"],
        "uid": meta["uid"],
        "node": pod.get("spec", {}).get("nodeName", ""),
        "phase": status.get("phase", ""),
        "ready": pod_ready(pod),
        "deleting": bool(meta.get("deletionTimestamp")),
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
