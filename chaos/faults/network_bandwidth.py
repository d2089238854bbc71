"""Limit how much leaves a pod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.pod_networks import PodNetwork
from core.errors import RefusedError

_LEAST_BIT_S, _MOST_BIT_S = 64_000, 500e6
_LEAST_BYTES = 64 * 1024
_TIMEOUT_S = 20.0


class NetworkBandwidth(NetworkFault):
    """Limits what leaves the pods to `rate_bit_s`; what arrives is not limited.

    Proved by the bytes of about a second, sent from the pod to its node: at most 1.25 times the rate, and at
    least a quarter of it; before and after at least twice the rate.
    """

    name: ClassVar[str] = "network_bandwidth"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        rate_bit_s: float,
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        if not _LEAST_BIT_S <= rate_bit_s <= _MOST_BIT_S:
            raise RefusedError(
                f"fault {self.name}: rate_bit_s: expected {_LEAST_BIT_S} to {_MOST_BIT_S:g}, got {rate_bit_s}"
            )
        self._rate_bit_s = rate_bit_s

    def plan(self) -> Sequence[Planned]:
        """Return an act per pod."""
        params = {"rate_bit_s": self._rate_bit_s}
        return [Planned(pod=pod, kind="network_bandwidth", params=params) for pod in self.pods]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return how fast the bytes came."""
        told = self.ask(
            pod,
            "throughput",
            container_id=pod.target.container_id,
            address=pod.address,
            size_bytes=int(max(_LEAST_BYTES, self._rate_bit_s / 8)),
            timeout_s=_TIMEOUT_S,
        )
        return {"bit_s": round(told["bit_s"]), "bytes": told["bytes"]}

    def unfit(self, before: Evidence) -> str | None:
        """Object to a link that is about as slow already."""
        slow = _bit_s(before) < 2 * self._rate_bit_s
        return f"its link gives less than twice {self._rate_bit_s:g} bit/s" if slow else None

    def missing(self, before: Evidence, during: Evidence) -> str | None:  # noqa: ARG002
        """Demand the rate."""
        limited = 0.25 * self._rate_bit_s <= _bit_s(during) <= 1.25 * self._rate_bit_s
        return None if limited else f"not about {self._rate_bit_s:g} bit/s"


def _bit_s(measured: Evidence) -> float:
    return float(str(measured["bit_s"]))
