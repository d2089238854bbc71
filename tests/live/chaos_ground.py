"""A ground for faults on a live lab: two workloads, the site of faults, and harnesses to be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from chaos_harness import NAMESPACE

from chaos import kubelets, nodes, site, watchdog_site
from chaos.audit import remainders
from chaos.cluster_agents import COMPONENT_LABEL, ClusterAgents
from chaos.cluster_ledger import HEALED_BY, ClusterLedger
from chaos.cluster_ledger import NAMESPACE as SITE
from chaos.guard import CHAOS_LABEL
from chaos.heartbeat import HEARTBEAT
from chaos.node import processes
from chaos.phases import PAUSE_AT
from clients.kubernetes import Cluster, Json, pod_ready
from core.errors import EnvironmentFailedError
from core.files import read_lines
from core.processes import ProcessId
from core.waiting import wait_until
from lab.cluster import find
from lab.images import build_chaos_image
from lab.plan import Plan

RUN = "20260101T000000-ground"
FRONT, BACK = "front", "back"
HEALED_WITHIN_S = 15.0
WHOLE_WITHIN_S = 90.0
PORT = 8080
SCRATCH = "/scratch"


@dataclass(kw_only=True)
class Ground:
    """The workloads front and back, and the site."""

    plan: Plan
    cluster: Cluster
    agents: ClusterAgents

    def open_acts(self) -> list[Mapping[str, Any]]:
        """Return what the agents have open."""
        return [one for node in self.agents.nodes() for one in self.agents.acts(node)["acts"]]

    def outages(self) -> list[str]:
        """Return what the lab has out on purpose: machines without power, programs that are paused."""
        return [f"outage {file.stem}" for file in (self.plan.folder / "outages").glob("*.json")]

    def stopped(self) -> list[str]:
        """Return the lab's processes that a signal has stopped, seen from its host."""
        within = f"/{self.plan.cgroup}/"
        return [f"stopped {p.name}" for p in processes.every() if p.stopped and within in p.group]

    def left(self) -> list[str]:
        """Return what anybody finds of a fault: on the host, as open acts and entries, by an audit."""
        found = [*self.outages(), *self.stopped()]
        try:
            acts = [f"act {one['id']}" for one in self.open_acts()]
            return [*found, *acts, *map(str, remainders(self.cluster, self.agents))]
        except EnvironmentFailedError as error:
            return [*found, str(error)]

    def missing(self) -> list[str]:
        """Return what keeps the system from being whole.

        That is workloads and the site at full strength, nodes whose kubelet and runtime answer, and pods that
        answer another node: what the API remembers of a node that is lost is not enough.
        """
        try:
            return [*self._weak(), *self._unwell(), *self._silent()]
        except EnvironmentFailedError as error:
            return [str(error)]

    def _weak(self) -> Iterator[str]:
        for resource in ("deployments", "daemonsets"):
            for one in self.cluster.list(resource):
                status, meta = one.get("status") or {}, one["metadata"]
                if resource == "deployments":
                    wanted, there = one["spec"]["replicas"], status.get("readyReplicas", 0)
                else:
                    wanted, there = status.get("desiredNumberScheduled"), status.get("numberReady", 0)
                current = status.get("observedGeneration", 0) >= meta["generation"]
                if there != wanted or not current:
                    yield f"{resource} {meta['namespace']}/{meta['name']}: {there} of {wanted} are ready"

    def _unwell(self) -> Iterator[str]:
        for node in nodes.every(self.cluster):
            if not node.ready or (node.works and node.cordoned):
                yield f"node {node.name}: {node.condition}, cordoned: {node.cordoned}"
            why = kubelets.silence(self.cluster, node.name, kubelets.RUNTIME)
            if why:
                yield f"node {node.name}: {why}"

    def _silent(self) -> Iterator[str]:
        by_node = self.agents.nodes()
        for pod in self.cluster.list("pods", NAMESPACE):
            name, status = pod["metadata"]["name"], pod.get("status") or {}
            if pod["metadata"].get("deletionTimestamp"):
                yield f"pod {name} is on its way out"
                continue
            other = next(node for node in by_node if node != pod["spec"].get("nodeName"))
            address = status.get("podIP")
            told = (
                self.agents.ask(other, "connect", host=address, port=PORT, path="/")["results"][0]
                if address
                else {"status": None, "error": "it has no address"}
            )
            if told["status"] != 200:
                yield f"pod {name} does not answer {other}: {told['status']} {told['error']}"

    def renew(self) -> None:
        """Begin anew: nothing left, pods that never restarted, all whole, no signed entries, no heartbeat.

        A kubelet lets a container that has ended several times wait for minutes, and a harness waits for a
        dead one's heartbeat.
        """
        self.wait_undone(time.monotonic(), WHOLE_WITHIN_S)
        for pod in self.cluster.list("pods", NAMESPACE):
            if any(one["restartCount"] for one in (pod.get("status") or {}).get("containerStatuses") or ()):
                self.cluster.delete("pods", pod["metadata"]["name"], NAMESPACE)
        self.wait_whole(time.monotonic())
        ClusterLedger(self.cluster).sweep()
        self.cluster.delete("leases", HEARTBEAT, SITE)

    def healed_by(self) -> list[str]:
        """Return who undid what a harness left open."""
        healed = self.cluster.list("configmaps", SITE, labels="ecochain.io/ledger=healed")
        return [str(one["metadata"]["annotations"][HEALED_BY]) for one in healed]

    def watchdogs(self, count: int) -> None:
        """Have so many watchdogs, and wait for it."""
        self.cluster.patch("deployments", watchdog_site.WATCHDOG, SITE, {"spec": {"replicas": count}})
        labels = f"{COMPONENT_LABEL}={watchdog_site.WATCHDOG}"

        def there() -> bool:
            pods = self.cluster.list("pods", SITE, labels=labels)
            return len(pods) == count and all(pod_ready(pod) for pod in pods)

        wait_until(f"{count} watchdogs", there, 60, interval_s=0.2)

    def wait_power(self, began_s: float) -> float:
        """Wait until the lab has nothing out; returns the seconds since, WaitTimeoutError after 15."""
        return self._wait("the lab's outages to end", self.outages, began_s, HEALED_WITHIN_S)

    def wait_undone(self, began_s: float, within_s: float = HEALED_WITHIN_S) -> float:
        """Wait until nothing is left; returns the seconds since, WaitTimeoutError after `within_s`."""
        return self._wait("everything to be undone", self.left, began_s, within_s)

    def wait_whole(self, began_s: float) -> float:
        """Wait until nothing is missing; returns the seconds since, WaitTimeoutError after 90."""
        return self._wait("the system to be whole", self.missing, began_s, WHOLE_WITHIN_S)

    def _wait(self, what: str, listed: Callable[[], list[str]], began_s: float, within_s: float) -> float:
        seen: list[list[str]] = []

        def empty() -> bool:
            seen[:] = [listed()]
            return not seen[0]

        wait_until(what, empty, began_s + within_s - time.monotonic(), interval_s=0.25, last=lambda: seen)
        return time.monotonic() - began_s


