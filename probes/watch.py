"""The Kubernetes watcher process: what changes in a namespace, on the run's clock.

`python -m probes.watch CONFIG.json`, with {run_dir, offset_s, kubeconfig, context, namespace}. Each
change is stamped when it is received. A stream that breaks is an event k8s.gap, and what changed
meanwhile is found by listing again. Prints `{"ready": true}` after the first lists; ends with its stdin.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clients.kubernetes import ApiError, Cluster
from core.clock import RunClock
from core.files import append_line
from probes.lifeline import watch_stdin_in_thread
from probes.nodes import NAMESPACE, Heartbeats
from probes.objects import DESCRIBED, Json, node_event

_WATCH_S = 30
_RETRY_S = 0.5
_HEARTBEATS_EVERY_S = 1.0
_FORBIDDEN = (401, 403)


class Watcher:
    """Follows one kind of object: a list, then its changes, and again after a gap."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        resource: str,
        clock: RunClock,
        emit: Callable[[Json], None],
        *,
        describe: Callable[[str, Json], Json | None] | None = None,
        optional: bool = False,
    ) -> None:
        self._cluster, self._namespace, self._resource = cluster, namespace, resource
        self._clock, self._emit = clock, emit
        self._describe = describe or DESCRIBED[resource]
        self._optional = optional
        self._known: dict[str, Json] = {}  # uid → the object as last seen
        self._version = ""
        self.listed = threading.Event()

    def follow(self, stopped: threading.Event) -> None:
        """Follow until `stopped`."""
        while not stopped.is_set():
            try:
                if not self._version:
                    self._list()
                self._stream(stopped)
            except ApiError as error:
                if stopped.is_set():
                    return
                self._version = ""
                self._emit(
                    {
                        "t": self._clock.now(),
                        "kind": "k8s.gap",
                        "resource": self._resource,
                        "reason": str(error),
                    }
                )
                if self._optional and error.status in _FORBIDDEN:
                    self.listed.set()
                    return
                stopped.wait(_RETRY_S)

    def _list(self) -> None:
        items, version = self._cluster.list_with_version(self._resource, self._namespace)
        first = not self.listed.is_set()
        present = {item["metadata"]["uid"]: item for item in items}
        for uid, item in present.items():
            known = self._known.get(uid)
            # Events that were there before the run began tell of something else.
            if (
                known is None or known["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]
            ) and not (first and self._resource == "events"):
                self._tell("ADDED" if known is None else "MODIFIED", item)
        if self._resource != "events":  # those only run out
            for uid in self._known.keys() - present.keys():
                self._tell("DELETED", self._known[uid])
        self._known, self._version = present, version
        self.listed.set()

    def _stream(self, stopped: threading.Event) -> None:
        changes = self._cluster.watch(
            self._resource, self._namespace, version=self._version, timeout_s=_WATCH_S
        )
        for change in changes:
            if stopped.is_set():
                return
            meta = change.object["metadata"]
            self._version = meta["resourceVersion"]
            if change.type == "BOOKMARK":
                continue
            if change.type == "DELETED":
                self._known.pop(meta["uid"], None)
            else:
                self._known[meta["uid"]] = change.object
            if change.type != "DELETED" or self._resource != "events":
                self._tell(change.type, change.object)

    def _tell(self, change: str, item: Json) -> None:
        described = self._describe(change, item)
        if described is not None:
            self._emit({"t": self._clock.now(), **described})


def _watchers(
    config: dict[str, Any], clock: RunClock, heartbeats: Heartbeats, emit: Callable[[Json], None]
) -> list[Watcher]:
    def cluster() -> Cluster:
        # One for each watcher: a stream occupies its connection.
        return Cluster(Path(config["kubeconfig"]), config.get("context"))

    def heard(change: str, lease: Json) -> None:
        for event in heartbeats.heard(change, lease["metadata"]["name"], clock.now()):
            emit(event)

    # Nodes belong to nobody's namespace: who may not see them watches without.
    return [
        *(Watcher(cluster(), config["namespace"], name, clock, emit) for name in DESCRIBED),
        Watcher(cluster(), "", "nodes", clock, emit, describe=node_event, optional=True),
        Watcher(cluster(), NAMESPACE, "leases", clock, emit, describe=heard, optional=True),
    ]


def _main(config: dict[str, Any]) -> None:
    stopped = threading.Event()
    watch_stdin_in_thread(stopped.set)
    events = Path(config["run_dir"]) / "events.jsonl"
    clock = RunClock(offset_s=config["offset_s"])
    failed = threading.Event()
    heartbeats = Heartbeats()

    def emit(event: Json) -> None:
        append_line(events, event)

    watchers = _watchers(config, clock, heartbeats, emit)

    def follow(watcher: Watcher) -> None:
        try:
            watcher.follow(stopped)
        except Exception:  # noqa: BLE001 - a watcher that dies silently would look like a quiet cluster
            traceback.print_exc()
            failed.set()
            stopped.set()

    for watcher in watchers:
        threading.Thread(target=follow, args=(watcher,), daemon=True).start()
    while not stopped.is_set() and not all(watcher.listed.wait(0.1) for watcher in watchers):
        pass
    if not stopped.is_set():
        print(json.dumps({"ready": True}), flush=True)  # noqa: T201 - the parent reads it
    while not stopped.wait(_HEARTBEATS_EVERY_S):
        for event in heartbeats.overdue(clock.now()):
            emit(event)
    sys.stderr.flush()
    # The streams block in reads for up to half a minute; every line is written whole, so just leave.
    os._exit(1 if failed.is_set() else 0)


if __name__ == "__main__":
    _main(json.loads(Path(sys.argv[1]).read_text()))
