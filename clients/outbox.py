"""The harness's side of an outbox in a pod, reached through the API server's proxy.

So it works on any cluster whose kubeconfig one has, from wherever the API server can be reached.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import EnvironmentFailedError
from core.offset import Exchange
from core.outbox import TOKEN_HEADER, unpack


class Proxy(Protocol):
    """What reaches a pod's port: `clients.kubernetes.Cluster`."""

    def proxy(
        self,
        pod: str,
        namespace: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> bytes:
        """Send one request to the pod's port and return the answer's body; ApiError on any refusal."""


@dataclass(frozen=True, kw_only=True)
class Received:
    """Records in the order they were put; `missed` counts the batches that gave way before these."""

    records: list[dict[str, Any]]
    missed: int


class OutboxRestartedError(EnvironmentFailedError):
    """The process in the pod is another one than before: what the former one still held is lost."""


class OutboxClient:
    """One outbox, identified by its pod; each batch is received once."""

    def __init__(self, proxy: Proxy, namespace: str, pod: str, port: int, token: str) -> None:
        self._proxy, self._namespace, self.pod, self._port = proxy, namespace, pod, port
        self._headers = {TOKEN_HEADER: token}
        self._boot = ""
        self._acknowledged = 0

    def receive(self, timeout_s: float = 5.0) -> Received:
        """Return what was put since the last call, none of it twice.

        Raises ApiError when the pod cannot be reached (call again: nothing is lost by that),
        OutboxRestartedError when another process answers.
        """
        body = self._ask("GET", f"batches?after={self._acknowledged}", None, timeout_s)
        try:
            contents = unpack(body)
        except ValueError as error:
            raise EnvironmentFailedError(f"pod {self.pod}: {error}") from error
        self._same(contents.boot)
        if not self._acknowledged:
            # Another client before this one may have received some: those are not missing.
            self._acknowledged = contents.acknowledged
        records: list[dict[str, Any]] = []
        missed = 0
        for number, lines in contents.batches:
            missed += number - self._acknowledged - 1
            records += lines
            self._acknowledged = number
        return Received(records=records, missed=missed)

    def exchange(self, now: Callable[[], float], timeout_s: float = 5.0) -> Exchange:
        """Ask for the time there; `now` is our clock."""
        sent_s = now()
        said = json.loads(self._ask("GET", "clock", None, timeout_s))
        received_s = now()
        self._same(said["boot"])
        return Exchange(sent_s=sent_s, their_s=float(said["clock_s"]), received_s=received_s)

    def command(self, name: str, body: Mapping[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
        """Have a command carried out; ApiError with its words when it is refused."""
        answer = self._ask("POST", name, json.dumps(body).encode(), timeout_s)
        return dict(json.loads(answer))

    def _ask(self, method: str, path: str, body: bytes | None, timeout_s: float) -> bytes:
        return self._proxy.proxy(
            self.pod,
            self._namespace,
            self._port,
            path,
            method=method,
            body=body,
            headers=self._headers,
            timeout_s=timeout_s,
        )

    def _same(self, boot: str) -> None:
        if self._boot and boot != self._boot:
            raise OutboxRestartedError(f"pod {self.pod}: its process was started again")
        self._boot = boot
