"""Take the scheduler away: what runs goes on, and no new pod gets a node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar
from uuid import uuid4

from chaos.audit import FAULT_LABEL
from chaos.control_plane_fault import ControlPlaneFault
from chaos.fault import Evidence, Place
from chaos.permissions import Permission
from chaos.undo import Undo
from clients.kubernetes import Json
from core.errors import WaitTimeoutError
from core.waiting import wait_until

# An idle scheduler takes milliseconds.
UNSCHEDULED_S = 5.0
_IMAGE = "registry.k8s.io/pause:3.10"


class SchedulerOutage(ControlPlaneFault):
    """Pauses the scheduler until it is undone.

    Proved by a pod that gets no node within seconds; its end by one that does. The pod is deleted at once.
    """

    name: ClassVar[str] = "scheduler_outage"
    component: ClassVar[str] = "kube-scheduler"

    def __init__(self, place: Place, *, duration_s: float = 30.0) -> None:
        super().__init__(place, duration_s=duration_s)
        self.permissions: Sequence[Permission] = (  # type: ignore[misc]
            *ControlPlaneFault.permissions,
            *(
                Permission(verb=verb, resource="pods", namespace=place.namespace)
                for verb in ("get", "create", "delete")
            ),
        )
        self._pod = f"scheduler-probe-{uuid4().hex[:8]}"

    def undo(self) -> Sequence[Undo]:
        """Let it go on first; the pod that showed its absence goes after that."""
        where = {"resource": "pods", "name": self._pod, "namespace": self._place.namespace}
        return [Undo(verb="delete", args=where), *super().undo()]

    def _broken(self, component: str) -> str | Evidence:
        node = self._scheduled()
        if node is not None:
            return f"{component} put a new pod on {node}"
        return {"unscheduled_s": UNSCHEDULED_S, "pod": self._pod}

    def _works(self, component: str) -> str | Evidence:
        node = self._scheduled()
        if node is None:
            return f"{component} put no new pod on any node within {UNSCHEDULED_S:g} s"
        return {"scheduled": self._pod, "node": node}

    def _scheduled(self) -> str | None:
        """Return the node that a new pod gets, None if it gets none; the pod is gone afterwards."""
        cluster, namespace = self._place.cluster, self._place.namespace
        cluster.create("pods", self._manifest())
        try:
            return str(
                wait_until(
                    f"pod {self._pod} to get a node",
                    lambda: (cluster.get("pods", self._pod, namespace) or {"spec": {}})["spec"].get(
                        "nodeName"
                    ),
                    UNSCHEDULED_S,
                    interval_s=self._place.poll_s,
                )
            )
        except WaitTimeoutError:
            return None
        finally:
            cluster.delete("pods", self._pod, namespace, grace_s=0)

    def _manifest(self) -> Json:
        return {
            "metadata": {
                "name": self._pod,
                "namespace": self._place.namespace,
                "labels": {FAULT_LABEL: self.name},
            },
            "spec": {
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65535,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "probe",
                        "image": _IMAGE,
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        }
