"""A process of a distributed load, in a pod: `python -m loadtests.pod ASSIGNMENT.json master|worker [INDEX]`.

The master keeps its record in an outbox on port OUTBOX_PORT, which the harness empties; the token is in
$VERIFY_TOKEN. A master that the harness has not asked for HARNESS_S ends the load, so that nothing outlives
a killed harness for long. Exit status as of `loadtests.generator`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.clock import RunClock
from core.errors import MisuseError
from core.outbox import Outbox
from loadtests.settings import Assignment
from loadtests.target import admit_target

MASTER_PORT, OUTBOX_PORT = 5557, 8090
NOTE = "load.note"
HARNESS_S = 20.0
_LAST_FETCH_S = 30.0


class OutboxSink:
    """A sink that leaves all in an outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    @property
    def broken(self) -> str:
        """Say that the harness is gone, when it is."""
        return "parent died" if time.monotonic() - self._outbox.asked_s > HARNESS_S else ""

    def event(self, record: Mapping[str, Any]) -> None:
        """Queue the event."""
        self._outbox.put([record])

    def samples(self, lines: bytes) -> None:
        """Queue the samples."""
        self._outbox.put([json.loads(line) for line in lines.splitlines()])

    def note(self, note: Mapping[str, Any]) -> None:
        """Queue the note."""
        self._outbox.put([{"kind": NOTE, "note": dict(note)}])

    def close(self) -> None:
        """Nothing to do: what is queued is fetched."""


def main(arguments: list[str]) -> int:
    """Run one process of the load to its end and return the exit status."""
    try:
        path, role, *rest = arguments
        assignment = Assignment.read(Path(path))
        admit_target(assignment.host_url, assignment.allowed_hosts)
        index = {"master": -1, "worker": int(rest[0]) if rest else 0}[role]
    except (MisuseError, ValueError, KeyError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if role == "worker":
        return _worker(replace(assignment, role="worker", worker_index=index))
    return _master(replace(assignment, role="master", master_host="*", master_port=MASTER_PORT))


def _master(assignment: Assignment) -> int:
    # Locust patches sockets when imported: before the outbox opens one.
    from loadtests.engine import MasterEngine  # noqa: PLC0415

    clock = RunClock.start()
    outbox = Outbox(os.environ["VERIFY_TOKEN"], clock.now, port=OUTBOX_PORT)
    engine = MasterEngine(assignment, OutboxSink(outbox), clock)

    def stop(_: Mapping[str, Any]) -> Mapping[str, Any]:
        engine.reason = engine.reason or "stopped"
        return {"stopping": True}

    outbox.commands["stop"] = stop
    outbox.start()
    status = engine.run()
    outbox.wait_fetched(_LAST_FETCH_S)
    return status


def _worker(assignment: Assignment) -> int:
    from loadtests.engine import WorkerEngine  # noqa: PLC0415

    return WorkerEngine(assignment, RunClock.start()).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
