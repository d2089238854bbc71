"""Cut two sets of pods off from each other, one way or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from chaos import upstreams
from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.permissions import Permission
from chaos.pod_networks import PodNetwork, networks_of
from chaos.replicas import observe
from core.errors import InconclusiveError, RefusedError

_ECHOES, _ECHO_TIMEOUT_S, _CONNECT_TIMEOUT_S = 3, 0.5, 0.5


class NetworkPartition(NetworkFault):
    """What the chosen pods send to the pods of `peers` is lost (`out`), or what those send (`in`), or both.

    A packet is dropped where it leaves and where it arrives, so that it is hit under a Service's address too:
    a Service of the namespace counts as the peers' when all its endpoints are among them. Proved in each
    direction: no ICMP echo sent by the one end is heard by the kernel of the other, and connections to the
    peers' Services time out. A direction that is not cut must still be heard. Established TCP connections
    need both directions.
    """

    name: ClassVar[str] = "network_partition"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        peers: str,
        ways: Literal["both", "out", "in"] = "both",
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        self._peers_selector, self._ways = peers, ways
        self._peers: list[PodNetwork] = []
        self._services: Mapping[str, tuple[str, int]] = {}

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it needs."""
        listing = Permission(verb="list", resource="services", namespace=self.place.namespace)
        return [*super().permissions, listing]

    def plan(self) -> Sequence[Planned]:
        """Return the acts at both ends."""
        place = self.place
        found = observe(place.cluster, place.namespace, self._peers_selector)
        if not found.live:
            raise InconclusiveError(f"peers {self._peers_selector!r} match no pod: nothing was touched")
        own = {pod.target.uid for pod in self.pods}
        both = [pod.name for pod in found.live if pod.uid in own]
        if both:
            raise RefusedError(f"peers {self._peers_selector!r} match the chosen pods {both} themselves")
        self._peers = networks_of(place, found.live)
        uids = frozenset(pod.target.uid for pod in self._peers)
        self._services = upstreams.fully_within(place.cluster, place.namespace, uids)
        own_services = upstreams.fully_within(place.cluster, place.namespace, frozenset(own))
        theirs = [*(pod.address for pod in self._peers), *(at for at, _ in self._services.values())]
        ours = [*(pod.address for pod in self.pods), *(at for at, _ in own_services.values())]
        return [
            *self._cut(self.pods, theirs, leaving=self._ways in ("both", "out")),
            *self._cut(self._peers, ours, leaving=self._ways in ("both", "in")),
        ]

    def _cut(self, pods: Sequence[PodNetwork], others: Sequence[str], *, leaving: bool) -> list[Planned]:
        arriving = self._ways == "both" or not leaving
        direction = "both" if leaving and arriving else "out" if leaving else "in"
        params = {"effect": "drop", "direction": direction, "addresses": list(others)}
        return [Planned(pod=pod, kind="network_filter", params=params) for pod in pods]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return, per peer and direction, how many of three echoes were heard, and what Services answer."""
        told: dict[str, object] = {}
        for peer in self._peers:
            told[peer.target.pod] = {
                "out_heard": self._heard(pod, peer),
                "in_heard": self._heard(peer, pod),
            }
        for name, (address, port) in self._services.items():
            answer = self.ask(
                pod,
                "exchange",
                container_id=pod.target.container_id,
                address=address,
                port=port,
                timeout_s=_CONNECT_TIMEOUT_S,
            )
            told[f"service {name}"] = answer["attempts"][0]["outcome"]
        return told

    def _heard(self, sender: PodNetwork, hearer: PodNetwork) -> int:
        """Return how many echoes of the sender the hearer's kernel counts."""
        hearing = {"container_id": hearer.target.container_id}
        before = int(self.ask(hearer, "echoes_heard", **hearing)["heard"])
        asked: dict[str, Any] = {"address": hearer.address, "count": _ECHOES, "timeout_s": _ECHO_TIMEOUT_S}
        self.ask(sender, "echo", container_id=sender.target.container_id, **asked)
        return int(self.ask(hearer, "echoes_heard", **hearing)["heard"]) - before

    def unfit(self, before: Evidence) -> str | None:
        """Object to ends that do not hear each other anyhow."""
        for end, seen in before.items():
            if isinstance(seen, Mapping) and min(seen.values()) < _ECHOES:
                return f"{end} and it do not hear each other"
            if seen == "timeout":
                return f"{end} does not answer"
        return None

    def missing(self, before: Evidence, during: Evidence) -> str | None:  # noqa: ARG002
        """Demand silence in each direction that is cut, and hearing in the other."""
        for end, seen in during.items():
            if not isinstance(seen, Mapping):
                if seen != "timeout":
                    return f"{end} can be connected to"
                continue
            for way in ("out", "in"):
                cut = self._ways in ("both", way)
                heard = seen[f"{way}_heard"]
                if cut and heard:
                    return f"{end}: {heard} echoes {way} were heard"
                if not cut and not heard:
                    return f"{end}: nothing {way} is heard, though that way is not cut"
        return None
