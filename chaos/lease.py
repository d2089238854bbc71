"""The exclusive lease: a disruptive scenario holds the environment alone.

A coordination.k8s.io Lease, changed only by compare-and-swap on its resourceVersion. Another holder's
lease counts as expired when it was seen unchanged for its whole duration on this process' monotonic
clock, as client-go's leader election does, so that clocks of different machines need not agree.
"""

from __future__ import annotations

import math
import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self
from uuid import uuid4

from clients.kubernetes import ApiError, Cluster, Json
from core.errors import EnvironmentFailedError
from core.waiting import wait_until


class ExclusiveLease:
    """A lease `namespace/name`, held with a heartbeat every third of `ttl_s` (at least 1 s)."""

    def __init__(self, cluster: Cluster, namespace: str, name: str, holder: str, ttl_s: float = 15.0) -> None:
        self._cluster, self._namespace, self._name = cluster, namespace, name
        # Two threads or a restarted run of the same name are different holders.
        self.holder = f"{holder}/{uuid4().hex[:8]}"
        self._duration_s = max(1, math.ceil(ttl_s))
        self._lock = threading.Lock()
        self._held: Json | None = None
        self._renewed = 0.0
        self._lost: str | None = None
        self._stop = threading.Event()
        self._heartbeat: threading.Thread | None = None
        self._seen: tuple[str, float] = ("", 0.0)
        self._other = "nobody seen yet"

    def acquire(self, timeout_s: float) -> Self:
        """Take the lease, waiting while another holds it; WaitTimeoutError names that holder."""
        if self._heartbeat:
            raise EnvironmentFailedError(f"{self._what()} is already acquired by {self.holder}")
        wait_until(
            f"{self._what()} to become free for {self.holder}",
            self._try,
            timeout_s,
            interval_s=min(0.2, self._duration_s / 10),
            last=lambda: self._other,
        )
        self._lost = None
        self._stop.clear()
        self._heartbeat = threading.Thread(target=self._beat, name=f"lease-{self._name}", daemon=True)
        self._heartbeat.start()
        return self

    def check(self) -> None:
        """Raise EnvironmentFailedError unless the lease is surely still held."""
        with self._lock:
            if self._held is None:
                raise EnvironmentFailedError(f"{self._what()} is not held: {self._lost or 'never acquired'}")
            silent_s = time.monotonic() - self._renewed
            if silent_s > self._duration_s:
                raise EnvironmentFailedError(
                    f"{self._what()} was not renewed for {silent_s:.1f} s of its {self._duration_s} s: "
                    "another run may hold it now"
                )

    def release(self) -> None:
        """Give the lease back; harmless when it is not held or was lost."""
        self._stop.set()
        if self._heartbeat:
            self._heartbeat.join()
            self._heartbeat = None
        with self._lock:
            held, self._held = self._held, None
        if held is None:
            return
        held["spec"]["holderIdentity"] = ""
        try:
            self._cluster.replace("leases", held)
        except ApiError as error:
            # A conflict or a missing lease means that it is no longer ours to give back.
            if error.status not in {404, 409}:
                raise

    def __enter__(self) -> Self:
        self.check()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _what(self) -> str:
        return f"the exclusive lease {self._namespace}/{self._name}"

    def _try(self) -> bool:
        asked = time.monotonic()
        found = self._cluster.get("leases", self._name, self._namespace)
        try:
            if found is None:
                taken = self._cluster.create("leases", self._manifest(transitions=0))
            elif self._takeable(found):
                transitions = int(found["spec"].get("leaseTransitions") or 0) + 1
                manifest = self._manifest(transitions=transitions)
                manifest["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
                taken = self._cluster.replace("leases", manifest)
            else:
                return False
        except ApiError as error:
            if error.status in {404, 409}:
                self._other = "another holder was faster"
                return False
            raise
        with self._lock:
            self._held, self._renewed = taken, asked
        return True

    def _takeable(self, found: Json) -> bool:
        holder = found["spec"].get("holderIdentity") or ""
        version, moment = found["metadata"]["resourceVersion"], time.monotonic()
        if not holder or holder == self.holder:
            return True
        if self._seen[0] != version:
            self._seen = (version, moment)
        unchanged_s = moment - self._seen[1]
        self._other = f"held by {holder}, unchanged for {unchanged_s:.1f} s"
        return unchanged_s > float(found["spec"].get("leaseDurationSeconds") or self._duration_s)

    def _manifest(self, *, transitions: int) -> Json:
        stamp = _stamp()
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self.holder,
                "leaseDurationSeconds": self._duration_s,
                "acquireTime": stamp,
                "renewTime": stamp,
                "leaseTransitions": transitions,
            },
        }

    def _beat(self) -> None:
        while not self._stop.wait(self._duration_s / 3):
            try:
                self._renew()
            except ApiError as error:
                # An API that does not answer is not yet a lost lease: check() knows when it is.
                with self._lock:
                    self._lost = str(error)
            with self._lock:
                if self._held is None:
                    return

    def _renew(self) -> None:
        with self._lock:
            held = self._held
        if held is None:
            return
        asked = time.monotonic()
        held["spec"]["renewTime"] = _stamp()
        try:
            renewed: Json | None = self._cluster.replace("leases", held)
        except ApiError as error:
            if error.status not in {404, 409}:
                raise
            # Someone wrote it: a successor, or we ourselves in a call whose answer was lost.
            found = self._cluster.get("leases", self._name, self._namespace)
            ours = found is not None and found["spec"].get("holderIdentity") == self.holder
            renewed = found if ours else None
            with self._lock:
                if not ours:
                    self._lost = (
                        "deleted" if found is None else f"taken by {found['spec'].get('holderIdentity')}"
                    )
                self._held = renewed
            return
        with self._lock:
            self._held, self._renewed = renewed, asked


def _stamp() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
