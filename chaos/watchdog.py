"""The watchdog: a pod that undoes what is open when nobody has been heard of the harness for a while.

`python -m chaos.watchdog SETTINGS.json`, with {namespace, port}: it answers 200 on that port while its
looks succeed. Several of them do no harm: undoing twice is undoing once. It needs the API server; what runs
on nodes ends by their own agents' clocks as well.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from chaos.agents_site import attach
from chaos.cluster_ledger import ClusterLedger, OpenFault
from chaos.healer import Healer
from chaos.heartbeat import Listener
from clients.kubernetes import Cluster
from core.errors import VerifyError

_LOOK_S = 0.5
_AT_ONCE = 8
_END_TIMEOUT_S = 5.0
# A look may take as long as undoing does, while a node does not answer.
_LOOKED_S = 20.0
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The kubelet renews the service account's token; a client reads it once.
_CLIENT_LASTS_S = 1200.0


class Watchdog:
    """Looks, and heals. `name` is what its healing is signed with; `healer` is used by several threads."""

    def __init__(self, listener: Listener, ledger: ClusterLedger, healer: Healer, name: str) -> None:
        self._listener, self._ledger, self._healer, self._name = listener, ledger, healer, name
        self._told: dict[str, str] = {}

    def look(self) -> list[str]:
        """Undo all that is open if the harness is silent; returns the ids of what was undone.

        What cannot be undone stays open, and is tried again at the next look.
        """
        reason = self._listener.silent()
        if reason is None:
            return []
        entries = self._ledger.outstanding()
        if not entries:
            return []
        # Side by side: a node that does not answer keeps no other fault from being undone.
        with ThreadPoolExecutor(min(len(entries), _AT_ONCE), thread_name_prefix="heal") as pool:
            failures = list(pool.map(self._heal, entries))
        for entry, failure in zip(entries, failures, strict=True):
            told = failure or f"undone, since the harness was {reason}"
            if self._told.get(entry.fault_id) != told:
                self._told[entry.fault_id] = told
                _say(f"{entry.fault_id}: {told}")
        return [entry.fault_id for entry, failure in zip(entries, failures, strict=True) if not failure]

    def _heal(self, entry: OpenFault) -> str | None:
        try:
            self._healer.heal(entry.undo)
            self._ledger.healed(entry.fault_id, self._name)
        except VerifyError as error:
            return str(error)
        return None


def watch(
    watchdog: Watchdog, ended: threading.Event, *, watching: Callable[[], None], lasts_s: float
) -> None:
    """Look twice a second until `ended`, or for `lasts_s`; `watching` is called when a look has succeeded.

    An API server that does not answer is asked again.
    """
    looks = max(1, int(lasts_s / _LOOK_S))
    for _ in range(looks):
        try:
            watchdog.look()
            watching()
        except VerifyError as error:
            _say(str(error))
        if ended.wait(_LOOK_S):
            return


def in_cluster(folder: Path, account: Path = _ACCOUNT) -> Cluster:
    """Return the cluster that this pod is in, by its service account; the kubeconfig is put into `folder`."""
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    server = f"https://{f'[{host}]' if ':' in host else host}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    told = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
        "clusters": [
            {"name": "here", "cluster": {"server": server, "certificate-authority": str(account / "ca.crt")}}
        ],
        "users": [{"name": "here", "user": {"token": (account / "token").read_text()}}],
    }
    path = folder / "kubeconfig"
    path.touch(0o600)
    path.write_text(json.dumps(told))
    return Cluster(path)


class Health:
    """Tells kubelet whether the watchdog watches: 200 on its port for a while after each look, else 503."""

    def __init__(self, port: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._looked_s = clock, -math.inf
        health = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if health.good() else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing of each request."""

        self._server = ThreadingHTTPServer(("", port), Answer)
        self.port = self._server.server_port

    def looked(self) -> None:
        """Note that a look has succeeded."""
        self._looked_s = self._clock()

    def good(self) -> bool:
        """Tell whether a look has succeeded of late."""
        return self._clock() - self._looked_s < _LOOKED_S

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def serve(namespace: str, port: int) -> None:
    """Watch until SIGTERM or SIGINT."""
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: ended.set())
    name = f"watchdog {os.environ.get('HOSTNAME', '')}".strip()
    with tempfile.TemporaryDirectory() as folder, Health(port) as health:
        while not ended.is_set():
            try:
                watchdog = _made(Path(folder), namespace, name)
            except VerifyError as error:
                _say(str(error))
                ended.wait(_LOOK_S)
                continue
            watch(watchdog, ended, watching=health.looked, lasts_s=_CLIENT_LASTS_S)


def _made(folder: Path, namespace: str, name: str) -> Watchdog:
    cluster = in_cluster(folder)
    # A node that does not answer is left to its own agent's clock; the others must not wait for it.
    agents = attach(cluster, namespace, end_timeout_s=_END_TIMEOUT_S)
    healer = Healer(cluster, agents)
    return Watchdog(Listener(cluster, namespace), ClusterLedger(cluster, namespace), healer, name)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    settings = json.loads(Path(sys.argv[1]).read_text())
    serve(settings["namespace"], int(settings["port"]))
