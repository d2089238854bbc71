"""Progress of long work: one line a step in a log, a live line on a terminal."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.status import Status
from rich.text import Text


class Progress:
    """A callable that is told each step as it begins; `Callable[[str], None]` to whoever works.

    Without a terminal each step is a line `[  12 s] step`, stamped with the seconds since the start.
    On a terminal the running step is a live line that leaves such a line behind. Threads may share
    one. Close it (or use `with`), so that the terminal gets its cursor back.
    """

    def __init__(self, stream: TextIO | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = Console(file=stream if stream is not None else sys.stderr, highlight=False)
        self._clock, self._began_s = clock, clock()
        self._lock = threading.Lock()
        self._status: Status | None = None

    def __call__(self, step: str) -> None:
        """Tell that `step` begins; the step before it has ended."""
        line = f"[{self._clock() - self._began_s:4.0f} s] {step}"
        with self._lock:
            self._console.print(Text(line), soft_wrap=True)
            if self._console.is_terminal:
                if self._status is None:
                    self._status = self._console.status(Text(step))
                    self._status.start()
                else:
                    self._status.update(Text(step))

    def close(self) -> None:
        """End the live line; may be called twice."""
        with self._lock:
            if self._status is not None:
                self._status.stop()
                self._status = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
