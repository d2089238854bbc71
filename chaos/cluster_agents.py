"""The agents on a cluster's nodes, reached through the API server's proxy, and kept at what they do."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from typing import Any

from chaos.agents import Act
from chaos.cluster_ledger import NAMESPACE
from clients.kubernetes import ApiError, Cluster, Json
from clients.outbox import OutboxClient
from core.errors import EnvironmentFailedError, RefusedError

COMPONENT_LABEL = "app.kubernetes.io/name"
AGENT = "chaos-agent"
PORT = 19797
KEEP_S = 2.0
_BEGIN_TIMEOUT_S = 40.0
_END_TIMEOUT_S = 20.0
_ASK_TIMEOUT_S = 55.0
_KEEP_TIMEOUT_S = 4.0
_AT_ONCE = 16


class ClusterAgents:
    """The agents of a cluster; see chaos.agents.Agents. `token` is what they were installed with.

    What has begun is kept by a thread of its own, every `keep_s`, until it is ended; it lasts no longer than
    its lifetime once this process is gone. Needs `list` on pods and `create` on pods/proxy in the namespace.
    """

    def __init__(
        self,
        cluster: Cluster,
        token: str,
        *,
        namespace: str = NAMESPACE,
        port: int = PORT,
        keep_s: float = KEEP_S,
        end_timeout_s: float = _END_TIMEOUT_S,
    ) -> None:
        self._cluster, self._token, self._namespace = cluster, token, namespace
        self._port, self._keep_s, self._end_timeout_s = port, keep_s, end_timeout_s
        self._lock = threading.Lock()
        self._kept: dict[str, Act] = {}
        self._lost: dict[str, str] = {}
        self._pods: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, act: Act) -> Mapping[str, Any]:
        """Do it; see Agents. Asked again after a lost answer, it is done once."""
        did = self._command(act.node, "begin", asdict(act), _BEGIN_TIMEOUT_S)
        if did.get("lasts"):
            with self._lock:
                self._kept[act.id] = act
                if self._thread is None:
                    self._thread = threading.Thread(target=self._keep, name="chaos-keep", daemon=True)
                    self._thread.start()
        return did

    def end(self, node: str, act_id: str) -> None:
        """Undo it; see Agents."""
        with self._lock:
            self._kept.pop(act_id, None)
            self._lost.pop(act_id, None)
        self._command(node, "end", {"id": act_id}, self._end_timeout_s)

    def ask(self, node: str, question: str, **params: Any) -> Mapping[str, Any]:
        """Measure; see Agents. RefusedError for parameters that the question does not take."""
        return self._command(node, "ask", {"question": question, **params}, _ASK_TIMEOUT_S)

    def remainders(self) -> list[Mapping[str, Any]]:
        """Return {node, kind, where, what} of every node; EnvironmentFailedError if one cannot be asked."""
        nodes = self.nodes()
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            found = pool.map(lambda node: self._command(node, "remainders", {}, _ASK_TIMEOUT_S), nodes)
            return [
                {"node": node, **one}
                for node, told in zip(nodes, found, strict=True)
                for one in told["remainders"]
            ]

    def acts(self, node: str) -> Mapping[str, Any]:
        """Return what a node's agent is: {node, kinds, questions, acts: [those that are open]}."""
        return self._command(node, "acts", {}, _KEEP_TIMEOUT_S)

    def leave(self, node: str) -> list[str]:
        """Have a node's agent undo all and remove its folder; returns the ids that could not be undone."""
        return list(self._command(node, "leave", {}, _ASK_TIMEOUT_S)["left"])

    def nodes(self) -> list[str]:
        """Return the nodes that have, or are to have, an agent; EnvironmentFailedError for none."""
        found = sorted(
            {str(pod["spec"]["nodeName"]) for pod in self._listed() if pod["spec"].get("nodeName")}
        )
        if not found:
            raise EnvironmentFailedError(f"namespace {self._namespace}: no node has an agent")
        return found

    def lost(self) -> Mapping[str, str]:
        """Return, by act, why it counts as undone although nobody ended it here."""
        with self._lock:
            return dict(self._lost)

    def undone(self) -> str | None:
        """Return which acts that were begun here have ended before their time, None if none has."""
        return "; ".join(f"act {one}: {why}" for one, why in sorted(self.lost().items())) or None

    def close(self) -> None:
        """Keep nothing any more: what is open ends by its lifetime."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        under_way: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            while not self._stop.wait(self._keep_s):
                with self._lock:
                    acts = list(self._kept.values())
                by_node: dict[str, list[str]] = {}
                for act in acts:
                    by_node.setdefault(act.node, []).append(act.id)
                for node, ids in by_node.items():
                    # A node that is cut off, and takes long, must not cost the others their time.
                    if node not in under_way or under_way[node].done():
                        under_way[node] = pool.submit(self._keep_on, node, ids)

    def _keep_on(self, node: str, ids: list[str]) -> None:
        try:
            told = self._command(node, "keep", {"ids": ids}, _KEEP_TIMEOUT_S)
        except (EnvironmentFailedError, RefusedError):
            return  # the agent's own clock decides; it is asked again
        with self._lock:
            for act_id in told["unknown"]:
                if self._kept.pop(act_id, None) is not None:
                    self._lost[act_id] = f"node {node} does not have it open any more"

    def _command(self, node: str, name: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        pod = self._pods.get(node) or self._pod_on(node)
        try:
            return self._ask_pod(pod, name, body, timeout_s)
        except ApiError as error:
            if _refused(error):
                raise RefusedError(f"node {node}: {error}") from error
            self._pods.pop(node, None)
            if error.status == 500:
                raise EnvironmentFailedError(f"node {node}: {error}") from error
            now = self._pod_on(node)
            if now == pod:
                raise EnvironmentFailedError(f"node {node}: its agent does not answer: {error}") from error
        try:
            return self._ask_pod(now, name, body, timeout_s)
        except ApiError as error:
            kind = RefusedError if _refused(error) else EnvironmentFailedError
            raise kind(f"node {node}: {error}") from error

    def _ask_pod(self, pod: str, name: str, body: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        client = OutboxClient(self._cluster, self._namespace, pod, self._port, self._token)
        return client.command(name, body, timeout_s)

    def _pod_on(self, node: str) -> str:
        pods = [
            pod
            for pod in self._listed()
            if pod["spec"].get("nodeName") == node and not pod["metadata"].get("deletionTimestamp")
        ]
        if not pods:
            raise EnvironmentFailedError(f"node {node}: it has no agent in namespace {self._namespace}")
        newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
        self._pods[node] = str(newest["metadata"]["name"])
        return self._pods[node]

    def _listed(self) -> list[Json]:
        return self._cluster.list("pods", self._namespace, labels=f"{COMPONENT_LABEL}={AGENT}")


def _refused(error: ApiError) -> bool:
    # The API server answers 400 too, as long as a pod has no address, with an object of its own.
    return error.status == 400 and '{"error":' in str(error)
