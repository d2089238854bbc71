"""Hogs: processes that eat a container's own share, from within its cgroups.

A supervisor stays in the agent's groups and forks workers into those of the container. It ends when the agent
does (its input ends), when the container's main process ends (or the runtime could not remove the groups),
and after the act's longest time; its workers die with it (PR_SET_PDEATHSIG), and by an alarm of their own,
however little processor time they get. What they hold goes with them.

`python -m chaos.node.hogs ecochain-chaos-act=ID LONGEST_S KIND SETTINGS`, with {container_pid, joins, …}:

    cpu     {count}                 that many busy processes
    memory  {bytes, oom}            so many bytes of memory; with `oom` until the main process is dead
    fill    {path}                  a file that leaves no room on its file system

Memory is held in a file without a name (memfd), which counts for the group and for no process. So the OOM
killer finds the container's own processes larger than the worker, and no score has to be lowered for that.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_PIECE = 1 << 20
_PR_SET_PDEATHSIG = 1
_REFUSED = "refused"


def main(argv: list[str]) -> None:
    """Run as the supervisor; the first line of output is what became of it."""
    longest_s, kind, told = float(argv[2]), argv[3], json.loads(argv[4])
    container = os.pidfd_open(told["container_pid"])
    work = {"cpu": _burn, "memory": _hold, "fill": _fill}[kind]
    workers, answers = [], []
    start = os.pipe()
    for _ in range(told.get("count", 1)):
        reading, writing = os.pipe()
        workers.append(_fork(work, {**told, "start": start}, longest_s, writing))
        os.close(writing)
        with os.fdopen(reading) as answer:
            answers.append(answer.readline())
    said = [json.loads(one) for one in answers if one.strip()]
    problem = next((one[_REFUSED] for one in said if _REFUSED in one), None)
    if len(said) < len(workers):
        problem = f"{len(workers) - len(said)} of {len(workers)} workers died before they were ready"
    _say({_REFUSED: problem} if problem else {"pids": workers, **said[0]})
    os.close(start[1])
    watched = select.poll()
    watched.register(sys.stdin.fileno(), select.POLLIN | select.POLLHUP)
    watched.register(container, select.POLLIN)
    if not problem:
        watched.poll(longest_s * 1000)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _fork(work: Callable[..., None], told: Mapping[str, Any], longest_s: float, answer: int) -> int:
    supervisor = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.setitimer(signal.ITIMER_REAL, longest_s)  # SIGALRM kills, unless it is handled
        if os.getppid() != supervisor:
            os._exit(1)
        for file in told["joins"]:
            Path(file).write_text(str(os.getpid()))

        def ready(**what: Any) -> None:
            os.write(answer, (json.dumps(what) + "\n").encode())
            os.close(answer)

        work(told, ready)
    except BaseException as error:  # noqa: BLE001 - a forked process must not go on into its parent's work
        _last_words(answer, error)
    finally:
        os._exit(0)


def _last_words(answer: int, error: BaseException) -> None:
    try:
        os.write(answer, (json.dumps({_REFUSED: f"{type(error).__name__}: {error}"}) + "\n").encode())
    except OSError:
        return  # it had answered before


def _burn(told: Mapping[str, Any], ready: Callable[..., None]) -> None:
    ready()
    # Together: one that is busy already leaves the next little time to get ready in.
    os.close(told["start"][1])
    os.read(told["start"][0], 1)
    while True:
        sum(range(1000))


def _hold(told: Mapping[str, Any], ready: Callable[..., None]) -> None:
    limit, wanted = int(told["limit_bytes"]), int(told["bytes"])
    _score(told["container_pid"])
    own = _badness("self", limit)
    other = max((_badness(str(pid), limit) for pid in told["rivals"]), default=0)
    if own >= other:
        ready(**{_REFUSED: f"the OOM killer would choose the hog (badness {own}, the container's {other})"})
        return
    held = os.memfd_create("ecochain-chaos")
    if told["oom"]:
        ready(badness={"hog": own, "container": other})
    container = os.pidfd_open(told["container_pid"])
    written = 0
    piece = bytes(_PIECE)
    while written < wanted and not select.select([container], [], [], 0)[0]:
        try:
            written += os.write(held, piece[: wanted - written])
        except OSError as error:
            if error.errno not in (errno.ENOMEM, errno.ENOSPC):
                raise
            time.sleep(0.01)  # the OOM killer has chosen, and its victim is not gone yet
    if not told["oom"]:
        ready(held_bytes=written, badness={"hog": own, "container": other})
    while True:
        signal.pause()


def _score(container_pid: int) -> None:
    # As low as may be without a privilege: below what the container has, nothing is gained by more.
    own = Path("/proc/self/oom_score_adj")
    if int(own.read_text()) > 0 and int(Path(f"/proc/{container_pid}/oom_score_adj").read_text()) > 0:
        try:
            own.write_text("0")
        except PermissionError:
            return


def _badness(pid: str, limit_bytes: int) -> int:
    """Return the bytes by which the kernel's OOM killer compares processes within a limit (oom_badness)."""
    try:
        lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
        adjustment = int(Path(f"/proc/{pid}/oom_score_adj").read_text())
    except OSError:
        return 0  # it ended meanwhile
    sizes = {line[0]: int(line[1]) for line in lines if len(line) == 3 and line[2] == "kB"}
    held = sum(sizes.get(name, 0) for name in ("VmRSS:", "VmSwap:", "VmPTE:")) << 10
    return held + adjustment * limit_bytes // 1000


def _fill(told: Mapping[str, Any], ready: Callable[..., None]) -> None:
    path = told["path"]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    size = 0
    for piece in (_PIECE, 4096, 1):
        try:
            while size < told["most_bytes"]:
                size += os.write(descriptor, bytes(piece))
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
    os.fsync(descriptor)
    if size >= told["most_bytes"]:
        ready(**{_REFUSED: f"{path} took {size} bytes and is not full: it grows, or is larger than it said"})
    else:
        ready(filled_bytes=size)


def _say(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv)
