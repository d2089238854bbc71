"""The processes of a load on this machine: in the ledger before they act, and gone with their parent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from core.clock import RunClock
from core.errors import EnvironmentFailedError
from core.files import append_line
from core.places import checkout
from core.processes import ProcessId


class LoadProcess:
    """One `python -m MODULE ARGUMENT…` in a session of its own; `log` takes its error output.

    Ctrl-C is for the harness, which then stops the load in order. Without `stdin` its standard input is a
    pipe whose end tells it that its parent died.
    """

    def __init__(
        self,
        run_dir: Path,
        clock: RunClock,
        what: str,
        ledger_id: str,
        arguments: Sequence[str],
        *,
        log: Path,
        stdin: int = subprocess.PIPE,
        listen: bool = False,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._ledger, self._clock, self._ledger_id = run_dir / "ledger.jsonl", clock, ledger_id
        self.what, self.log = what, log
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                cwd=checkout(),
                stdin=stdin,
                stdout=subprocess.PIPE if listen else errors,
                stderr=errors,
                text=True,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        found = ProcessId.of(self._process.pid)
        if found is None:
            self._process.wait()
            raise EnvironmentFailedError(f"the {what} ended at once: {self.last_words()}")
        self.id = found
        self._record("open", kind="process", what=what, **vars(found))

    @property
    def output(self) -> IO[str]:
        """Return its standard output, if it is listened to."""
        assert self._process.stdout is not None
        return self._process.stdout

    def say(self, word: str, *, last: bool = False) -> None:
        """Write to its standard input, and with `last` close that; nothing happens if it has gone."""
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        try:
            # Past the buffer, which would keep what a dead process did not take.
            os.write(pipe.fileno(), word.encode())
        except BrokenPipeError:
            last = True
        if last:
            pipe.close()

    def wait(self) -> int:
        """Wait for its end and return its exit status; its ledger entry is closed."""
        status = self._process.wait()
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._record("close")
        return status

    def conclude(self, grace_s: float) -> int:
        """Give it `grace_s` to end by itself, kill it otherwise, and return its exit status."""
        try:
            self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self.wait()

    def last_words(self) -> str:
        """Return the last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing in its log"

    def _record(self, act: str, **details: object) -> None:
        record = {"op": act, "id": self._ledger_id, "t": self._clock.now(), **details}
        append_line(self._ledger, record, durable=True)
