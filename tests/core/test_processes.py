"""A process is gone when nothing of it runs: its first thread alone does not decide."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.node import processes
from core.errors import CommandError
from core.processes import ProcessId, run
from core.waiting import wait_until

# The first thread ends and shows as a zombie, the other one holds the process's files.
PROGRAM = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""


@pytest.fixture
def headless() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-c", PROGRAM])
    wait_until("its first thread has ended", lambda: state(child.pid) == "Z", 10)
    yield child
    child.kill()
    child.wait()


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_process_lives_as_long_as_one_of_its_threads(headless: subprocess.Popen[bytes]) -> None:
    """Seen so by both who look, until it is killed; what is left then is a zombie, and none."""
    found = ProcessId.of(headless.pid)
    seen = processes.look(headless.pid)
    assert found is not None
    assert seen is not None
    assert seen.id == found
    found.end(grace_s=0)
    assert not found.alive()
    assert processes.look(headless.pid) is None
    assert state(headless.pid) == "Z"


@pytest.fixture
def grandchild(tmp_path: Path) -> Iterator[Path]:
    """Give a file for the number of a program's child, which is ended if the test left it."""
    file = tmp_path / "pid"
    yield file
    if (left := ProcessId.of(int(file.read_text()))) is not None:
        left.end(grace_s=0)


def test_a_program_that_takes_too_long_is_ended_with_what_it_started(grandchild: Path) -> None:
    """Its child, in a session of its own, is gone with it, and what it printed is told."""
    script = f"echo begun; setsid sleep 60 & echo $! > {grandchild}; wait"
    with pytest.raises(CommandError, match=r"none within 1 s(.|\n)*begun"):
        run(["bash", "-c", script], timeout_s=1)
    child = int(grandchild.read_text())
    wait_until("its child has gone", lambda: ProcessId.of(child) is None, 5)


def test_a_program_gets_its_input_and_its_outputs_are_told_apart() -> None:
    """What is written to it, what it prints, its complaints and its end."""
    done = run(["bash", "-c", "cat; echo bad >&2; exit 3"], timeout_s=10, stdin="word", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("word", "bad\n", 3)
