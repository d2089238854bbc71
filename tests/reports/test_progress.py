"""Progress: steps as lines in a log, one live line on a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import threading

from core.waiting import wait_until
from reports.progress import Progress


def everything(controller: int) -> str:
    """Read a terminal whose other end is closed, to its end, and close it."""
    found = b""
    with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
        while part := os.read(controller, 65536):
            found += part
    os.close(controller)
    return found.decode()


def test_a_log_gets_one_stamped_line_a_step() -> None:
    """Each step is a line with the seconds since the start, and brackets in it are no markup."""
    stream, moments = io.StringIO(), iter([100.0, 100.2, 112.4])
    with Progress(stream, clock=lambda: next(moments)) as progress:
        progress("building etcd [1 of 3]")
        progress("x" * 200)
    assert stream.getvalue() == f"[   0 s] building etcd [1 of 3]\n[  12 s] {'x' * 200}\n"


def test_a_terminal_gets_a_live_line_that_close_ends() -> None:
    """The cursor is hidden while a step runs and comes back at the end; no thread stays."""
    before = threading.active_count()
    controller, terminal = pty.openpty()
    with os.fdopen(terminal, "w") as stream:
        progress = Progress(stream)
        progress("starting nodes")
        assert threading.active_count() > before
        progress("loading images")
        progress.close()
        progress.close()
    text = everything(controller)
    assert "[   0 s] starting nodes" in text
    assert "\x1b[?25l" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    wait_until("the live line's thread ends", lambda: threading.active_count() == before, 5)
