"""A cluster's networks in memory: agents whose acts change what their questions measure.

`effective`, `lasting` and `alive` false make acts that do nothing, acts that nothing ends, and agents that do
not answer. Acts and questions are checked against the real ones: their parameters must be what those take.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from fake_cluster import FakeCluster

from chaos.agents import Act
from chaos.node import chains, queueing
from chaos.node.acts import ACTS, dns_answers, http_errors, network_bandwidth, network_delay, network_filter
from chaos.node.questions import QUESTIONS
from chaos.node.resolver import Resolver
from core.errors import EnvironmentFailedError

NAMESPACE = "ecochain"
STORE = ("10.96.0.7", "10.1.0.77")
NETWORK_ACTS = (network_filter, network_delay, network_bandwidth, dns_answers, http_errors)


class Networks(FakeCluster):
    """Three pods of auth and two of store behind a Service each, and all of them behind `web`."""

    def __init__(self, *, allowed: bool = True, host_network: bool = False) -> None:
        super().__init__()
        labels = {"ecochain.io/chaos": "allowed"} if allowed else {}
        self.put("namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
        self.host_network = host_network
        for number in (1, 2, 3):
            self._pod("auth", number, f"10.1.0.{number}", 8000)
        for number in (1, 2):
            self._pod("store", number, f"10.1.0.{number + 10}", 6379)
        self._service("auth", "10.96.0.1", 8000, ("auth",))
        self._service("store", "10.96.0.7", 6379, ("store",))
        self._service("web", "10.96.0.9", 80, ("auth", "store"))

    def _pod(self, app: str, number: int, address: str, port: int) -> None:
        status = {
            "name": app,
            "containerID": f"containerd://{self.container(app, number)}",
            "restartCount": 0,
            "ready": True,
            "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
        }
        self.put(
            "pods",
            {
                "metadata": {
                    "name": f"{app}-{number}",
                    "namespace": NAMESPACE,
                    "uid": f"uid-{app}-{number}",
                    "labels": {"app": app},
                },
                "spec": {
                    "nodeName": f"node-{number % 2}",
                    "hostNetwork": self.host_network,
                    "containers": [{"name": app, "ports": [{"containerPort": port}]}],
                },
                "status": {
                    "phase": "Running",
                    "podIP": address,
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [status],
                },
            },
        )

    @staticmethod
    def container(app: str, number: int) -> str:
        return ("a" if app == "auth" else "b") * 63 + str(number)

    def _service(self, name: str, address: str, port: int, apps: tuple[str, ...]) -> None:
        spec = {"clusterIP": address, "clusterIPs": [address], "ports": [{"port": port}]}
        self.put("services", {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
        endpoints = [
            {
                "addresses": [pod["status"]["podIP"]],
                "targetRef": {"uid": pod["metadata"]["uid"]},
                "conditions": {"ready": True},
            }
            for pod in self.pods()
            if pod["metadata"]["labels"]["app"] in apps
        ]
        meta = {
            "name": f"{name}-x",
            "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": name},
        }
        self.put("endpointslices", {"metadata": meta, "endpoints": endpoints, "ports": [{"port": port}]})

    def pods(self) -> list[dict[str, Any]]:
        return [o for (kind, _, _), o in self.objects.items() if kind == "pods"]

    def address_of(self, container_id: str) -> str:
        return next(
            pod["status"]["podIP"]
            for pod in self.pods()
            if pod["status"]["containerStatuses"][0]["containerID"].endswith(container_id)
        )


class FakeAgents:
    """The agents of Networks; with `ill` every measurement is bad by itself."""

    def __init__(self, cluster: Networks) -> None:
        self.cluster = cluster
        self.begun: list[Act] = []
        self.open: dict[str, Act] = {}
        self.effective = self.lasting = self.alive = True
        self.twisted = False  # a one-way cut that cuts both
        self.ill = False
        self.heard: dict[str, int] = {}

    def begin(self, act: Act) -> Mapping[str, Any]:
        ACTS[act.kind].check(act)
        self.begun.append(act)
        self.open[act.id] = act
        return {"act_id": act.id, "lasts": True, "mechanism": "fake"}

    def end(self, node: str, act_id: str) -> None:
        assert node
        if self.lasting:
            self.open.pop(act_id, None)

    def remainders(self) -> list[Mapping[str, Any]]:
        return [{"what": one} for one in self.open]

    def ask(self, node: str, question: str, **params: Any) -> Mapping[str, Any]:
        assert node
        bound = inspect.signature(QUESTIONS[question].ask).bind(**params)
        bound.apply_defaults()
        if not self.alive and self.begun:
            raise EnvironmentFailedError("the agent does not answer")
        answer: Mapping[str, Any] = getattr(self, f"_{question}")(bound.arguments)
        return answer

    def _acts(self, container_id: str, kind: str, address: str = "") -> Iterator[Mapping[str, Any]]:
        for act in self.open.values():
            addresses = act.params.get("addresses")
            whom = addresses is None or address in addresses
            if self.effective and act.container_id == container_id and act.kind == kind and whom:
                yield act.params

    def _dropped(self, container_id: str, peer: str, way: str) -> bool:
        return any(
            params["effect"] == "drop"
            and "protocols" not in params
            and (self.twisted or params["direction"] in ("both", way))
            and params.get("ratio", 1) == 1
            for params in self._acts(container_id, "network_filter", peer)
        )

    def _container_at(self, address: str) -> str:
        return next(
            pod["status"]["containerStatuses"][0]["containerID"].rpartition("//")[2]
            for pod in self.cluster.pods()
            if pod["status"]["podIP"] == address
        )

    def _echo(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        count, source, end = asked["count"], asked["container_id"], self._container_at(asked["address"])
        if source:
            own = self.cluster.address_of(source)
            arrived = not self._dropped(source, asked["address"], "out")
            arrived = arrived and not self._dropped(end, own, "in") and not self.ill
            self.heard[end] = self.heard.get(end, 0) + count * arrived
        if self.ill:
            return {"sent": count, "lost": count, "rtt_s": []}
        lost = 0
        for params in self._acts(end, "network_filter"):
            lost = round(count * (1 - (1 - params.get("ratio", 1)) ** 2))
        delays_ms = [float(params["delay_ms"]) for params in self._acts(end, "network_delay")]
        rtt_s = (0.3 + sum(delays_ms)) / 1000
        return {"sent": count, "lost": lost, "rtt_s": [rtt_s] * (count - lost)}

    def _echoes_heard(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"heard": self.heard.get(asked["container_id"], 0)}

    def _exchange(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        source, address, count = asked["container_id"], asked["address"], asked["count"]
        one: dict[str, Any] = {"outcome": "answered", "connect_s": 0.001, "answer": "HTTP/1.1 200 OK"}
        attempts = [one] * count
        if self.ill:
            return {"attempts": [{"outcome": "reset"}] * count}
        for params in self._acts(source or self._container_at(address), "network_filter", address):
            outcome = {"drop": "timeout", "refuse": "refused", "reset": "reset"}[params["effect"]]
            share = params.get("ratio", 1)
            hit = round(count * (1 - (1 - share) ** 2 if outcome == "timeout" else share))
            attempts = [{"outcome": outcome}] * hit + [one] * (count - hit)
        for params in self._acts(source, "network_delay", address):
            attempts = [{**one, "connect_s": 0.001 + params["delay_ms"] / 1000}] * count
        for params in self._acts(source, "http_errors", address):
            attempts = [{**one, "answer": f"HTTP/1.1 {params['status']} Bad"}] * count
        return {"attempts": attempts}

    def _resolve(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        outcome, addresses = ("error", []) if self.ill else ("answered", ["10.96.0.7"])
        for params in self._acts(asked["container_id"], "network_filter"):
            outcome, addresses = {"drop": "timeout", "refuse": "refused"}[params["effect"]], []
        for params in self._acts(asked["container_id"], "dns_answers"):
            wrong = params["answer"]
            outcome, addresses = ("nxdomain", []) if wrong == "nxdomain" else ("answered", [wrong])
        return {"outcome": outcome, "addresses": addresses, "asked": asked["name"], "server": "10.96.0.10"}

    def _throughput(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        rates = [params["rate_bit_s"] for params in self._acts(asked["container_id"], "network_bandwidth")]
        return {"bit_s": 1e5 if self.ill else min([1e9, *rates]), "bytes": asked["size_bytes"]}


def without_a_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the acts check their parameters alone."""
    for kind in NETWORK_ACTS:
        monkeypatch.setattr(kind, "of_target", lambda _: 1)
    monkeypatch.setattr(chains, "families", lambda _: (4,))
    monkeypatch.setattr(chains, "rehearse", lambda _: None)
    monkeypatch.setattr(queueing, "offered", lambda words: "no netem" if "netem" in words else None)
    monkeypatch.setattr(queueing, "link_of", lambda _: "eth0")
    monkeypatch.setattr(queueing, "demand_default", lambda *_: None)
    monkeypatch.setattr(Resolver, "of_container", classmethod(lambda cls, _: cls(server="10.96.0.10")))
