"""Take a container's processor time: busy processes within its own limit, so that it is throttled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.container_act import ContainerAct
from chaos.fault import Evidence, Place
from chaos.replicas import Container
from chaos.targets import Target
from core.waiting import wait_until

# Between two readings: several periods of the quota (100 ms) each.
_SPAN_S = 1.0
_READINGS_TIMEOUT_S = 10.0
_AT_LIMIT_RATIO, _HOGS_RATIO, _IDLE_RATIO = 0.8, 0.5, 0.1


class CpuPressure(ContainerAct):
    """Runs `processes` busy processes in one container, with a CPU limit, of each of `count` pods or a share.

    Proved by the kernel's own counts over a second: the processes take at least half of what the container
    gets, and more it does not get: it uses at least 80 % of its limit, or the node is less than 10 % idle.
    With p processes a service that is busy too gets about 1/(p+1) of its limit.
    """

    name: ClassVar[str] = "cpu_pressure"
    kind: ClassVar[str] = "cpu_hog"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        count: int = 1,
        share: float | None = None,
        container: str | None = None,
        processes: int = 4,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(
            place, selector=selector, count=count, share=share, container=container, duration_s=duration_s
        )
        self._processes = processes
        self._calm: dict[str, Mapping[str, float]] = {}
        self._last: dict[str, Mapping[str, Any]] = {}
        # What the last whole span lacked: until there is another, that is what is missing.
        self._lacking: dict[tuple[str, str], str] = {}

    def params(self) -> Mapping[str, Any]:
        """Return how many processes."""
        return {"count": self._processes}

    def unfit(self, target: Target) -> str | None:
        """Object to a container that has such processes already."""
        span = wait_until(
            f"two readings of pod {target.pod} that are {_SPAN_S:g} s apart",
            lambda: self._span(target, target.container_id),
            _READINGS_TIMEOUT_S,
            interval_s=self.place.poll_s,
        )
        self._calm[target.uid] = span
        return f"an act presses it already: {span}" if span["hogs"] else None

    def effect(self, target: Target) -> str | Evidence:
        """See what they take, and that there is no more to be had."""
        span = self._span(target, target.container_id)
        if span is None:
            return self._too_soon(target, "landing")
        lacking = ""
        if span["hogs_cores"] < max(_HOGS_RATIO * span["cores"], 0.001):
            lacking = f"{span}, expected {_HOGS_RATIO:.0%} of its processor time to be taken"
        elif span["cores"] < _AT_LIMIT_RATIO * span["limit_cores"] and span["idle_ratio"] > _IDLE_RATIO:
            lacking = f"{span}, expected {_AT_LIMIT_RATIO:.0%} of its limit, or a node that has no more"
        self._lacking[target.uid, "landing"] = lacking
        return lacking or {"before": self._calm[target.uid], "during": span}

    def gone(self, target: Target, container: Container) -> str | Evidence:
        """See none of them in its groups any more."""
        span = self._span(target, container.container_id)
        if span is None:
            return self._too_soon(target, "ending")
        lacking = f"still under pressure: {span}" if span["hogs"] else ""
        self._lacking[target.uid, "ending"] = lacking
        return lacking or {"after": span}

    def _too_soon(self, target: Target, phase: str) -> str:
        return self._lacking.get((target.uid, phase)) or f"less than {_SPAN_S:g} s between two readings"

    def _span(self, target: Target, container_id: str) -> Mapping[str, float] | None:
        """Return the rates between two readings that are long enough apart; None until they are."""
        now = {**self.ask(target, "usage", container_id), "container_id": container_id}
        then = self._last.get(target.uid)
        # The first reading of a container, or after the processes began or ended, is only a start.
        if (
            then is None
            or then["container_id"] != container_id
            or then["hogs"]["count"] != now["hogs"]["count"]
        ):
            self._last[target.uid] = now
            return None
        span_s = now["at_s"] - then["at_s"]
        if span_s < _SPAN_S:
            return None
        self._last[target.uid] = now
        before, after = then["cpu"], now["cpu"]
        periods = max(1, after["periods"] - before["periods"])
        rates = {
            "span_s": span_s,
            "cores": (after["usage_s"] - before["usage_s"]) / span_s,
            "limit_cores": after["limit_cores"] or 0.0,
            "hogs_cores": (now["hogs"]["used_s"] - then["hogs"]["used_s"]) / span_s,
            "throttled_ratio": (after["throttled"] - before["throttled"]) / periods,
            "idle_ratio": (now["node"]["idle_s"] - then["node"]["idle_s"]) / span_s / now["node"]["cores"],
        }
        return {"hogs": now["hogs"]["count"], **{name: round(rate, 3) for name, rate in rates.items()}}
