"""A lab that is down has left nothing, however it ended."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine_snapshot import Snapshot, difference, snapshot
from verify_command import started, verify

from core.places import checkout, state
from core.waiting import wait_until

NAME = "leak"
SEED = 20261123
# Seconds from the start of `verify lab up`, one in each of these spans: Python still imports; names and
# links are made; the API server starts; images are imported; nodes come up; names resolve.
SPANS_S = ((0.0, 0.4), (0.4, 1.0), (1.0, 2.5), (2.5, 4.5), (4.5, 6.5), (6.5, 9.0))
_DRAWN = random.Random(SEED)
MOMENTS_S = [round(_DRAWN.uniform(*span), 2) for span in SPANS_S]
# `make test` takes a sample of them, `make test-full` the rest.
SAMPLE_S = _DRAWN.sample(MOMENTS_S, 2)
DRIVER = """
import os, sys, time
from pathlib import Path
from core.processes import ProcessId
from lab import cluster
cluster.up(sys.argv[1], nodes=1, owner=ProcessId.of(os.getpid()))
Path(sys.argv[2]).touch()
time.sleep(600)
"""


@pytest.fixture
def untouched() -> Iterator[Snapshot]:
    """Give the machine's state before the test; after it, whatever its end, the lab is taken down."""
    assert verify("lab", "down", "--name", NAME).returncode == 0
    yield snapshot()
    assert verify("lab", "down", "--name", NAME).returncode == 0


def _down() -> None:
    down = verify("lab", "down", "--name", NAME)
    assert down.returncode == 0, down.stderr


def test_up_and_down_leave_the_machine_as_it_was(untouched: Snapshot) -> None:
    """After `up` the snapshot differs in what a lab is made of and no more; after `down` in nothing."""
    up = verify("lab", "up", "--name", NAME)
    assert up.returncode == 0, up.stderr
    told = difference(untouched, snapshot())
    # Not: iptables, nft, sysctl, unix socket, listener. The host's own stay as they are even while it is up.
    kinds = {"process", "network namespace", "link", "address", "route", "mount", "cgroup", "file"}
    assert {line.split(" added: ")[0] for line in told} == kinds, told
    _down()
    assert difference(untouched, snapshot()) == []


def test_a_lab_is_removed_though_another_program_keeps_namespaces_by_name(untouched: Snapshot) -> None:
    """The first `ip netns add` mounts /run/netns on itself, and so hides what is mounted in it."""
    folder = Path("/run/netns")
    made_by_the_lab = not folder.exists()
    up = verify("lab", "up", "--name", NAME, "--nodes", "1")
    assert up.returncode == 0, up.stderr
    subprocess.run(["mount", "--rbind", folder, folder], check=True)
    try:
        _down()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
    if made_by_the_lab:
        folder.rmdir()  # In use, it could not be removed with the lab.
    assert difference(untouched, snapshot()) == []


@pytest.mark.parametrize(
    "moment_s", [m if m in SAMPLE_S else pytest.param(m, marks=pytest.mark.long) for m in MOMENTS_S]
)
def test_down_removes_what_a_killed_start_left(untouched: Snapshot, moment_s: float) -> None:
    """`up` killed with SIGKILL at a drawn moment, then `down`: the machine is as it was."""
    _killed_start(moment_s)
    _down()
    assert difference(untouched, snapshot()) == []


def test_up_removes_what_a_killed_start_left_and_starts(untouched: Snapshot) -> None:
    """`up` killed halfway, then `up` again gives a whole lab, and `down` leaves the machine as it was."""
    _killed_start(MOMENTS_S[3])
    again = verify("lab", "up", "--name", NAME, "--json")
    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert (told["state"], len(told["nodes"])) == ("up", 4)
    _down()
    assert difference(untouched, snapshot()) == []


def _killed_start(moment_s: float) -> None:
    up = started("lab", "up", "--name", NAME)
    try:
        time.sleep(moment_s)
    finally:
        up.kill()
        up.wait()


@pytest.mark.parametrize("begun", ["machines/node1", "machines/node2/init.pid", "api-answers"])
def test_an_interrupted_start_removes_what_it_made(untouched: Snapshot, begun: str) -> None:
    """Ctrl-C during `up` ends it within 15 s, with exit status 130, and the machine is as it was."""
    up = started("lab", "up", "--name", NAME)
    wait_until("the start to come so far", (state() / "labs" / NAME / begun).exists, 20)
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=15) == 130
    # The logs of what was given up are kept to be read, outside the lab.
    assert difference(untouched, snapshot()) == []


def test_the_next_command_removes_the_lab_of_a_killed_run(untouched: Snapshot, tmp_path: Path) -> None:
    """A run that owned a lab is killed: status calls the lab left over, `clean` removes it, all of it."""
    driver, is_up = _run_with_a_lab(tmp_path)
    try:
        wait_until("the run's lab to be up", is_up.exists, 60)
        assert _state() == "up"
        assert verify("clean").returncode == 0
        assert _state() == "up", "`clean` took the lab of a run that was still going"
    finally:
        driver.kill()
        driver.wait()
    assert _state() == "left over"
    clean = verify("clean")
    assert (clean.returncode, clean.stdout) == (0, f"lab {NAME}: removed\n")
    assert difference(untouched, snapshot()) == []


def test_the_start_of_another_lab_removes_the_lab_of_a_killed_run(
    untouched: Snapshot, tmp_path: Path
) -> None:
    """A run that owned a lab is killed: `up` of another name removes that lab before it starts its own."""
    driver, is_up = _run_with_a_lab(tmp_path)
    try:
        wait_until("the run's lab to be up", is_up.exists, 60)
    finally:
        driver.kill()
        driver.wait()
    try:
        up = verify("lab", "up", "--name", "other", "--nodes", "1")
        assert up.returncode == 0, up.stderr
        assert _state() == "absent"
    finally:
        verify("lab", "down", "--name", "other")
    assert difference(untouched, snapshot()) == []


def _run_with_a_lab(folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    is_up = folder / "is-up"
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, NAME, is_up], cwd=checkout(), stdin=subprocess.DEVNULL
    )
    return driver, is_up


def _state() -> str:
    return str(json.loads(verify("lab", "status", "--name", NAME, "--json").stdout)["state"])


@pytest.mark.parametrize("left", ["record torn off", "record never written"])
def test_a_lab_without_a_readable_record_is_removed(untouched: Snapshot, left: str) -> None:
    """A crash that took the record, or came before it: `down` finds the rest by the lab's name."""
    if left == "record torn off":
        up = verify("lab", "up", "--name", NAME, "--nodes", "1")
        assert up.returncode == 0, up.stderr
        (state() / "labs" / NAME / "lab.json").write_text('{"schema": 1, "na')
    else:
        (state() / "labs" / NAME).mkdir(parents=True)
        (state() / "labs" / NAME / ".lab.json.1.tmp").touch()
    down = verify("lab", "down", "--name", NAME)
    assert (down.returncode, down.stdout) == (0, f"lab {NAME}: removed\n"), down.stderr
    assert difference(untouched, snapshot()) == []
