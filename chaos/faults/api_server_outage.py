"""Take the API server away: what runs goes on, nothing changes, and nobody can be asked."""

from __future__ import annotations

from typing import ClassVar

from chaos.control_plane_fault import ANSWER_S, ControlPlaneFault
from chaos.fault import Evidence
from clients.kubernetes import ApiError


class ApiServerOutage(ControlPlaneFault):
    """Pauses the API server until it is undone. Proved when it accepts no request within seconds, twice."""

    name: ClassVar[str] = "api_server_outage"
    component: ClassVar[str] = "kube-apiserver"
    cuts_api: ClassVar[bool] = True

    def _broken(self, component: str) -> str | Evidence:
        silent: list[str] = []
        for _ in range(2):
            why = self._silence()
            if why is None:
                return f"{component} answers"
            silent.append(why)
        return {"silence": silent}

    def _works(self, component: str) -> str | Evidence:
        why = self._silence()
        return f"{component}: {why}" if why else {"answers": True}

    def _silence(self) -> str | None:
        try:
            self._place.cluster.request("GET", "/version", timeout_s=ANSWER_S)
        except ApiError as error:
            return str(error)
        return None
