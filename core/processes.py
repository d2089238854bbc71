"""Processes named so that a recycled number is never mistaken for the one recorded."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import CommandError


@dataclass(frozen=True, kw_only=True)
class ProcessId:
    """A process: its number, and its start (clock ticks since boot) as in proc(5) field 22."""

    pid: int
    start_ticks: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        """Identify a live process, or None if there is none (a zombie counts as none)."""
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        fields = stat.rpartition(")")[2].split()
        return None if gone(fields) else cls(pid=pid, start_ticks=int(fields[19]))

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return ProcessId.of(self.pid) == self

    def signal(self, number: int) -> None:
        """Send a signal to this very process; nothing happens if it has gone."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def end(self, *, grace_s: float = 2.0) -> None:
        """Stop it: SIGTERM, then SIGKILL after `grace_s` (0 kills at once); returns when it has gone."""
        self.signal(signal.SIGTERM if grace_s > 0 else signal.SIGKILL)
        deadline = time.monotonic() + grace_s
        while self.alive():
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
            time.sleep(0.01)


def gone(fields: Sequence[str]) -> bool:
    """Tell from proc(5)'s fields of a process, from the third on, whether nothing of it runs any more.

    A zombie may be the first thread alone: as long as others of its threads live, or are still on their way
    out after a SIGKILL, the process holds its files, sockets and locks.
    """
    state, threads = fields[0], int(fields[17])
    return state == "X" or (state == "Z" and threads <= 1)


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    check: bool = True,
) -> subprocess.CompletedProcess[str]:
    """Run an outside program to its end, capturing its output.

    `env` adds to the present environment. Raises CommandError on a non-zero exit (unless `check` is
    false), on a missing program and on time-out, after which the program and all that it started are dead.
    """
    command = [str(part) for part in argv]
    try:
        child = subprocess.Popen(
            command,
            stdin=None if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **env} if env else None,
            cwd=cwd,
        )
    except FileNotFoundError as error:
        raise CommandError(command, "not started", str(error)) from error
    with child:
        try:
            output, errors = child.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired as error:
            _kill_family(child.pid)
            told = error.stdout.decode() if isinstance(error.stdout, bytes) else (error.stdout or "")
            raise CommandError(command, f"none within {timeout_s:g} s", told) from error
        except BaseException:
            _kill_family(child.pid)
            raise
    if check and child.returncode != 0:
        raise CommandError(command, child.returncode, output + errors)
    return subprocess.CompletedProcess(command, child.returncode, output, errors)


def _kill_family(pid: int) -> None:
    """Kill a child with all that it started; each is stopped first, for none to start another meanwhile."""
    family = [ProcessId.of(pid)]
    for one in family:  # it grows
        if one is not None:
            one.signal(signal.SIGSTOP)
            with suppress(OSError):
                for children in Path(f"/proc/{one.pid}/task").glob("*/children"):
                    family += [ProcessId.of(int(child)) for child in children.read_text().split()]
    for one in family:
        if one is not None:
            one.signal(signal.SIGKILL)
