"""The handle of a running load in the harness' process, which never imports Locust."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from core.clock import RunClock
from core.errors import EnvironmentFailedError, InconclusiveError
from core.files import append_line
from core.processes import ProcessId
from core.waiting import wait_until
from loadtests.processes import LoadProcess
from loadtests.settings import Assignment, LoadSettings
from loadtests.target import admit_target

_MASTER_START_S = 60.0
# What a worker, and the writer with the last samples, may still take when the generator has ended.
_WORKER_GRACE_S, _WRITER_GRACE_S = 5.0, 30.0


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """How a load ended. `succeeded` needs requests, no lost worker and no error."""

    exit_code: int
    requests: int
    failures: int
    workers_lost: int
    reason: str
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        """Tell whether the load may be believed; failed requests are the product's matter, not this one's."""
        return self.exit_code == 0 and self.requests > 0 and self.workers_lost == 0 and self.error is None


class Load:
    """One load against `host_url`, writing to the run's events.jsonl, samples/, ledger.jsonl and logs/.

    With one worker a single process sends it; with more, a master and that many workers, over loopback.
    `allowed_hosts` are the environment's own hosts; any other target, and any public address, is refused
    with RefusedError. The processes die with this one, and with the thread that starts them if that
    is the main thread.
    """

    def __init__(
        self,
        run_dir: Path,
        clock_offset_s: float,
        host_url: str,
        settings: LoadSettings,
        *,
        allowed_hosts: Collection[str],
    ) -> None:
        admit_target(host_url, allowed_hosts)
        self.load_id = f"load-{uuid4().hex[:8]}"
        self.settings = settings
        self._run_dir, self._clock = run_dir, RunClock(offset_s=clock_offset_s)
        self._assignment = Assignment(
            load_id=self.load_id,
            host_url=host_url,
            allowed_hosts=tuple(allowed_hosts),
            clock_offset_s=clock_offset_s,
            events=str(run_dir / "events.jsonl"),
            settings=self.settings,
            role="local" if self.settings.workers == 1 else "master",
            supervised=True,
            # The kernel's signal follows the thread that made the child, not the process: only the main
            # thread lives as long as the process. The pipe's end covers the others.
            parent_pid=os.getpid() if threading.current_thread() is threading.main_thread() else 0,
        )
        self._generator: LoadProcess | None = None
        self._writer: LoadProcess | None = None
        self._workers: list[LoadProcess] = []
        self._watcher: threading.Thread | None = None
        self._port: int | None = None
        self._flowing_s: float | None = None
        self._counts = (0, 0)
        self._result: LoadResult | None = None

    @property
    def process(self) -> ProcessId | None:
        """Return the generator's process (the master's, if there are workers), None before the start."""
        return self._generator.id if self._generator else None

    @property
    def workers(self) -> Sequence[ProcessId]:
        """Return the workers' processes, none if the generator sends the load itself."""
        return [worker.id for worker in self._workers]

    @property
    def result(self) -> LoadResult | None:
        """Return how the load ended, None while it runs."""
        return self._result

    @property
    def counts(self) -> tuple[int, int]:
        """Return the requests and failures so far."""
        return self._counts

    def start(self) -> Self:
        """Start the processes; all are in the ledger before anything is sent."""
        if self._generator:
            raise EnvironmentFailedError(f"{self.load_id} was already started")
        (self._run_dir / "logs").mkdir(parents=True, exist_ok=True)
        reading, writing = os.pipe()
        try:
            self._generator = self._spawn(
                "load generator", "", replace(self._assignment, samples_fd=writing), pass_fds=[writing]
            )
            self._writer = LoadProcess(
                self._run_dir,
                self._clock,
                "writer of load samples",
                f"{self.load_id}/writer",
                ["loadtests.writer", str(self._run_dir), self.load_id],
                log=self._run_dir / "logs" / f"{self.load_id}-writer.log",
                stdin=reading,
            )
        finally:
            # The pipe's only ends are the generator's and the writer's: it closes when the generator dies.
            os.close(reading)
            os.close(writing)
        self._watcher = threading.Thread(target=self._watch, name=self.load_id, daemon=True)
        self._watcher.start()
        self._generator.say("go\n")
        if self._assignment.role == "master":
            self._start_workers()
        return self

    def _start_workers(self) -> None:
        wait_until(
            f"the master of {self.load_id} to listen", lambda: self._port or self._result, _MASTER_START_S
        )
        for index in range(self.settings.workers if self._port else 0):
            worker = replace(self._assignment, role="worker", master_port=self._port or 0, worker_index=index)
            self._workers.append(self._spawn("load worker", f"worker-{index}", worker))
        for process in self._workers:
            process.say("go\n")

    def _spawn(
        self, what: str, name: str, assignment: Assignment, pass_fds: Sequence[int] = ()
    ) -> LoadProcess:
        stem = f"{self.load_id}-{name}" if name else self.load_id
        path = self._run_dir / "logs" / f"{stem}.json"
        assignment.write(path)
        return LoadProcess(
            self._run_dir,
            self._clock,
            what,
            f"{self.load_id}/{name}" if name else self.load_id,
            ["loadtests.generator", str(path)],
            log=path.with_suffix(".log"),
            listen=not name,
            pass_fds=pass_fds,
        )

    def wait_flowing(self, timeout_s: float) -> float:
        """Return when the first second with requests ended (run's clock).

        Raises InconclusiveError when the generator ended first, WaitTimeoutError when none came in time.
        """

        def probe() -> float | None:
            if self._flowing_s is None and self._result:
                raise InconclusiveError(f"{self.load_id} ended before it sent anything: {self._result.error}")
            return self._flowing_s

        return wait_until(f"the first requests of {self.load_id}", probe, timeout_s)

    def wait_ended(self, timeout_s: float) -> LoadResult:
        """Return how the load ended of itself; WaitTimeoutError when it did not in time."""
        return wait_until(f"the end of {self.load_id}", lambda: self._result, timeout_s, interval_s=0.1)

    def stop(self, *, grace_s: float | None = None) -> LoadResult:
        """Stop the load, killing what has not ended after `grace_s`, and return how it ended; idempotent.

        By default the grace leaves users the time to catch up and requests under way their time-out.
        """
        generator, watcher = self._generator, self._watcher
        if generator is None or watcher is None:
            raise EnvironmentFailedError(f"{self.load_id} was never started")
        generator.say("stop\n", last=True)
        watcher.join(2 * self.settings.request_timeout_s + 15 if grace_s is None else grace_s)
        if watcher.is_alive() and self._result is None:
            for process in (generator, *self._workers):
                process.id.end(grace_s=0)
            watcher.join()
        if self._result is None:
            raise EnvironmentFailedError(f"{self.load_id} ended without a result")
        return self._result

    def __enter__(self) -> Self:
        return self if self._generator else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _watch(self) -> None:
        """Follow the generator's notes to its end and conclude: its own word, or how it died."""
        generator, writer = self._generator, self._writer
        if generator is None or writer is None:
            return
        said: dict[str, Any] | None = None
        with generator.output as output:
            for line in output:
                note = _parsed(line)
                if "flowing" in note:
                    self._counts = (note["requests"], note["failures"])
                    self._flowing_s = self._flowing_s or note["flowing"]
                self._port = note.get("port", self._port)
                said = note.get("ended", said)
        # A worker whose master is gone has nothing left to do.
        for process in self._workers:
            process.conclude(_WORKER_GRACE_S if said else 0)
        writer_status = writer.conclude(_WRITER_GRACE_S)
        status = generator.wait()
        if said is None or status != said["exit_code"]:
            said = self._obituary(generator, status)
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

    def _obituary(self, generator: LoadProcess, status: int) -> dict[str, Any]:
        """Write the `load.ended` that a dead generator could not write."""
        died = (
            f"killed by signal {-status}" if status < 0 else f"exit status {status}: {generator.last_words()}"
        )
        fields = {
            # A clean exit that never reported its end is not a clean end.
            "exit_code": status or 1,
            "requests": self._counts[0],
            "failures": self._counts[1],
            "workers_lost": self.settings.workers,
            "reason": "killed" if status == -signal.SIGKILL else "died",
            "error": died,
        }
        record = {"t": self._clock.now(), "kind": "load.ended", "load_id": self.load_id, **fields}
        append_line(self._run_dir / "events.jsonl", record)
        return fields


def _parsed(line: str) -> dict[str, Any]:
    try:
        note = json.loads(line)
    except ValueError:
        return {}  # a note torn by the generator's death
    return note if isinstance(note, dict) else {}
