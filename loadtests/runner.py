"""The handle of a running load in the harness' process, which never imports Locust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from core.clock import RunClock
from core.errors import EnvironmentFailedError, InconclusiveError
from core.files import append_line
from core.places import checkout
from core.processes import ProcessId
from core.waiting import wait_until
from loadtests.settings import Assignment, LoadSettings
from loadtests.target import admit_target


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
    """One load against `host_url`, writing to the run folder's events.jsonl, ledger.jsonl and logs/.

    `allowed_hosts` are the environment's own hosts; any other target, and any public address, is refused
    with RefusedError. The generator dies with this process, and with the thread that starts it if that
    is the main thread.
    """

    def __init__(
        self,
        run_dir: Path,
        clock_offset_s: float,
        host_url: str,
        settings: LoadSettings | None = None,
        *,
        allowed_hosts: Collection[str],
    ) -> None:
        admit_target(host_url, allowed_hosts)
        self.load_id = f"load-{uuid4().hex[:8]}"
        self._run_dir, self._clock = run_dir, RunClock(offset_s=clock_offset_s)
        self._assignment = Assignment(
            load_id=self.load_id,
            host_url=host_url,
            allowed_hosts=tuple(allowed_hosts),
            clock_offset_s=clock_offset_s,
            events=str(run_dir / "events.jsonl"),
            settings=settings or LoadSettings(),
            supervised=True,
            # The kernel's signal follows the thread that made the child, not the process: only the main
            # thread lives as long as the process. The pipe's end covers the others.
            parent_pid=os.getpid() if threading.current_thread() is threading.main_thread() else 0,
        )
        self._process: subprocess.Popen[str] | None = None
        self._identity: ProcessId | None = None
        self._watcher: threading.Thread | None = None
        self._flowing_s: float | None = None
        self._counts = (0, 0)
        self._result: LoadResult | None = None

    @property
    def process(self) -> ProcessId | None:
        """Return the generator's process, None before the start."""
        return self._identity

    @property
    def result(self) -> LoadResult | None:
        """Return how the load ended, None while it runs."""
        return self._result

    def start(self) -> Self:
        """Start the generator; it is in the ledger before it sends anything."""
        if self._process:
            raise EnvironmentFailedError(f"{self.load_id} was already started")
        logs = self._run_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        path = logs / f"{self.load_id}.json"
        self._assignment.write(path)
        with (logs / f"{self.load_id}.log").open("w") as log:
            # A session of its own: Ctrl-C is for this process, which then stops the load in order.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "loadtests.generator", str(path)],
                cwd=checkout(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        self._identity = ProcessId.of(self._process.pid)
        if self._identity:
            self._record("open", kind="process", what="load generator", **vars(self._identity))
        self._watcher = threading.Thread(target=self._watch, name=self.load_id, daemon=True)
        self._watcher.start()
        self._say("go\n")
        return self

    def wait_flowing(self, timeout_s: float) -> float:
        """Return when the first second with requests ended (run's clock).

        Raises InconclusiveError when the generator ended first, WaitTimeoutError when none came in time.
        """

        def probe() -> float | None:
            if self._flowing_s is None and self._result:
                raise InconclusiveError(f"{self.load_id} ended before it sent anything: {self._result.error}")
            return self._flowing_s

        return wait_until(f"the first requests of {self.load_id}", probe, timeout_s)

    def stop(self, *, grace_s: float = 10.0) -> LoadResult:
        """Stop the load, killing the generator after `grace_s`, and return how it ended; idempotent."""
        process, watcher = self._process, self._watcher
        if process is None or watcher is None:
            raise EnvironmentFailedError(f"{self.load_id} was never started")
        self._say("stop\n", last=True)
        watcher.join(grace_s)
        if watcher.is_alive() and self._identity:
            self._identity.end(grace_s=0)
            watcher.join()
        if self._result is None:
            raise EnvironmentFailedError(f"{self.load_id} ended without a result")
        return self._result

    def __enter__(self) -> Self:
        return self if self._process else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _say(self, word: str, *, last: bool = False) -> None:
        pipe = self._process.stdin if self._process else None
        if pipe is None or pipe.closed:
            return
        try:
            # Past the buffer, which would keep what a dead generator did not take.
            os.write(pipe.fileno(), word.encode())
        except BrokenPipeError:
            last = True
        if last:
            pipe.close()

    def _watch(self) -> None:
        """Follow the generator's notes to its end and conclude: its own word, or how it died."""
        process = self._process
        if process is None or process.stdout is None:
            return
        said: dict[str, Any] | None = None
        with process.stdout:
            for line in process.stdout:
                note = _parsed(line)
                if "flowing" in note:
                    self._counts = (note["requests"], note["failures"])
                    self._flowing_s = self._flowing_s or note["flowing"]
                said = note.get("ended", said)
        status = process.wait()
        if said is None or status != said["exit_code"]:
            said = self._obituary(status)
        self._result = LoadResult(
            exit_code=said["exit_code"],
            requests=said["requests"],
            failures=said["failures"],
            workers_lost=said["workers_lost"],
            reason=said["reason"],
            error=said.get("error"),
        )
        self._record("close")

    def _obituary(self, status: int) -> dict[str, Any]:
        """Write the `load.ended` that a dead generator could not write."""
        log = self._run_dir / "logs" / f"{self.load_id}.log"
        died = f"killed by signal {-status}" if status < 0 else f"exit status {status}: {_last_line(log)}"
        fields = {
            # A clean exit that never reported its end is not a clean end.
            "exit_code": status or 1,
            "requests": self._counts[0],
            "failures": self._counts[1],
            "workers_lost": 1,
            "reason": "killed" if status == -signal.SIGKILL else "died",
            "error": died,
        }
        record = {"t": self._clock.now(), "kind": "load.ended", "load_id": self.load_id, **fields}
        append_line(self._run_dir / "events.jsonl", record)
        return fields

    def _record(self, act: str, **details: object) -> None:
        record = {"op": act, "id": self.load_id, "t": self._clock.now(), **details}
        append_line(self._run_dir / "ledger.jsonl", record, durable=True)


def _parsed(line: str) -> dict[str, Any]:
    try:
        note = json.loads(line)
    except ValueError:
        return {}  # a note torn by the generator's death
    return note if isinstance(note, dict) else {}


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "nothing in its log"