@contextmanager
def ground_on(lab_name: str) -> Iterator[Ground]:
    """Make the ground on a lab; remove it, and see that nothing of the site is left."""
    lab = find(lab_name)
    assert lab is not None
    cluster, image = lab.cluster(), build_chaos_image()
    lab.push([image])
    try:
        labels = {CHAOS_LABEL: "allowed"}
        cluster.create("namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
        for name in (FRONT, BACK):
            cluster.create("services", _service(name))
            cluster.create("deployments", _deployment(name, image.pinned))
        made = site.install(
            cluster, image=image.pinned, run_id=RUN, record=lambda *_, **__: None, namespaces=[NAMESPACE]
        )
        ground = Ground(plan=lab.plan, cluster=cluster, agents=made.agents)
        ground.wait_whole(time.monotonic())
        yield ground
        made.agents.close()
        made.claim.release()
    finally:
        site.remove(cluster, RUN)
        cluster.delete("namespaces", NAMESPACE)
    assert cluster.get("namespaces", SITE) is None
    for resource in ("clusterroles", "clusterrolebindings", "roles", "rolebindings"):
        assert cluster.list(resource, labels=f"{COMPONENT_LABEL}={watchdog_site.WATCHDOG}") == []


@dataclass(kw_only=True)
class Harness:
    """A harness that runs, and what it wrote."""

    process: subprocess.Popen[str]
    folder: Path
    killed_s: float = field(default=0.0)

    def events(self) -> list[Mapping[str, Any]]:
        """Return its events."""
        path = self.folder / "events.jsonl"
        return list(read_lines(path)) if path.exists() else []

    def kinds(self) -> list[str]:
        """Return the kinds of its events."""
        return [str(event["kind"]) for event in self.events()]

    def wait_event(self, kind: str) -> None:
        """Wait until it has written an event; AssertionError with its words if it ends before."""

        def written() -> bool:
            if kind in self.kinds():
                return True
            assert self.process.poll() is None, self.process.communicate()[1]
            return False

        wait_until(f"event {kind}", written, 60)

    def kill(self) -> None:
        """Send SIGKILL, and wait until it is dead."""
        self.process.kill()
        self.process.wait()


@contextmanager
def harness(
    ground: Ground,
    folder: Path,
    *,
    fault: str = "halt",
    keywords: Mapping[str, Any] | None = None,
    pause_at: str = "",
    seconds: float = 90,
    kubeconfig: Path | None = None,
) -> Iterator[Harness]:
    """Start a harness that conducts a fault, and see that it has ended."""
    run = folder / f"run-{uuid4().hex[:8]}"
    run.mkdir()
    told = {
        "kubeconfig": str(kubeconfig or ground.cluster.kubeconfig),
        "lab": ground.plan.name,
        "folder": str(run),
        "fault": fault,
        "keywords": {"selector": f"app={FRONT}", **(keywords or {})},
        "seconds": seconds,
        "seed": 7,
    }
    (run / "settings.json").write_text(json.dumps(told))
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("chaos_harness.py"), run / "settings.json"],
        env={**os.environ, PAUSE_AT: pause_at},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    who = ProcessId.of(process.pid)
    try:
        yield Harness(process=process, folder=run)
    finally:
        if process.poll() is None and who is not None:
            who.signal(signal.SIGKILL)
        process.communicate()


def _service(name: str) -> Json:
    ports = [{"name": "http", "port": 80, "targetPort": PORT}]
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"app": name}, "ports": ports},
    }


def _deployment(name: str, image: str) -> Json:
    labels = {"app": name}
    container = {
        "name": "it",
        "image": image,
        "args": ["http.server", str(PORT), "-d", "/tmp"],
        "ports": [{"containerPort": PORT}],
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "resources": {
            "requests": {"cpu": "10m", "memory": "64Mi"},
            "limits": {"cpu": "200m", "memory": "96Mi"},
        },
        "volumeMounts": [{"name": "scratch", "mountPath": SCRATCH}],
    }
    volume = {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}}
    return {
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": 1,
                    "containers": [container],
                    "volumes": [volume],
                },
            },
        },
    }
