"""A cluster in memory: objects, optimistic locking, and controllers that act after a delay.

It duck-types the methods of clients.kubernetes.Cluster that chaos uses. What is due happens on the next
call, so there are no threads of its own.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from chaos.agents import Act
from clients.kubernetes import ApiError, Json

Key = tuple[str, str, str]


class FakeCluster:
    """Objects by resource, namespace and name; `calls` records every change asked for."""

    def __init__(self) -> None:
        self.objects: dict[Key, Json] = {}
        self.calls: list[tuple[str, str, str]] = []
        self.down = False
        # "patch nodes": what a SelfSubjectAccessReview answers no to.
        self.denied: set[str] = set()
        self._version = 0
        self._due: list[tuple[float, Callable[[], None]]] = []
        self._lock = threading.RLock()

    def later(self, delay_s: float, act: Callable[[], None]) -> None:
        self._due.append((time.monotonic() + delay_s, act))

    def get(self, resource: str, name: str, namespace: str | None = None) -> Json | None:
        with self._lock:
            self._advance()
            found = self.objects.get((resource, namespace or "", name))
            return copy.deepcopy(found)

    def list(
        self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list:
        assert not fields
        everywhere = namespace is None
        wanted = dict(pair.split("=", 1) for pair in labels.split(",") if pair)
        with self._lock:
            self._advance()
            return [
                copy.deepcopy(o)
                for (kind, space, _), o in self.objects.items()
                if kind == resource
                and (everywhere or space == namespace)
                and wanted.items() <= (o["metadata"].get("labels") or {}).items()
            ]

    def create(self, resource: str, manifest: Json) -> Json:
        with self._lock:
            self._advance()
            key = self._key(resource, manifest)
            if key in self.objects:
                raise ApiError(f"POST {key}", 409, "already exists")
            return self.put(resource, manifest)

    def replace(self, resource: str, manifest: Json) -> Json:
        with self._lock:
            self._advance()
            key = self._key(resource, manifest)
            if key not in self.objects:
                raise ApiError(f"PUT {key}", 404, "not found")
            given = manifest["metadata"].get("resourceVersion")
            if given and given != self.objects[key]["metadata"]["resourceVersion"]:
                raise ApiError(f"PUT {key}", 409, "the object has been modified")
            return self.put(resource, manifest)

    def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_s: int | None = None,
        uid: str | None = None,
    ) -> None:
        with self._lock:
            self._advance()
            self.calls.append(("delete", resource, name))
            found = self.objects.get((resource, namespace or "", name))
            if found is None:
                return
            if uid and found["metadata"]["uid"] != uid:
                raise ApiError(f"DELETE {name}", 409, "the UID in the precondition does not match")
            self.on_delete(resource, found, grace_s)

    def patch(self, resource: str, name: str, namespace: str | None, patch: Json) -> Json:
        with self._lock:
            self._advance()
            self.calls.append(("patch", resource, name))
            found = self.objects.get((resource, namespace or "", name))
            if found is None:
                raise ApiError(f"PATCH {name}", 404, "not found")
            return self.put(resource, _merged(found, patch))

    def request(self, method: str, path: str, *, body: Json, **_: object) -> Json:
        """Answer a SelfSubjectAccessReview."""
        assert (method, path.rpartition("/")[2]) == ("POST", "selfsubjectaccessreviews")
        with self._lock:
            self._advance()
        asked = body["spec"]["resourceAttributes"]
        return {"status": {"allowed": f"{asked['verb']} {asked['resource']}" not in self.denied}}

    def on_delete(self, resource: str, found: Json, grace_s: int | None) -> None:  # noqa: ARG002
        del self.objects[self._key(resource, found)]

    def put(self, resource: str, manifest: Json) -> Json:
        self._version += 1
        stored = copy.deepcopy(manifest)
        stored["metadata"]["resourceVersion"] = str(self._version)
        self.objects[self._key(resource, stored)] = stored
        return copy.deepcopy(stored)

    def _key(self, resource: str, manifest: Json) -> Key:
        meta = manifest["metadata"]
        return resource, meta.get("namespace", ""), meta["name"]

    def _advance(self) -> None:
        if self.down:
            raise ApiError("any call", 0, "connection refused")
        while due := [pair for pair in self._due if pair[0] <= time.monotonic()]:
            first = min(due, key=lambda pair: pair[0])
            self._due.remove(first)
            first[1]()


class Workload(FakeCluster):
    """A Deployment's worth of pods behind one Service.

    Its kubelet restarts and its controller replaces, both `lag_s` late; `deletes`, `restarts`, `replaces`
    and `rejoins` false make a fault ineffective or unhealed.
    """

    NAMESPACE, SELECTOR, SERVICE = "ecochain", "app=auth", "auth"

    def __init__(self, replicas: int = 3, *, lag_s: float = 0.05, allowed: bool = True) -> None:
        super().__init__()
        self.lag_s, self.count = lag_s, 0
        self.deletes, self.replaces, self.restarts, self.rejoins = True, True, True, True
        self.exit_code, self.counts_restarts = 137, True
        labels = {"ecochain.io/chaos": "allowed"} if allowed else {}
        self.put("namespaces", {"metadata": {"name": self.NAMESPACE, "labels": labels}})
        self.put("namespaces", {"metadata": {"name": "kube-system", "labels": labels}})
        for _ in range(replicas):
            self.add_pod(ready=True)
        self.route()

    def add_pod(self, *, ready: bool) -> Json:
        self.count += 1
        name = f"auth-{self.count}"
        return self.put(
            "pods",
            {
                "metadata": {
                    "name": name,
                    "namespace": self.NAMESPACE,
                    "uid": f"uid-{self.count}",
                    "labels": {"app": "auth"},
                },
                "spec": {"nodeName": f"node-{self.count % 2}"},
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": str(ready)}],
                    "containerStatuses": [
                        {
                            "name": "auth",
                            "containerID": f"containerd://c{self.count}",
                            "restartCount": 0,
                            "ready": ready,
                            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
                        }
                    ],
                },
            },
        )

    def pod(self, name: str) -> Json:
        return self.objects["pods", self.NAMESPACE, name]

    def pods(self) -> list[Json]:
        return [o for (kind, _, _), o in self.objects.items() if kind == "pods"]

    def set_ready(self, name: str, ready: bool) -> None:
        self.pod(name)["status"]["conditions"] = [{"type": "Ready", "status": str(ready)}]
        self.pod(name)["status"]["containerStatuses"][0]["ready"] = ready

    def route(self) -> None:
        """Write the EndpointSlice that a controller would for the pods as they are."""
        endpoints = [
            {
                "targetRef": {"uid": p["metadata"]["uid"], "name": p["metadata"]["name"]},
                "conditions": {
                    "ready": p["status"]["conditions"][0]["status"] == "True" and not self._leaving(p)
                },
            }
            for p in self.pods()
        ]
        self.put(
            "endpointslices",
            {
                "metadata": {
                    "name": "auth-abc",
                    "namespace": self.NAMESPACE,
                    "labels": {"kubernetes.io/service-name": self.SERVICE},
                },
                "endpoints": endpoints,
            },
        )

    def on_delete(self, resource: str, found: Json, grace_s: int | None) -> None:
        if resource != "pods":
            super().on_delete(resource, found, grace_s)
            return
        if not self.deletes:
            return
        name = found["metadata"]["name"]
        found["metadata"]["deletionTimestamp"] = "now"
        self.route()
        self.later(self.lag_s * (1 if grace_s == 0 else 3), lambda: self._gone(name))
        if self.replaces:
            self.later(self.lag_s, self._replacement)

    def kill_container(self, node: str, container_id: str) -> None:
        """Play the node."""
        self.calls.append(("kill", node, container_id))
        status = next(
            p["status"]["containerStatuses"][0]
            for p in self.pods()
            if p["status"]["containerStatuses"][0]["containerID"].endswith(container_id)
        )
        name = next(p["metadata"]["name"] for p in self.pods() if status in p["status"]["containerStatuses"])
        # Until its kubelet notices, the cluster still shows the dead container as ready.
        if self.restarts:
            self.later(self.lag_s, lambda: self._noticed(name, container_id))

    def _noticed(self, name: str, container_id: str) -> None:
        status = self.pod(name)["status"]["containerStatuses"][0]
        ended = {"containerID": f"containerd://{container_id}", "exitCode": self.exit_code, "reason": "Error"}
        status["restartCount"] += self.counts_restarts
        status["lastState"] = {"terminated": ended}
        status["containerID"] = f"containerd://{container_id}-again"
        status["state"] = {"running": {"startedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}}
        self.set_ready(name, False)
        self.route()
        self._serve_later(name)

    def _replacement(self) -> None:
        self._serve_later(self.add_pod(ready=False)["metadata"]["name"])

    def _serve_later(self, name: str) -> None:
        self.later(self.lag_s, lambda: self.set_ready(name, True))
        if self.rejoins:
            self.later(2 * self.lag_s, self.route)

    def _gone(self, name: str) -> None:
        self.objects.pop(("pods", self.NAMESPACE, name), None)

    @staticmethod
    def _leaving(pod: Json) -> bool:
        return "deletionTimestamp" in pod["metadata"]


class Killers:
    """Agents that can kill containers, and nothing else."""

    def __init__(self, cluster: Workload) -> None:
        self._cluster = cluster

    def begin(self, act: Act) -> Mapping[str, Any]:
        """Kill."""
        assert act.kind == "signal_container"
        self._cluster.kill_container(act.node, act.container_id)
        return {}


def _merged(old: Json, patch: Json) -> Json:
    """Return a JSON merge patch's result (RFC 7386)."""
    made = copy.deepcopy(old)
    for key, value in patch.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            made[key] = _merged(made.get(key) or {}, value)
        else:
            made[key] = value
    return made
