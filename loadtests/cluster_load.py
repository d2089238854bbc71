"""The handle of a load that is sent from inside a cluster: a Helm release of master and workers, all pods."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from clients.helm import Helm
from clients.kubernetes import ApiError, Cluster
from clients.outbox import OutboxClient
from core.clock import RunClock
from core.errors import EnvironmentFailedError, InconclusiveError, MisuseError, VerifyError, WaitTimeoutError
from core.files import append_line
from core.offset import ClockOffset
from core.places import checkout
from core.waiting import wait_until
from loadtests.pod import MASTER_PORT, NOTE, OUTBOX_PORT
from loadtests.processes import LoadProcess
from loadtests.runner import LoadResult
from loadtests.settings import Assignment, LoadSettings

CHART = Path("helm/charts/loadtest")
_LABEL = "app.kubernetes.io/name=loadtest"
_INSTALL_S, _READY_S, _REMOVE_S, _WRITER_S = 60.0, 120.0, 60.0, 30.0
_POLL_S, _EXCHANGES, _SILENCE_S = 0.5, 5, 20.0


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Where the pods go: `image` is one that the nodes have or can pull, `labels` go onto every object."""

    cluster: Cluster
    helm: Helm
    namespace: str
    image: str
    labels: Mapping[str, str]


class ClusterLoad:
    """One load from pods against `host_url`, as the pods see it; its record goes to the run's folder.

    The master's events and samples are fetched from its outbox through the API server and put on the run's
    clock. A release that an earlier, killed harness left in the namespace is removed first; the pods of one
    end by themselves when their harness is silent.
    """

    def __init__(
        self,
        run_dir: Path,
        clock: RunClock,
        host_url: str,
        settings: LoadSettings,
        ground: Ground,
        *,
        allowed_hosts: Collection[str],
        progress: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self.load_id = f"load-{uuid4().hex[:8]}"
        self.settings, self._ground, self._progress = settings, ground, progress
        self._run_dir, self._clock = run_dir, clock
        self._assignment = Assignment(
            load_id=self.load_id,
            host_url=host_url,
            allowed_hosts=tuple(allowed_hosts),
            settings=settings,
            role="master",
            # Workers look for their master by this name; all pods are given time to start.
            master_host=f"{self.load_id}-master",
            master_port=MASTER_PORT,
            connect_timeout_s=_READY_S,
        )
        self._token = secrets.token_urlsafe(24)
        self._outbox = OutboxClient(
            ground.cluster, ground.namespace, f"{self.load_id}-master", OUTBOX_PORT, self._token
        )
        self._offset = ClockOffset()
        self._watcher: threading.Thread | None = None
        self._stopping = threading.Event()
        self._flowing_s: float | None = None
        self._counts = (0, 0)
        self._result: LoadResult | None = None
        self._removed = False

    @property
    def result(self) -> LoadResult | None:
        """Return how the load ended, None while it runs."""
        return self._result

    @property
    def counts(self) -> tuple[int, int]:
        """Return the requests and failures so far."""
        return self._counts

    @property
    def pods(self) -> Sequence[str]:
        """Return the names of the workers' pods."""
        return [f"{self.load_id}-worker-{index}" for index in range(self.settings.workers)]

    def start(self) -> Self:
        """Install the release and fetch what it records; the release is in the ledger first."""
        if self._watcher:
            raise EnvironmentFailedError(f"{self.load_id} was already started")
        ground = self._ground
        self._remove_left_overs()
        self._record("open", kind="release", what="load", namespace=ground.namespace, release=self.load_id)
        (self._run_dir / "logs").mkdir(parents=True, exist_ok=True)
        try:
            ground.helm.upgrade_install(
                self.load_id,
                checkout() / CHART,
                namespace=ground.namespace,
                timeout_s=_INSTALL_S,
                values=self._values(),
                rollback_on_failure=False,
                wait=False,
            )
            wait_until(
                f"the master of {self.load_id} to answer",
                self._answering,
                _READY_S,
                interval_s=0.3,
                last=self._pods,
            )
        except BaseException:
            self._remove()
            raise
        self._progress(f"{self.load_id}: {self.settings.workers} workers in namespace {ground.namespace}")
        self._watcher = threading.Thread(target=self._watch, name=self.load_id, daemon=True)
        self._watcher.start()
        return self

    def wait_flowing(self, timeout_s: float) -> float:
        """Return when the first second with requests ended (run's clock), as `Load.wait_flowing` does."""

        def probe() -> float | None:
            if self._flowing_s is None and self._result:
                raise InconclusiveError(f"{self.load_id} ended before it sent anything: {self._result.error}")
            return self._flowing_s

        return wait_until(f"the first requests of {self.load_id}", probe, timeout_s)

    def stop(self, *, grace_s: float | None = None) -> LoadResult:
        """Stop the load, remove the release, and return how it ended; idempotent."""
        if self._watcher is None:
            self._remove()
            raise EnvironmentFailedError(f"{self.load_id} was never started")
        if self._result is None:
            with contextlib.suppress(VerifyError):
                self._outbox.command("stop", {})
        self._watcher.join(2 * self.settings.request_timeout_s + 30 if grace_s is None else grace_s)
        self._stopping.set()
        self._watcher.join()
        self._remove()
        if self._result is None:
            raise EnvironmentFailedError(f"{self.load_id} ended without a result")
        return self._result

    def __enter__(self) -> Self:
        return self if self._watcher else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _values(self) -> dict[str, Any]:
        repository, _, digest = self._ground.image.partition("@")
        if not digest:
            raise MisuseError(f"load image: expected one pinned by digest, got {self._ground.image!r}")
        plan_s = self.settings.plan.duration_s
        return {
            "image": {"repository": repository, "digest": digest},
            "workers": self.settings.workers,
            "assignment": self._assignment.as_text(),
            "token": self._token,
            "labels": dict(self._ground.labels),
            # Should all else fail, the kubelet ends the pods.
            "deadlineSeconds": int(plan_s + 2 * _READY_S + 120),
        }

    def _answering(self) -> bool:
        failed = [pod for pod in self._pods() if pod["phase"] == "Failed"]
        if failed:
            logs = self._ground.cluster.logs(failed[0]["name"], self._ground.namespace, tail=3)
            raise EnvironmentFailedError(f"pod {failed[0]['name']} failed: {logs.strip()}")
        try:
            for _ in range(_EXCHANGES):
                self._offset.take(self._outbox.exchange(self._clock.now))
        except ApiError:
            return False
        self._offset.settle()
        return True

    def _pods(self) -> list[dict[str, Any]]:
        found = self._ground.cluster.list(
            "pods", self._ground.namespace, labels=f"app.kubernetes.io/instance={self.load_id}"
        )
        return [{"name": pod["metadata"]["name"], "phase": pod["status"].get("phase")} for pod in found]

    def _watch(self) -> None:
        """Fetch until the master has said its last word, and conclude."""
        reading, writing = os.pipe()
        writer = LoadProcess(
            self._run_dir,
            self._clock,
            "writer of load samples",
            f"{self.load_id}/writer",
            ["loadtests.writer", str(self._run_dir), self.load_id],
            log=self._run_dir / "logs" / f"{self.load_id}-writer.log",
            stdin=reading,
        )
        os.close(reading)
        said: dict[str, Any] | None = None
        error = "stopped without a last word"
        heard = time.monotonic()
        append_line(
            self._run_dir / "events.jsonl",
            {
                "t": self._clock.now(),
                "kind": "load.clock",
                "load_id": self.load_id,
                "offset_s": self._offset.offset_s,
                "bound_s": self._offset.bound_s(self._clock.now()),
            },
        )
        while said is None and not self._stopping.is_set():
            try:
                received = self._outbox.receive()
                heard = time.monotonic()
                if received.missed:
                    error = f"{received.missed} batches of the load's record were lost"
                    break
                said = self._take(received.records, writing)
                if said is None:
                    self._offset.take(self._outbox.exchange(self._clock.now))
            except ApiError as failure:
                if time.monotonic() - heard > _SILENCE_S:
                    error = f"the master of the load is silent: {failure}"
                    break
            except (VerifyError, OSError, ValueError) as failure:
                error = str(failure)
                break
            if said is None:
                self._stopping.wait(_POLL_S)
        if said is not None:
            # The last batches are acknowledged, so that the master may end.
            with contextlib.suppress(VerifyError):
                self._outbox.receive()
        os.close(writing)
        status = writer.conclude(_WRITER_S)
        self._conclude(said or self._obituary(error), status, writer)

    def _take(self, records: Sequence[Mapping[str, Any]], writing: int) -> dict[str, Any] | None:
        said: dict[str, Any] | None = None
        lines: list[str] = []
        for record in records:
            if "s" in record:
                row = list(record["s"])
                # Scheduled, sent and finished; a request that was never sent has no moment of sending.
                row[1:4] = [self._offset.ours(moment) if moment else 0.0 for moment in row[1:4]]
                lines.append(json.dumps({"s": row}) + "\n")
            elif record.get("kind") == NOTE:
                note = record["note"]
                if "flowing" in note:
                    self._counts = (note["requests"], note["failures"])
                    self._flowing_s = self._flowing_s or self._offset.ours(note["flowing"])
                said = note.get("ended", said)
            else:
                event = dict(record)
                for name in ("t", "start_s", "end_s"):
                    if event.get(name):
                        event[name] = self._offset.ours(event[name])
                append_line(self._run_dir / "events.jsonl", {**event, "vantage": "cluster"})
        view = memoryview("".join(lines).encode())
        while view:
            view = view[os.write(writing, view) :]
        return said

    def _conclude(self, said: Mapping[str, Any], writer_status: int, writer: LoadProcess) -> None:
        error = said.get("error")
        if writer_status:
            error = error or f"the writer of samples ended with {writer_status}: {writer.last_words()}"
        self._result = LoadResult(
            exit_code=said["exit_code"],
            requests=said["requests"],
            failures=said["failures"],
            workers_lost=said["workers_lost"],
            reason=said["reason"],
            error=error,
        )

    def _obituary(self, error: str) -> dict[str, Any]:
        fields = {
            "exit_code": 1,
            "requests": self._counts[0],
            "failures": self._counts[1],
            "workers_lost": self.settings.workers,
            "reason": "died",
            "error": error,
        }
        record = {"t": self._clock.now(), "kind": "load.ended", "load_id": self.load_id, **fields}
        append_line(self._run_dir / "events.jsonl", record)
        return fields

    def _remove_left_overs(self) -> None:
        """Uninstall the releases of loads in this namespace whose master no longer runs."""
        cluster, namespace = self._ground.cluster, self._ground.namespace
        there = cluster.list("configmaps", namespace, labels=_LABEL)
        running = {
            pod["metadata"]["labels"]["app.kubernetes.io/instance"]
            for pod in cluster.list("pods", namespace, labels=f"{_LABEL},app.kubernetes.io/component=master")
            if pod["status"].get("phase") in {"Pending", "Running"}
        }
        for release in {one["metadata"]["labels"]["app.kubernetes.io/instance"] for one in there} - running:
            self._progress(f"{release}: removing what an earlier load left")
            self._ground.helm.uninstall(release, namespace=namespace, timeout_s=_REMOVE_S)

    def _remove(self) -> None:
        if self._removed:
            return
        self._removed = True
        self._ground.helm.uninstall(
            self.load_id, namespace=self._ground.namespace, timeout_s=_REMOVE_S, wait=False
        )
        with contextlib.suppress(WaitTimeoutError):
            wait_until(f"the pods of {self.load_id} to go", lambda: not self._pods(), _REMOVE_S)
        self._record("close")

    def _record(self, act: str, **details: object) -> None:
        record = {"op": act, "id": self.load_id, "t": self._clock.now(), **details}
        append_line(self._run_dir / "ledger.jsonl", record, durable=True)
