"""The stop switch: a file, a label in the cluster, or Ctrl-C halts every fault and heals it at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from chaos.cluster_ledger import NAMESPACE
from clients.kubernetes import ApiError, Cluster

STOP_FILE = "stop"
STOP_LABEL = "ecochain.io/stop"
_LOOK_S = 0.5


class StopSwitch:
    """Tells whether somebody wants it to stop. Once it was pulled it stays so for this run."""

    def __init__(self, run_dir: Path, cluster: Cluster | None, namespace: str = NAMESPACE) -> None:
        self._file, self._cluster, self._namespace = run_dir / STOP_FILE, cluster, namespace
        self._reason: str | None = None
        self._looked_s = -_LOOK_S
        self._lock = threading.Lock()

    def pull(self, reason: str) -> None:
        """Stop, for example on Ctrl-C."""
        with self._lock:
            self._reason = self._reason or reason

    def pulled(self) -> str | None:
        """Return why to stop, None to go on; the cluster is asked twice a second at most."""
        with self._lock:
            if self._reason is None and self._file.exists():
                self._reason = f"the file {self._file} is there"
            if self._reason is None and time.monotonic() - self._looked_s >= _LOOK_S:
                self._looked_s = time.monotonic()
                self._reason = self._label()
            return self._reason

    def _label(self) -> str | None:
        if self._cluster is None:
            return None
        try:
            found = self._cluster.get("namespaces", self._namespace)
        except ApiError:
            return None  # an API server that is out is perhaps the fault itself
        labels = (found or {"metadata": {}})["metadata"].get("labels") or {}
        value = labels.get(STOP_LABEL)
        return f"namespace {self._namespace} has the label {STOP_LABEL}={value}" if value else None
