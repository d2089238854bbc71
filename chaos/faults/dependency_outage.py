"""Take an upstream away from its clients: MongoDB, Redis or an HTTP service, named by its Service."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any, ClassVar, Literal

from chaos import upstreams
from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.permissions import Permission
from chaos.pod_networks import PodNetwork
from core.errors import RefusedError

_ATTEMPTS = 3
_TIMEOUT_S = 1.0
_OPENS = frozenset({"answered", "closed", "silent"})
_LEAST_RATIO, _GONE_RATIO = 0.8, 0.3
_HTTP = "HTTP/"


class DependencyOutage(NetworkFault):
    """The pods find the upstream `service` (NAME or NAME.NAMESPACE) refused, hanging, slow or answering 5xx.

    It happens in the clients' network: the upstream itself and its other clients are not touched. `delay_ms`
    is for slow, `status` for 5xx, which needs an upstream that speaks HTTP in clear. Connections that stand
    are hit too. Proved by three connections from the pod to the upstream, with a greeting that it answers.
    """

    name: ClassVar[str] = "dependency_outage"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        service: str,
        mode: Literal["refused", "hanging", "slow", "5xx"] = "refused",
        delay_ms: float = 1000.0,
        status: int = 503,
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        if not 50 <= delay_ms <= 10_000:
            raise RefusedError(f"fault {self.name}: delay_ms: expected 50 to 10000, got {delay_ms}")
        if not 500 <= status <= 504:
            raise RefusedError(f"fault {self.name}: status: expected 500 to 504, got {status}")
        self._service, self._mode = service, mode
        self._delay_ms, self._status = delay_ms, status
        self._upstream: upstreams.Upstream | None = None

    @property
    def permissions(self) -> Sequence[Permission]:
        """Return what it needs."""
        return [*super().permissions, *upstreams.permissions(self._service, self.place.namespace)]

    def plan(self) -> Sequence[Planned]:
        """Return an act per pod."""
        upstream = upstreams.find(self.place.cluster, self._service, self.place.namespace)
        if self._mode == "5xx" and upstream.encrypted:
            raise RefusedError(
                f"fault {self.name}: mode: expected refused, hanging or slow for {upstream.name}, got 5xx: "
                "it speaks TLS, and nobody else can answer in its name"
            )
        self._upstream = upstream
        whom = {"addresses": list(upstream.addresses), "ports": list(upstream.ports)}
        tcp = {**whom, "protocols": ["tcp"]}
        kinds: Mapping[str, tuple[str, Mapping[str, Any]]] = {
            "refused": ("network_filter", {**tcp, "effect": "refuse", "direction": "out"}),
            "hanging": ("network_filter", {**tcp, "effect": "drop", "direction": "both"}),
            "slow": ("network_delay", {**tcp, "delay_ms": self._delay_ms}),
            "5xx": ("http_errors", {**whom, "status": self._status}),
        }
        kind, params = kinds[self._mode]
        return [Planned(pod=pod, kind=kind, params=params) for pod in self.pods]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return what became of three connections."""
        assert self._upstream is not None
        address, port = self._upstream.asked
        slow_s = 2.5 * self._delay_ms / 1000 if self._mode == "slow" else 0.0
        told = self.ask(
            pod,
            "exchange",
            container_id=pod.target.container_id,
            address=address,
            port=port,
            greeting=upstreams.greeting(port),
            count=_ATTEMPTS,
            timeout_s=_TIMEOUT_S + slow_s,
        )
        attempts: list[Mapping[str, Any]] = list(told["attempts"])
        times_s = [float(one["connect_s"]) for one in attempts if "connect_s" in one]
        return {
            "upstream": f"{self._upstream.name} ({address}:{port})",
            "outcomes": [one["outcome"] for one in attempts],
            "connect_ms": round(median(times_s) * 1000, 3) if times_s else None,
            "answers": [str(one.get("answer", "")).partition("\r\n")[0] for one in attempts],
        }

    def unfit(self, before: Evidence) -> str | None:
        """Object to an upstream that is out of reach, or that shows the fault already."""
        outcomes, answers = _list(before, "outcomes"), _list(before, "answers")
        if not set(outcomes) <= _OPENS:
            return "the upstream is out of reach"
        if self._mode == "5xx":
            if not all(answer.startswith(_HTTP) for answer in answers):
                return "the upstream does not answer in HTTP"
            if any(_status(answer) >= 500 for answer in answers):
                return "the upstream answers with errors"
        if self._mode == "slow" and _ms(before) >= self._delay_ms:
            return f"the upstream takes {self._delay_ms:g} ms already"
        return None

    def missing(self, before: Evidence, during: Evidence) -> str | None:
        """Demand that each connection meets the outage of this mode."""
        outcomes, answers = _list(during, "outcomes"), _list(during, "answers")
        if self._mode == "slow":
            least_ms = _ms(before) + _LEAST_RATIO * self._delay_ms
            slow = set(outcomes) <= _OPENS and _ms(during) >= least_ms
            return None if slow else f"expected connections that take {least_ms:.0f} ms"
        if self._mode == "5xx":
            wrong = all(answer.startswith(_HTTP) and _status(answer) == self._status for answer in answers)
            return None if wrong else f"expected answers with status {self._status}"
        expected = "refused" if self._mode == "refused" else "timeout"
        return None if set(outcomes) == {expected} else f"expected {expected}"

    def left(self, before: Evidence, after: Evidence) -> str | None:
        """Object to what the mode still shows."""
        if self._mode == "slow" and after["connect_ms"] is not None:
            most_ms = _ms(before) + _GONE_RATIO * self._delay_ms
            if _ms(after) > most_ms:
                return f"more than {most_ms:.0f} ms"
        return self.unfit(after)


def _list(measured: Evidence, key: str) -> list[str]:
    told = measured[key]
    assert isinstance(told, list)
    return told


def _ms(measured: Evidence) -> float:
    return float(str(measured["connect_ms"]))


def _status(answer: str) -> int:
    words = answer.split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
