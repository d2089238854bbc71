"""Pause etcd: the API server answers what it remembers, and hangs at what it has to read or write."""

from __future__ import annotations

from typing import ClassVar

from chaos.control_plane_fault import ANSWER_S, ControlPlaneFault
from chaos.fault import Evidence
from clients.kubernetes import ApiError


class EtcdPause(ControlPlaneFault):
    """Pauses etcd until it is undone.

    Proved when the API server does not come back with what it must read from etcd, but with its version.
    """

    name: ClassVar[str] = "etcd_pause"
    component: ClassVar[str] = "etcd"
    cuts_api: ClassVar[bool] = True

    def _broken(self, component: str) -> str | Evidence:
        why = self._unread()
        if why is None:
            return f"the API server reads from {component}"
        try:
            self._place.cluster.request("GET", "/version", timeout_s=ANSWER_S)
        except ApiError as error:
            return f"not {component} alone: {error}"
        return {"unread": why, "api_server": "answers its version"}

    def _works(self, component: str) -> str | Evidence:
        why = self._unread()
        return f"{component}: {why}" if why else {"read": True}

    def _unread(self) -> str | None:
        cluster, namespace = self._place.cluster, self._place.namespace
        try:
            # Without a resource version the answer has to be the latest: it is read from etcd.
            cluster.request("GET", cluster.path("namespaces", None, namespace), timeout_s=ANSWER_S)
        except ApiError as error:
            return str(error)
        return None
