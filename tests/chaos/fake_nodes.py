"""Nodes in memory: a fake cluster's kubelets, its nodes' agents and its provider's powers.

`obeys` false makes every act and power without effect; `heals` false makes every undoing so.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.agents import Act
from chaos.cluster_ledger import ClusterLedger
from chaos.disturbance import Laboratory
from chaos.experiment import Conducted, conduct
from chaos.fault import Fault, Place
from chaos.guard import CONTROL_PLANE, Guard
from chaos.healer import Healer
from chaos.ledger import Ledger
from chaos.registry import FAULTS
from clients.kubernetes import ApiError, Json
from core.errors import RefusedError
from tests.chaos.fake_cluster import Workload
from tests.chaos.lasting import Events, Held

MASTER = "master"
HARNESS = "harness"


class NodeCluster(Workload):
    """The workload's pods on node-0 and node-1, a node-2 without any, and a node of the control plane.

    `ill` says per node what does not work: kubelet, containerd, network, power; `paused` are components and
    `frozen` containers; `forbidden` counts how often a budget still refuses an eviction.
    """

    def __init__(self, replicas: int = 3, *, allowed: bool = True) -> None:
        self.ill: dict[str, set[str]] = {}
        self.paused: set[str] = set()
        self.frozen: set[str] = set()
        self.forbidden: dict[str, int] = {}
        self.obeys, self.heals = True, True
        self._renewals = 0
        super().__init__(replicas, allowed=allowed)
        self.put("namespaces", {"metadata": {"name": "ecochain-chaos"}})
        for name in ("node-0", "node-1", "node-2"):
            self.add_node(name)
        self.add_node(MASTER, {CONTROL_PLANE: ""})

    def add_node(self, name: str, labels: Mapping[str, str] | None = None) -> None:
        """Add a Ready node whose kubelet renews its lease whenever it is looked at."""
        self.ill[name] = set()
        self.put(
            "nodes",
            {
                "metadata": {"name": name, "uid": f"uid-{name}", "labels": dict(labels or {})},
                "spec": {"providerID": f"lab://{name}"},
                "status": {
                    "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
                    "addresses": [{"type": "InternalIP", "address": f"10.0.0.{len(self.ill)}"}],
                    "nodeInfo": {"containerRuntimeVersion": "containerd://2.0"},
                },
            },
        )
        lease = {"name": name, "namespace": "kube-node-lease"}
        self.put("leases", {"metadata": lease, "spec": {"renewTime": "0"}})

    def add_pod(self, *, ready: bool) -> Json:
        """Add a replica, which a ReplicaSet controls."""
        made = super().add_pod(ready=ready)
        pod = self.pod(made["metadata"]["name"])
        pod["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "auth", "controller": True}]
        probe = {"httpGet": {"port": 8080, "path": "/ready"}}
        pod["spec"]["containers"] = [{"name": "auth", "readinessProbe": probe}]
        node = pod["spec"]["nodeName"]
        marked = self.objects.get(("nodes", "", node), {"spec": {}})
        if marked["spec"].get("unschedulable"):
            pod["spec"]["nodeName"] = "node-2"
        return pod

    def add_bystander(self, name: str, *, node: str, owner: str | None, **meta: Any) -> None:
        """Add a Ready pod beside the workload."""
        owners = [{"kind": owner, "name": name, "controller": True}] if owner else []
        self.put(
            "pods",
            {
                "metadata": {
                    "name": name,
                    "namespace": self.NAMESPACE,
                    "uid": f"uid-{name}",
                    "ownerReferences": owners,
                    **meta,
                },
                "spec": {"nodeName": node, "containers": []},
                "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
            },
        )

    def on(self, node: str) -> list[str]:
        """Return the workload's pods on a node."""
        return [p["metadata"]["name"] for p in self.pods() if p["spec"].get("nodeName") == node]

    def get(self, resource: str, name: str, namespace: str | None = None) -> Json | None:
        """Return an object; a lease as its kubelet has just renewed it."""
        found = super().get(resource, name, namespace)
        if found is not None and namespace == "kube-node-lease":
            if not self.ill[name] & {"kubelet", "network", "power"}:
                self._renewals += 1
                self.objects[resource, namespace, name]["spec"]["renewTime"] = str(self._renewals)
            return super().get(resource, name, namespace)
        return found

    def list(
        self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> list:
        """Return objects; of field selectors only the node's name is known."""
        found = super().list(resource, namespace, labels=labels)
        node = fields.removeprefix("spec.nodeName=")
        return [one for one in found if not fields or one["spec"].get("nodeName") == node]

    def create(self, resource: str, manifest: Json) -> Json:
        """Create an object; the scheduler gives a pod its node."""
        made = super().create(resource, manifest)
        if resource == "pods" and "kube-scheduler" not in self.paused:
            key = (resource, manifest["metadata"]["namespace"], manifest["metadata"]["name"])
            self.objects[key]["spec"]["nodeName"] = "node-0"
        return made

    def on_delete(self, resource: str, found: Json, grace_s: int | None) -> None:
        """Delete; only the workload's pods are made again."""
        if resource == "pods" and not found["metadata"]["name"].startswith("auth-"):
            del self.objects[resource, found["metadata"]["namespace"], found["metadata"]["name"]]
        else:
            super().on_delete(resource, found, grace_s)

    def version(self) -> str:
        """Return the version, if the API server runs."""
        self.request("GET", "/version")
        return "v1"

    def path(self, resource: str, _namespace: str | None = None, name: str | None = None) -> str:
        """Return a path that `request` knows."""
        return f"/{resource}/{name}"

    def request(self, _method: str, path: str, *, body: Json | None = None, **_: object) -> Json:
        """Answer an access review, the version, and a read of etcd."""
        if path.endswith("selfsubjectaccessreviews"):
            assert body is not None
            return {"status": {"allowed": True}}
        if "kube-apiserver" in self.paused or ("etcd" in self.paused and path != "/version"):
            raise ApiError(f"GET {path}", 0, "timed out")
        return {"gitVersion": "v1"}

    def ask_node(self, node: str, path: str, *, timeout_s: float) -> bytes:
        """Answer for a kubelet."""
        if self.ill[node] & {"kubelet", "network", "power"}:
            raise ApiError(f"GET {path}", 503, f"dial {node}: no answer in {timeout_s:g} s")
        if path == "runningpods/" and "containerd" in self.ill[node]:
            raise ApiError(f"GET {path}", 0, "timed out")
        return b"ok"

    def proxy(self, pod: str, _namespace: str, port: int, path: str, *, timeout_s: float) -> bytes:
        """Answer for a pod."""
        status = self.pod(pod)["status"]["containerStatuses"][0]
        if status["containerID"].rpartition("//")[2] in self.frozen:
            raise ApiError(f"GET :{port}/{path}", 0, f"no answer in {timeout_s:g} s")
        return b"ok"

    def evict(self, pod: str, namespace: str, *, uid: str) -> None:
        """Evict a pod, unless a budget forbids it."""
        if self.forbidden.get(pod, 0) > 0:
            self.forbidden[pod] -= 1
            raise ApiError(f"POST {pod}/eviction", 429, "it would violate the pod's disruption budget")
        if self.obeys:
            self.delete("pods", pod, namespace, uid=uid)

    def patch(self, resource: str, name: str, namespace: str | None, patch: Json) -> Json:
        """Patch; a cordon may be ignored, and an uncordon too."""
        if resource == "nodes" and not (self.obeys if patch["spec"]["unschedulable"] else self.heals):
            return {}
        return super().patch(resource, name, namespace, patch)

    def restarted(self, node: str) -> None:
        """Play a node that has started again: every container on it is a new one."""
        for name in self.on(node):
            statuses = self.pod(name)["status"].get("containerStatuses")
            if statuses:
                old = statuses[0]["containerID"].rpartition("//")[2]
                self._noticed(name, old)


class FakeAgents:
    """Agents that do to the cluster in memory what they are told; `told` records it."""

    def __init__(self, cluster: NodeCluster) -> None:
        self._cluster, self.open = cluster, {}
        self.told: list[Act] = []
        self.reaches = True

    def begin(self, act: Act) -> Mapping[str, Any]:
        """Begin an act."""
        self.told.append(act)
        self.open[act.id] = act
        if not self._cluster.obeys:
            return {}
        if act.kind == "signal_container":
            self._cluster.kill_container(act.node, act.container_id)
        elif act.kind == "freeze_container":
            self._cluster.frozen.add(act.container_id)
        else:
            self._cluster.ill[act.node].add(act.params.get("program", "network"))
        return {"lasts": act.kind != "signal_container"}

    def end(self, node: str, act_id: str) -> None:
        """End an act, and what another did alike."""
        act = self.open.pop(act_id, None)
        if act is None or not self._cluster.heals:
            return
        self._cluster.frozen.discard(act.container_id)
        self._cluster.ill[node].clear()

    def ask(self, node: str, question: str, **params: Any) -> Mapping[str, Any]:
        """Answer what the faults ask."""
        if question == "processes":
            frozen = params["container_id"] in self._cluster.frozen
            return {"processes": [{"pid": 1, "state": "T" if frozen else "S"}]}
        assert question == "exchange"
        assert node not in self.cut()
        return {"attempts": [{"outcome": "timeout" if self._hit(params["address"]) else "closed"}]}

    def remainders(self) -> list[Mapping[str, Any]]:
        """Return nothing."""
        return []

    def cut(self) -> set[str]:
        """Return the nodes that nobody reaches."""
        return {name for name, ills in self._cluster.ill.items() if ills & {"network", "power"}}

    def _hit(self, address: str) -> bool:
        nodes = self._cluster.list("nodes")
        return any(
            node["status"]["addresses"][0]["address"] == address and node["metadata"]["name"] in self.cut()
            for node in nodes
        )


class FakePowers:
    """Powers over the cluster in memory."""

    def __init__(self, cluster: NodeCluster) -> None:
        self._cluster = cluster
        self.begun: list[tuple[str, float, Mapping[str, Any]]] = []

    @property
    def ends_with_owner(self) -> bool:
        """Return what the lab does."""
        return True

    def offers(self) -> frozenset[str]:
        """Return what the lab offers."""
        return frozenset({"power_loss", "pause:kube-apiserver", "pause:etcd", "pause:kube-scheduler"})

    def begin(self, what: str, longest_s: float, **args: Any) -> Mapping[str, Any]:
        """Begin it."""
        if what not in {"power_loss", "pause"}:
            raise RefusedError(what)
        self.begun.append((what, longest_s, args))
        if self._cluster.obeys:
            if what == "pause":
                self._cluster.paused.add(args["component"])
            else:
                self._cluster.ill[args["node"]].add("power")
        return {}

    def end(self, what: str, **args: Any) -> None:
        """End it."""
        if not self._cluster.heals:
            return
        if what == "pause":
            self._cluster.paused.discard(args["component"])
        elif "power" in self._cluster.ill[args["node"]]:
            self._cluster.ill[args["node"]].clear()
            self._cluster.restarted(args["node"])


def place(cluster: NodeCluster, *, seed: int = 7, means: bool = True, **guard: Any) -> Place:
    """Return where faults act, with agents and powers if there are `means`."""
    return Place(
        cluster=cluster,  # type: ignore[arg-type]
        namespace=cluster.NAMESPACE,
        guard=Guard(**{"environment": "lab", "chaos_allowed": True, **guard}),
        seed=seed,
        now=time.time,
        agents=FakeAgents(cluster) if means else None,
        powers=FakePowers(cluster) if means else None,
        poll_s=0.01,
        settle_s=0.05,
    )


def make(name: str, where: Place, **settings: Any) -> Fault:
    """Return a fault by name."""
    fault: Any = FAULTS[name]
    made: Fault = fault(where, **settings)
    return made


def play(
    fault: Fault, where: Place, folder: Path, *, events: Events | None = None, timeout_s: float = 1.0
) -> Conducted:
    """Conduct a fault with both ledgers and a healer that has the place's means."""
    cluster = where.cluster
    return conduct(
        fault,
        lease=Held(),
        ledger=Ledger(folder / "ledger.jsonl", time.time),
        emit=events or Events(),
        now=time.time,
        prove_timeout_s=timeout_s,
        recovery_timeout_s=3.0,
        laboratory=Laboratory(
            healer=Healer(cluster, where.agents, where.powers),
            books=ClusterLedger(cluster),
            cluster=cluster,
            run_id="run",
        ),
    )
