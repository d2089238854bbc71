"""A running Terraform: waited for, told of, interrupted; and what it wrote, as events."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_PROGRESS_S = 10.0
Progress = Callable[[str], None]


def diagnostics(log: str) -> list[dict[str, Any]]:
    """Return the errors, as Terraform gives them, in the output of a step run with -json."""
    found = [event["diagnostic"] for event in events(log) if event.get("type") == "diagnostic"]
    return [diagnostic for diagnostic in found if diagnostic["severity"] == "error"]


def events(log: str) -> list[dict[str, Any]]:
    """Return the events of a step run with -json."""
    events = []
    for line in log.splitlines():
        if line.startswith("{"):
            try:
                events.append(json.loads(line))
            except ValueError:
                continue  # the line that was being written when Terraform was killed
    return events


def unfinished(log: str) -> list[str]:
    """Return the addresses that a step began with and did not finish."""
    begun: dict[str, None] = {}
    for event in events(log):
        kind, address = event.get("type"), event.get("hook", {}).get("resource", {}).get("addr")
        if kind == "apply_start":
            begun[address] = None
        elif kind in {"apply_complete", "apply_errored"}:
            begun.pop(address, None)
    return list(begun)


class Told:
    """Says every few seconds how many resources a step has finished with."""

    def __init__(self, step: str, output: Path, progress: Progress) -> None:
        self._step, self._output, self._progress = step, output, progress
        self._started = time.monotonic()
        self._next = self._started + _PROGRESS_S

    def __call__(self) -> None:
        """Say it, if it is time."""
        if time.monotonic() < self._next:
            return
        self._next += _PROGRESS_S
        done = self._output.read_text(errors="replace").count('"type":"apply_complete"')
        spent = time.monotonic() - self._started
        self._progress(f"terraform: {self._step}: {done} resources done after {spent:.0f} s")


def wait(
    process: subprocess.Popen[bytes],
    timeout_s: float,
    cancelled: threading.Event,
    told: Callable[[], None] | None = None,
) -> str | None:
    """Wait for the end; return None, "late" after `timeout_s`, or "cancelled"."""
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        if told is not None:
            told()
        if cancelled.is_set():
            return "cancelled"
        if time.monotonic() > deadline:
            return "late"
        time.sleep(0.05)
    return None


def stop(process: subprocess.Popen[bytes], *, grace_s: float = 30.0) -> None:
    """Interrupt Terraform once, which makes it save its state and end; kill its group after `grace_s`."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the provider, if Terraform left it behind
    process.wait()
