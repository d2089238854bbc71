"""Take a pod's name server away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.pod_networks import PodNetwork

_PORT = 53
_TIMEOUT_S = 1.0


class DnsFailure(NetworkFault):
    """Nobody answers at port 53: the queries of the pods are refused, or lost (`hanging`).

    Proved by asking for `name` as the pod would, from its network: answered before and after, refused or
    timed out meanwhile.
    """

    name: ClassVar[str] = "dns_failure"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        mode: Literal["refused", "hanging"] = "refused",
        lookup: str = "kubernetes.default",
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        self._mode, self._lookup = mode, lookup

    def plan(self) -> Sequence[Planned]:
        """Return an act per pod."""
        refused = self._mode == "refused"
        params = {
            "effect": "refuse" if refused else "drop",
            "direction": "out" if refused else "both",
            "ports": [_PORT],
            "protocols": ["udp", "tcp"],
        }
        return [Planned(pod=pod, kind="network_filter", params=params) for pod in self.pods]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return what came of the question."""
        container_id = pod.target.container_id
        told = self.ask(pod, "resolve", container_id=container_id, name=self._lookup, timeout_s=_TIMEOUT_S)
        return {key: told[key] for key in ("outcome", "addresses", "asked", "server")}

    def unfit(self, before: Evidence) -> str | None:
        """Object to a name that has no answer."""
        return None if before["outcome"] == "answered" else f"{self._lookup} is not answered"

    def missing(self, before: Evidence, during: Evidence) -> str | None:  # noqa: ARG002
        """Demand that the server is out of reach in this mode."""
        expected = "refused" if self._mode == "refused" else "timeout"
        return None if during["outcome"] == expected else f"expected {expected}"
