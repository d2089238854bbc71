"""Where the processes of a load on this machine put their record: the run's folder and two pipes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import gevent
import gevent.os
from gevent.queue import SimpleQueue

from core.files import append_line


class FolderSink:
    """Events into `events.jsonl`, samples down the pipe to their writer, notes to the harness."""

    def __init__(self, events: Path, samples_fd: int, channel: TextIO) -> None:
        self._events, self._fd, self._channel = events, samples_fd, channel
        self._queue: Any = SimpleQueue()
        self.broken = ""
        gevent.os.make_nonblocking(samples_fd)
        self._writer = gevent.spawn(self._write)

    def event(self, record: Mapping[str, Any]) -> None:
        """Append the event."""
        append_line(self._events, record)

    def samples(self, lines: bytes) -> None:
        """Queue the samples; another greenlet writes them, so that no request waits for the pipe."""
        self._queue.put(lines)

    def note(self, note: Mapping[str, Any]) -> None:
        """Write the note; a harness that is gone is found by its closed pipe."""
        try:
            self._channel.write(json.dumps(note) + "\n")
        except BrokenPipeError:
            self.broken = self.broken or "parent died"

    def close(self) -> None:
        """Write what is queued, for at most ten seconds."""
        self._queue.put(None)
        self._writer.join(10)
        os.close(self._fd)

    def _write(self) -> None:
        while (lines := self._queue.get()) is not None:
            view = memoryview(lines)
            try:
                while view:
                    view = view[gevent.os.nb_write(self._fd, view) :]
            except OSError:
                self.broken = self.broken or "the writer of samples died"
                return
