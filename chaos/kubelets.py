"""What kubelets say, asked through the API server: whether they answer, and whether their runtime does."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos import nodes
from clients.kubernetes import ApiError, Cluster

ALIVE = "healthz/ping"
# Answered by asking the container runtime over its own socket.
RUNTIME = "runningpods/"
ANSWER_S = 2.0
# A kubelet renews its lease four times within the 40 s that it lasts.
RENEWAL_S = 10.0
_NOT_REACHED = frozenset({0, 502, 503, 504})


def silence(cluster: Cluster, node: str, path: str = ALIVE, timeout_s: float = ANSWER_S) -> str | None:
    """Return why a kubelet does not answer, None when it does.

    Raises ApiError when it is the API server that does not answer, or that refuses to ask.
    """
    try:
        cluster.ask_node(node, path, timeout_s=timeout_s)
    except ApiError as error:
        if error.status not in _NOT_REACHED:
            raise
        cluster.version()
        return f"its kubelet does not answer {path} within {timeout_s:g} s: {error}"
    return None


class Heartbeats:
    """The leases that kubelets renew: how long one was seen unchanged, by `clock` (monotonic seconds)."""

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self._cluster, self._clock = cluster, clock
        self._seen: dict[str, tuple[str, float]] = {}

    def quiet_s(self, node: str) -> float:
        """Return for how many seconds the lease has been seen unchanged."""
        renewed, now_s = nodes.heartbeat(self._cluster, node), self._clock()
        known, since_s = self._seen.get(node, ("", now_s))
        if renewed != known:
            since_s = now_s
        self._seen[node] = (renewed, since_s)
        return now_s - since_s

    def renewed(self, node: str) -> str:
        """Return the stamp that was last seen."""
        return self._seen.get(node, ("", 0.0))[0]
