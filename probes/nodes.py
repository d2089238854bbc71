"""The heartbeats of nodes: a lost one says nothing, and Kubernetes says so only after most of a minute.

Every kubelet renews a Lease each ten seconds. One that is late, while those of others arrive, is told as
`k8s.node` of type SILENT, and of type HEARD when it comes at last.
"""

from __future__ import annotations

import threading
from typing import Any

NAMESPACE = "kube-node-lease"
# One and a half of the kubelet's usual intervals.
SILENT_AFTER_S = 15.0


class Heartbeats:
    """When each node was heard last. Fed by one thread, asked by another."""

    def __init__(self) -> None:
        self._heard_s: dict[str, float] = {}
        self._silent: set[str] = set()
        self._lock = threading.Lock()

    def heard(self, change: str, node: str, now_s: float) -> list[dict[str, Any]]:
        """Take a change of a node's Lease; return the event that it is worth, if any."""
        with self._lock:
            if change == "DELETED":
                self._heard_s.pop(node, None)
                self._silent.discard(node)
                return []
            since_s = self._heard_s.get(node, now_s)
            self._heard_s[node] = now_s
            if node not in self._silent:
                return []
            self._silent.discard(node)
            return [{"t": now_s, **_event("HEARD", node, since_s), "silent_s": now_s - since_s}]

    def overdue(self, now_s: float) -> list[dict[str, Any]]:
        """Return an event for each node that has newly fallen silent.

        If all are silent it is the API server that is not heard, or this machine that slept.
        """
        with self._lock:
            if now_s - max(self._heard_s.values(), default=now_s) > SILENT_AFTER_S:
                return []
            silent = {name for name, heard_s in self._heard_s.items() if now_s - heard_s > SILENT_AFTER_S}
            newly = sorted(silent - self._silent)
            self._silent |= silent
            return [{"t": now_s, **_event("SILENT", name, self._heard_s[name])} for name in newly]


def _event(change: str, node: str, since_s: float) -> dict[str, Any]:
    return {"kind": "k8s.node", "type": change, "name": node, "silent_since_s": since_s}
