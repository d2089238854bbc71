"""The processes that a recorder starts: in the ledger before they run, gone when their parent is."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from core.errors import EnvironmentFailedError
from core.files import append_line, read_lines, write_atomic
from core.processes import ProcessId
from core.waiting import wait_until


class Child:
    """One `python -m MODULE CONFIG` in a process group of its own.

    Its stdin is a pipe of ours: closing it, or dying, ends the child. Its stdout and stderr go to
    `logs/NAME.out` and `logs/NAME.err` of the run.
    """

    def __init__(
        self, name: str, module: str, config: Mapping[str, Any], run_dir: Path, now: Callable[[], float]
    ) -> None:
        logs = run_dir / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        # One run may hold several recorders, one after the other: an earlier child's output is not ours.
        name = next(n for n in _numbered(name) if not (logs / f"{n}.out").exists())
        self.name, self._run_dir, self._now = name, run_dir, now
        self.output, self.errors = logs / f"{name}.out", logs / f"{name}.err"
        config_path = run_dir / "probes" / f"{name}.json"
        write_atomic(config_path, json.dumps(config, indent=1), mode=0o600)
        argv = [sys.executable, "-m", module, str(config_path)]
        self._note("process.starting", argv=argv)
        with self.output.open("ab") as out, self.errors.open("ab") as err:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=out, stderr=err, start_new_session=True, bufsize=0
            )
        self.id = ProcessId.of(self._process.pid)
        self._note(
            "process.started",
            pid=self._process.pid,
            start_ticks=self.id.start_ticks if self.id else None,
        )

    @property
    def ended(self) -> bool:
        """Tell whether it has ended."""
        return self._process.poll() is not None

    def tell(self, command: Mapping[str, Any]) -> None:
        """Send one JSON line; EnvironmentFailedError if it is gone."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(command) + "\n").encode())
        except OSError as error:
            raise EnvironmentFailedError(self.obituary()) from error

    def said(self) -> list[dict[str, Any]]:
        """Return the JSON lines that it printed so far."""
        return list(read_lines(self.output))

    def last_said(self) -> dict[str, Any]:
        """Return the last JSON line that it printed, {} before the first."""
        with self.output.open("rb") as lines:
            size = lines.seek(0, os.SEEK_END)
            lines.seek(max(0, size - 65536))
            whole = lines.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
        return dict(json.loads(whole)) if whole else {}

    def check(self) -> None:
        """Raise EnvironmentFailedError if it ended of itself."""
        if self.ended:
            raise EnvironmentFailedError(self.obituary())

    def obituary(self) -> str:
        """Say how it ended, with the end of its error output."""
        tail = "\n".join(self.errors.read_text(errors="replace").strip().splitlines()[-8:])
        return f"the {self.name} process ended with status {self._process.poll()}\n{tail}"

    def stop(self, grace_s: float) -> int | None:
        """Close its stdin, wait up to `grace_s`, then kill; returns its exit status. Idempotent."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._process.returncode is None:
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._note("process.ended", pid=self._process.pid, status=self._process.returncode)
        return self._process.returncode

    def wait_for(
        self,
        description: str,
        probe: Callable[[], Any],
        timeout_s: float,
        *,
        last: Callable[[], object] | None = None,
    ) -> Any:
        """Wait until `probe` gives something, but not longer than the process lives.

        `last` describes the last state for the error; without, it is the last line that it printed.
        """

        def alive_and_there() -> Any:
            found = probe()
            if not found:
                self.check()
            return found

        return wait_until(
            description, alive_and_there, timeout_s, interval_s=0.02, last=last or self.last_said
        )

    def _note(self, kind: str, **fields: object) -> None:
        line = {"t": self._now(), "kind": kind, "name": self.name, **fields}
        append_line(self._run_dir / "ledger.jsonl", line, durable=True)


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{n}" for n in itertools.count(2))
