"""Freeze a container: it keeps its connections and its address and answers nobody. A hang, not a crash."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.answering import Answering
from chaos.container_act import ContainerAct
from chaos.fault import Evidence, Place
from chaos.replicas import Container, observe
from chaos.targets import Target


class ContainerFreeze(ContainerAct):
    """Stops every process of one container in each of `count` pods, or of a `share`, until it is undone.

    Proved by the processes' states as the node shows them, and by a request to its probes' port that gets no
    answer; where none answers even before, by its pod that is not Ready any more. A kubelet whose
    liveness probe gives up kills the container and starts another: then Kubernetes has ended the fault early.
    """

    name: ClassVar[str] = "container_freeze"
    kind: ClassVar[str] = "freeze_container"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        count: int = 1,
        share: float | None = None,
        container: str | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(
            place, selector=selector, count=count, share=share, container=container, duration_s=duration_s
        )
        self._answering: dict[str, Answering | None] = {}

    def params(self) -> Mapping[str, Any]:
        """Return nothing: there is one way to do it."""
        return {}

    def unfit(self, target: Target) -> str | None:
        """Object to a container that does not answer already."""
        pod = self.place.cluster.get("pods", target.pod, target.namespace)
        if pod is None or pod["metadata"]["uid"] != target.uid:
            return "it went"
        probe = Answering.of(pod, target.container)
        why = probe.silence(self.place.cluster) if probe else None
        # What does not speak HTTP may well wait for more words: then its pod's readiness has to tell.
        self._answering[target.uid] = None if why and probe and not probe.http else probe
        return why if self._answering[target.uid] else None

    def effect(self, target: Target) -> str | Evidence:
        """Look for processes that are all stopped, and for somebody who is left waiting."""
        states = self._states(target, target.container_id)
        if not states or any(state != "T" for state in states):
            return f"its processes have the states {states}, not T alone"
        probe = self._answering[target.uid]
        if probe is None:
            seen = observe(self.place.cluster, target.namespace, self._selector, frozenset())
            now = seen.by_uid(target.uid)
            if now is not None and now.ready:
                return "it has no port to be asked at, and is still Ready"
            return {"states": states, "silence": "its pod is not Ready"}
        why = probe.silence(self.place.cluster)
        return {"states": states, "silence": why} if why else "it answers"

    def gone(self, target: Target, container: Container) -> str | Evidence:
        """Look for processes that run, and answer."""
        states = self._states(target, container.container_id)
        if not states or "T" in states:
            return f"its processes have the states {states}"
        probe = self._answering.get(target.uid)
        why = probe.silence(self.place.cluster) if probe else None
        if why:
            return why
        return {"states": states, "restarted": container.container_id != target.container_id}

    def _states(self, target: Target, container_id: str) -> list[str]:
        return [process["state"] for process in self.ask(target, "processes", container_id)["processes"]]
