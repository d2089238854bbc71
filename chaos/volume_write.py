"""A fault whose effect is that a container cannot write on one of its volumes, by the error that it gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from chaos.container_act import ContainerAct
from chaos.fault import Evidence, Place
from chaos.replicas import Container
from chaos.targets import Target


class VolumeWriteFault(ContainerAct):
    """Makes writes at `path` fail with `error`, in one container of each of `count` pods.

    Proved by a small write through the container's own mount, which succeeded before.
    """

    error: ClassVar[str]

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        path: str,
        count: int = 1,
        share: float | None = None,
        container: str | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(
            place, selector=selector, count=count, share=share, container=container, duration_s=duration_s
        )
        self._path = path

    def params(self) -> Mapping[str, Any]:
        """Return where."""
        return {"path": self._path}

    def unfit(self, target: Target) -> str | None:
        """Object to a volume that cannot be written to already."""
        told = self.ask(target, "write", target.container_id, path=self._path)
        return f"a write at {self._path} fails with {told['error']} already" if told["error"] else None

    def effect(self, target: Target) -> str | Evidence:
        """Write, and see it fail as it should."""
        told = self.ask(target, "write", target.container_id, path=self._path)
        if told["error"] != self.error:
            return f"a write at {self._path} gives {told['error'] or 'no error'}, expected {self.error}"
        return {"path": self._path, "error": told["error"], "free_bytes": told["free_bytes"]}

    def gone(self, target: Target, container: Container) -> str | Evidence:
        """Write, and see it succeed."""
        told = self.ask(target, "write", container.container_id, path=self._path)
        if told["error"]:
            return f"a write at {self._path} still fails with {told['error']}"
        return {"path": self._path, "error": "", "free_bytes": told["free_bytes"]}
