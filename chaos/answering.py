"""Whether a container answers: asked through the API server at the port that its probes ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clients.kubernetes import ApiError, Cluster, Json

ANSWER_S = 2.0
_NO_ANSWER = 0
# What the API server says when it does not reach the pod.
_NOT_REACHED = frozenset({502, 503, 504})


@dataclass(frozen=True, kw_only=True)
class Answering:
    """Where a container is asked. One not known to speak HTTP ends the exchange somehow, if it runs."""

    pod: str
    namespace: str
    port: int
    path: str
    http: bool

    @classmethod
    def of(cls, pod: Json, container: str) -> Answering | None:
        """Read a container's probes and ports: HTTP rather than TCP; None where it has neither."""
        spec = next(one for one in pod["spec"]["containers"] if one["name"] == container)
        ports: list[Json] = spec.get("ports") or []
        named = {one.get("name"): one["containerPort"] for one in ports}
        probes = [spec.get(probe) or {} for probe in ("readinessProbe", "livenessProbe")]

        def made(port: Any, path: str, *, http: bool) -> Answering:
            meta = pod["metadata"]
            return cls(
                pod=meta["name"],
                namespace=meta["namespace"],
                port=int(named.get(port, port)),
                path=path.lstrip("/"),
                http=http,
            )

        for probe in probes:
            asked = probe.get("httpGet")
            if asked and asked.get("scheme", "HTTP") == "HTTP" and not asked.get("host"):
                return made(asked["port"], str(asked.get("path", "/")), http=True)
        for probe in probes:
            if probe.get("tcpSocket"):
                return made(probe["tcpSocket"]["port"], "", http=False)
        tcp = [one["containerPort"] for one in ports if one.get("protocol", "TCP") == "TCP"]
        return made(tcp[0], "", http=False) if tcp else None

    def silence(self, cluster: Cluster, timeout_s: float = ANSWER_S) -> str | None:
        """Return why it does not answer, None when it does, whatever it says.

        Raises ApiError when it is the API server that does not answer, or that refuses to ask.
        """
        try:
            cluster.proxy(self.pod, self.namespace, self.port, self.path, timeout_s=timeout_s)
        except ApiError as error:
            if error.status in (401, 403):
                raise
            if error.status != _NO_ANSWER and not (self.http and error.status in _NOT_REACHED):
                return None
            cluster.version()
            return f"no answer to GET :{self.port}/{self.path} within {timeout_s:g} s: {error}"
        return None
