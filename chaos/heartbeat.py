"""The heartbeat: a Lease that says that the harness lives, and the look that says that it does not."""

from __future__ import annotations

import time
from collections.abc import Callable

from chaos.cluster_ledger import NAMESPACE
from chaos.lease import ExclusiveLease
from clients.kubernetes import ApiError, Cluster

HEARTBEAT = "chaos-heartbeat"
# Renewed every third of it.
HEARTBEAT_S = 6.0


def heartbeat(cluster: Cluster, run_id: str, namespace: str = NAMESPACE) -> ExclusiveLease:
    """Return the harness' heartbeat, not yet acquired: renewed every 2 s, so one run at a time breaks things.

    The client has to be its own, since it is renewed by a thread.
    """
    return ExclusiveLease(cluster, namespace, HEARTBEAT, run_id, ttl_s=HEARTBEAT_S)


class Listener:
    """Whether the harness lives, by its heartbeat; `clock` is this process's, in seconds.

    It counts as gone when the Lease was seen unchanged for its whole duration, was given back, or is not
    there. Time in which the API server did not answer does not count: the harness was not heard either.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str = NAMESPACE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster, self._namespace, self._clock = cluster, namespace, clock
        self._version = ""
        self._quiet_s = 0.0
        self._heard_s: float | None = None

    def silent(self) -> str | None:
        """Return why the harness counts as gone, None while it lives. ApiError: nothing can be said."""
        asked_s = self._clock()
        try:
            found = self._cluster.get("leases", HEARTBEAT, self._namespace)
        except ApiError:
            self._heard_s = None
            raise
        version = str(found["metadata"]["resourceVersion"]) if found else "none"
        if version != self._version:
            self._version, self._quiet_s = version, 0.0
        elif self._heard_s is not None:
            # An answer that was long in coming is an API server that did not answer, too.
            self._quiet_s += asked_s - self._heard_s
        self._heard_s = self._clock()
        if found is not None and not found["spec"].get("holderIdentity"):
            return "its heartbeat was given back"
        lasts_s = float((found or {"spec": {}})["spec"].get("leaseDurationSeconds") or HEARTBEAT_S)
        return f"not heard of for {self._quiet_s:.1f} s" if self._quiet_s > lasts_s else None
