"""Reset connections once they carry data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from chaos import upstreams
from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.permissions import Permission
from chaos.pod_networks import PodNetwork
from core.errors import InconclusiveError, RefusedError

_EXPECTED_RESETS, _MOST_CONNECTIONS = 20, 400
_ALIVE = frozenset({"answered", "closed"})


class ConnectionReset(NetworkFault):
    """Resets connections by a share of the packets that carry data, `reset_ratio`.

    Those that callers make to the ports which the pods name; or, with `service`, those that the pods make to
    it. Proved by connections with a greeting, from the pod's node or from the pod: at least half of the ratio
    is reset, and none before and after.
    """

    name: ClassVar[str] = "connection_reset"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        reset_ratio: float = 1.0,
        service: str | None = None,
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        if not 0.05 <= reset_ratio <= 1:
            raise RefusedError(f"fault {self.name}: reset_ratio: expected 0.05 to 1, got {reset_ratio}")
        self._ratio, self._service = reset_ratio, service
        self._upstream: upstreams.Upstream | None = None

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it needs."""
        own = upstreams.permissions(self._service, self.place.namespace) if self._service else ()
        return [*super().permissions, *own]

    def plan(self) -> Sequence[Planned]:
        """Return an act per pod."""
        params = {"effect": "reset", "ratio": self._ratio, "protocols": ["tcp"]}
        if self._service is not None:
            self._upstream = upstreams.find(self.place.cluster, self._service, self.place.namespace)
            whom = {"addresses": list(self._upstream.addresses), "ports": list(self._upstream.ports)}
            return [
                Planned(pod=pod, kind="network_filter", params={**params, **whom, "direction": "out"})
                for pod in self.pods
            ]
        portless = [pod.target.pod for pod in self.pods if not pod.ports]
        if portless:
            raise InconclusiveError(f"pods {portless} name no TCP port, so that no reset would be seen")
        # By the pod's own ports: what answers its own calls comes in too, and is none of its callers'.
        return [
            Planned(
                pod=pod,
                kind="network_filter",
                params={**params, "own_ports": list(pod.ports), "direction": "in"},
            )
            for pod in self.pods
        ]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return what became of the connections."""
        (address, port), container_id = (pod.address, next(iter(pod.ports), 0)), ""
        if self._upstream is not None:
            (address, port), container_id = self._upstream.asked, pod.target.container_id
        told = self.ask(
            pod,
            "exchange",
            container_id=container_id,
            address=address,
            port=port,
            greeting=upstreams.greeting(port),
            count=min(math.ceil(_EXPECTED_RESETS / self._ratio), _MOST_CONNECTIONS),
            interval_s=0.005,
        )
        return dict(Counter(str(one["outcome"]) for one in told["attempts"]))

    def unfit(self, before: Evidence) -> str | None:
        """Object to connections that are not answered anyhow."""
        strange = set(before) - _ALIVE
        return "connections fail by themselves" if strange or not before else None

    def missing(self, before: Evidence, during: Evidence) -> str | None:  # noqa: ARG002
        """Demand half of the ratio."""
        counts = {outcome: int(str(number)) for outcome, number in during.items()}
        total = sum(counts.values())
        reset = counts.get("reset", 0)
        least = self._ratio / 2
        return f"less than {least:.3f} of the connections are reset" if reset < least * total else None
