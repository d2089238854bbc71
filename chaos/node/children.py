"""The agent's child processes, perhaps in other networks: bound to its life, found by a mark on them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence

from chaos.node import netns, processes
from core.errors import EnvironmentFailedError

MARK = "ecochain-chaos-act="
_READY_S = 10.0
_running: dict[str, subprocess.Popen[bytes]] = {}


def start(
    inode: int,
    act_id: str,
    module: str,
    words: Sequence[str],
    *,
    longest_s: float,
    ready_s: float = _READY_S,
) -> str:
    """Start `python -m MODULE` in a namespace and return the line by which it says that it is ready.

    It ends when the agent does (its input ends), and after `longest_s` in any case. The caller has noted the
    act before: whoever undoes it finds the child by the mark in its command line.
    """
    command = [*netns.entering(inode), sys.executable, "-m", module, MARK + act_id, f"{longest_s:g}", *words]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    _running[act_id] = child
    assert child.stdout is not None
    readable, _, _ = select.select([child.stdout], [], [], ready_s)
    line = child.stdout.readline().decode().strip() if readable else ""
    if not line:
        raise EnvironmentFailedError(f"{module} of act {act_id}: not ready within {ready_s:g} s")
    return line


def end(act_id: str) -> None:
    """End an act's child, whoever started it; nothing happens where there is none."""
    for process in _with_mark(MARK + act_id):
        process.id.end(grace_s=0)
    child = _running.pop(act_id, None)
    if child is not None:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def found(*words: str) -> list[processes.Process]:
    """Return every child with the mark, and with all these words, whoever started it."""
    return [one for one in _with_mark(MARK) if {*map(str.encode, words)} <= {*_words(one.id.pid)}]


def live(argv: Sequence[str], at_end: Callable[[str], None]) -> tuple[str, list[str]]:
    """In the child: end with its parent, and after its time. Returns the act's id and the other words.

    `at_end` is called with the act's id, so that what leads packets here goes with it.
    """
    act_id, longest_s, words = argv[1].removeprefix(MARK), float(argv[2]), list(argv[3:])

    def leave() -> None:
        try:
            at_end(act_id)
        finally:
            os._exit(0)

    def until_the_parent_ends() -> None:
        sys.stdin.buffer.read()
        leave()

    alarm = threading.Timer(longest_s, leave)
    alarm.daemon = True
    alarm.start()
    threading.Thread(target=until_the_parent_ends, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return act_id, words


def ready(line: str = "ready") -> None:
    """In the child: say that it is ready."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _with_mark(mark: str) -> list[processes.Process]:
    exact = mark != MARK
    return [
        process
        for process in processes.every()
        if any(
            word == mark.encode() if exact else word.startswith(mark.encode())
            for word in _words(process.id.pid)
        )
    ]


def _words(pid: int) -> list[bytes]:
    try:
        return (processes.PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []  # it ended meanwhile
