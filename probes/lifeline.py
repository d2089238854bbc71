"""How a child process learns that its parent is gone, however the parent died.

The parent holds the write end of the child's stdin and the kernel closes it with the parent, SIGKILL
included. (PR_SET_PDEATHSIG would fire already when the parent's *thread* that started the child ends.)
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable


def watch_stdin(
    loop: asyncio.AbstractEventLoop, end: Callable[[], object], line: Callable[[bytes], object] | None = None
) -> None:
    """Call `end` when stdin closes or on SIGTERM or SIGINT, and `line` for each line read before."""
    pending = bytearray()

    def readable() -> None:
        data = os.read(0, 65536)
        if not data:
            loop.remove_reader(0)
            end()
            return
        pending.extend(data)
        while (cut := pending.find(b"\n")) >= 0:
            whole = bytes(pending[:cut])
            del pending[: cut + 1]
            if line is not None and whole:
                line(whole)

    os.set_blocking(0, False)
    loop.add_reader(0, readable)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)


def watch_stdin_in_thread(end: Callable[[], object]) -> None:
    """Call `end` from a thread when stdin closes, and on SIGTERM or SIGINT from the main thread."""

    def wait() -> None:
        while os.read(0, 4096):
            pass
        end()

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: end())


def watch_stdin_lines(line: Callable[[bytes], object], end: Callable[[], object]) -> None:
    """Call `line` for each line of stdin and `end` when it closes (blocking, so for a thread of its own)."""
    with os.fdopen(os.dup(0), "rb") as stdin:
        for text in stdin:
            if text.strip():
                line(text)
    end()
