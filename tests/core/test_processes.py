"""A process is gone when nothing of it runs: its first thread alone does not decide."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.node import processes
from core.processes import ProcessId
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
