"""Take a container's memory: up to a share of its limit, or until the OOM killer acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from chaos.container_act import ContainerAct
from chaos.fault import Evidence, Place
from chaos.replicas import Container
from chaos.targets import Target
from core.errors import RefusedError

# The service gives memory back now and then, and takes more: the share is meant this exactly.
_TOLERANCE_RATIO = 0.05


class MemoryPressure(ContainerAct):
    """Holds memory in one container's group in each of `count` pods or a share.

    The container must have a memory limit.

    mode share: its working set is `limit_ratio` of the limit; proved by the cgroup's usage, which was
    lower before. mode oom_kill: until the container's main process is killed; proved by the API, which shows
    that this container ended as OOMKilled and was started again.
    """

    name: ClassVar[str] = "memory_pressure"
    kind: ClassVar[str] = "memory_hog"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        count: int = 1,
        share: float | None = None,
        container: str | None = None,
        mode: Literal["share", "oom_kill"] = "share",
        limit_ratio: float = 0.9,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(
            place, selector=selector, count=count, share=share, container=container, duration_s=duration_s
        )
        if mode not in ("share", "oom_kill"):
            raise RefusedError(f"fault {self.name}: mode: expected share or oom_kill, got {mode!r}")
        if not 0 < limit_ratio < 1:
            raise RefusedError(f"fault {self.name}: limit_ratio: expected 0 < ratio < 1, got {limit_ratio}")
        self._oom_kill, self._ratio = mode == "oom_kill", limit_ratio
        self._used: dict[str, float] = {}

    def params(self) -> Mapping[str, Any]:
        """Return the act's mode and, where it is one, the share."""
        return {"mode": "oom_kill"} if self._oom_kill else {"mode": "share", "share": self._ratio}

    def unfit(self, target: Target) -> str | None:
        """Object to a container that uses that much already."""
        used = self._used_ratio(target, target.container_id)
        self._used[target.uid] = used
        if not self._oom_kill and used >= self._ratio - _TOLERANCE_RATIO:
            return f"it uses {used:.0%} of its limit already"
        return None

    def effect(self, target: Target) -> str | Evidence:
        """See the OOM kill in the API, or the pressure in the cgroup."""
        if self._oom_kill:
            return self._killed(target)
        used = self._used_ratio(target, target.container_id)
        if used < self._ratio - _TOLERANCE_RATIO:
            return f"it uses {used:.0%} of its limit, expected {self._ratio:.0%}"
        return {"before_ratio": self._used[target.uid], "during_ratio": used}

    def gone(self, target: Target, container: Container) -> str | Evidence:
        """See less in use again: in the container as it is now, whether it was killed or never was."""
        used = self._used_ratio(target, container.container_id)
        bound = max(self._used[target.uid], (self._used[target.uid] + self._ratio) / 2)
        if used > bound:
            return f"it still uses {used:.0%} of its limit, {self._used[target.uid]:.0%} before"
        return {"after_ratio": used, "restarts": container.restarts}

    def _killed(self, target: Target) -> str | Evidence:
        now = self.container_of(target)
        if now is None:
            return "its pod has gone"
        if now.restarts <= target.restarts:
            return f"{now.restarts} restarts, {target.restarts} before"
        if now.ended_id != target.container_id:
            return f"its record is of the end of {now.ended_id or 'nothing'}, not of {target.container_id}"
        if now.ended_reason != "OOMKilled":
            return f"it ended with {now.ended_code} ({now.ended_reason}), not by the OOM killer"
        return {
            "restarts": [target.restarts, now.restarts],
            "reason": now.ended_reason,
            "exit_code": now.ended_code,
            "killed": target.container_id,
            "running": now.container_id,
        }

    def _used_ratio(self, target: Target, container_id: str) -> float:
        memory = self.ask(target, "usage", container_id)["memory"]
        limit = memory["limit_bytes"]
        if not limit:
            raise RefusedError(
                f"pod {target.pod}: container {target.container} has no memory limit, so nothing to be a "
                "share of"
            )
        return round(int(memory["working_set_bytes"]) / int(limit), 4)
