"""Delay a pod's packets."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import ClassVar

from chaos import upstreams
from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.permissions import Permission
from chaos.pod_networks import PodNetwork
from core.errors import RefusedError

_PROBES = 5
_LEAST_RATIO, _GONE_RATIO = 0.8, 0.3
_LOST = "most round trips are lost"


class NetworkDelay(NetworkFault):
    """Makes round trips `delay_ms` longer (plus or minus `jitter_ms`), of all traffic or with one Service.

    Proved by the median of five round trips, which must be longer by 80 % of the delay: of ICMP echoes from
    the pod's node to the pod, or of connections from the pod to the Service.
    """

    name: ClassVar[str] = "network_delay"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        delay_ms: float,
        jitter_ms: float = 0.0,
        service: str | None = None,
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        if not 5 <= delay_ms <= 10_000:
            raise RefusedError(f"fault {self.name}: delay_ms: expected 5 to 10000, got {delay_ms}")
        if not 0 <= jitter_ms <= delay_ms / 5:
            raise RefusedError(
                f"fault {self.name}: jitter_ms: expected 0 to a fifth of the delay, got {jitter_ms}"
            )
        self._delay_ms, self._jitter_ms, self._service = delay_ms, jitter_ms, service
        self._upstream: upstreams.Upstream | None = None

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it needs."""
        own = upstreams.permissions(self._service, self.place.namespace) if self._service else ()
        return [*super().permissions, *own]

    def plan(self) -> Sequence[Planned]:
        """Return an act per pod."""
        params: dict[str, object] = {"delay_ms": self._delay_ms, "jitter_ms": self._jitter_ms}
        if self._service is not None:
            self._upstream = upstreams.find(self.place.cluster, self._service, self.place.namespace)
            params |= {
                "addresses": list(self._upstream.addresses),
                "ports": list(self._upstream.ports),
                "protocols": ["tcp"],
            }
        return [Planned(pod=pod, kind="network_delay", params=params) for pod in self.pods]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return the median round trip."""
        timeout_s = 1.0 + 2 * self._delay_ms / 1000
        if self._upstream is None:
            told = self.ask(pod, "echo", address=pod.address, count=_PROBES, timeout_s=timeout_s)
            times_s = list(told["rtt_s"])
        else:
            times_s = connect_times_s(self, pod, self._upstream, timeout_s)
        # Lost ones are no slow ones: without most of them there is no time to tell.
        enough = len(times_s) > _PROBES // 2
        return {
            "round_trip_ms": round(median(times_s) * 1000, 3) if enough else None,
            "probes": len(times_s),
        }

    def unfit(self, before: Evidence) -> str | None:
        """Object to round trips that are as long already."""
        if before["round_trip_ms"] is None:
            return _LOST
        long = round_trip_ms(before) >= self._delay_ms
        return f"its round trips take {self._delay_ms:g} ms already" if long else None

    def missing(self, before: Evidence, during: Evidence) -> str | None:
        """Demand 80 % of the delay."""
        if during["round_trip_ms"] is None:
            return _LOST
        least_ms = round_trip_ms(before) + _LEAST_RATIO * self._delay_ms
        return f"less than {least_ms:.1f} ms" if round_trip_ms(during) < least_ms else None

    def left(self, before: Evidence, after: Evidence) -> str | None:
        """Object to more than 30 % of the delay."""
        if after["round_trip_ms"] is None:
            return _LOST
        most_ms = round_trip_ms(before) + _GONE_RATIO * self._delay_ms
        return f"more than {most_ms:.1f} ms" if round_trip_ms(after) > most_ms else None


def round_trip_ms(measured: Evidence) -> float:
    """Return the time of a measurement."""
    return float(str(measured["round_trip_ms"]))


def connect_times_s(
    fault: NetworkFault, pod: PodNetwork, upstream: upstreams.Upstream, timeout_s: float
) -> list[float]:
    """Return how long those of five connections from the pod to the upstream took that opened."""
    address, port = upstream.asked
    told = fault.ask(
        pod,
        "exchange",
        container_id=pod.target.container_id,
        address=address,
        port=port,
        count=_PROBES,
        timeout_s=timeout_s,
    )
    return [float(one["connect_s"]) for one in told["attempts"] if "connect_s" in one]
