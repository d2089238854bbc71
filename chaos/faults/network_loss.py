"""Lose a share of a pod's packets, each way, silently."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

from chaos import upstreams
from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.permissions import Permission
from chaos.pod_networks import PodNetwork
from core.errors import RefusedError

# Enough probes for 30 expected losses: half of that is 2.7 deviations away, and the proof looks again.
_EXPECTED_LOSSES, _MOST_ECHOES, _MOST_CONNECTIONS = 30, 1000, 150
_ECHO_S, _CONNECT_S = 0.005, 0.4
_OPENED = frozenset({"answered", "closed", "silent"})


class NetworkLoss(NetworkFault):
    """Loses `loss_ratio` of what leaves and of what arrives, of all traffic or of that with one Service.

    A round trip is lost with 1 - (1 - loss_ratio)²; at least half of that must show. Proved by ICMP echoes
    from the pod's node to the pod, or by the connections from the pod to the Service that do not open within
    0.4 s.
    """

    name: ClassVar[str] = "network_loss"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        loss_ratio: float,
        service: str | None = None,
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        if not 0.01 <= loss_ratio <= 1:
            raise RefusedError(f"fault {self.name}: loss_ratio: expected 0.01 to 1, got {loss_ratio}")
        self._ratio, self._service = loss_ratio, service
        self._expected_ratio = 1 - (1 - loss_ratio) ** 2
        self._upstream: upstreams.Upstream | None = None

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it needs."""
        own = upstreams.permissions(self._service, self.place.namespace) if self._service else ()
        return [*super().permissions, *own]

    def plan(self) -> Sequence[Planned]:
        """Return an act per pod."""
        params: dict[str, object] = {"effect": "drop", "direction": "both", "ratio": self._ratio}
        if self._service is not None:
            self._upstream = upstreams.find(self.place.cluster, self._service, self.place.namespace)
            params |= {
                "addresses": list(self._upstream.addresses),
                "ports": list(self._upstream.ports),
                "protocols": ["tcp"],
            }
        return [Planned(pod=pod, kind="network_filter", params=params) for pod in self.pods]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return how many probes were lost."""
        wanted = math.ceil(_EXPECTED_LOSSES / self._expected_ratio)
        if self._upstream is None:
            count = min(max(50, wanted), _MOST_ECHOES)
            asked = {"address": pod.address, "count": count, "interval_s": _ECHO_S, "timeout_s": 0.5}
            told = self.ask(pod, "echo", **asked)
            sent, lost = int(told["sent"]), int(told["lost"])
        else:
            address, port = self._upstream.asked
            sent = min(wanted, _MOST_CONNECTIONS)
            told = self.ask(
                pod,
                "exchange",
                container_id=pod.target.container_id,
                address=address,
                port=port,
                count=sent,
                timeout_s=_CONNECT_S,
            )
            lost = sum(1 for one in told["attempts"] if one["outcome"] not in _OPENED)
        return {"sent": sent, "lost": lost, "lost_ratio": round(lost / sent, 4)}

    def unfit(self, before: Evidence) -> str | None:
        """Object to a network that loses packets by itself."""
        limit = self._expected_ratio / 4
        return f"more than {limit:.3f} of the probes are lost" if _ratio(before) > limit else None

    def missing(self, before: Evidence, during: Evidence) -> str | None:  # noqa: ARG002
        """Demand half of what is expected."""
        least = self._expected_ratio / 2
        return f"less than {least:.3f} of the probes are lost" if _ratio(during) < least else None


def _ratio(measured: Evidence) -> float:
    return float(str(measured["lost_ratio"]))
