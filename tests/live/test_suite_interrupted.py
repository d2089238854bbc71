"""A rehearsal that is interrupted heals and tears down; what a killed one leaves, the next one removes."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from sabotage import REHEARSE, SUITES, Command, Copy, Ended, LabInUse

from clients.kubernetes import Cluster
from core.waiting import wait_until
from lab.cluster import status


@pytest.fixture
def copy(tmp_path: Path, test_lab: LabInUse) -> Copy:
    """Return a copy of the checkout."""
    return Copy.make(tmp_path / "copy", test_lab.name)


def interrupted(command: Command, lab: LabInUse) -> Ended:
    """Press Ctrl-C, and see that the command ends in time and leaves nothing but the lab it found."""
    command.interrupt()
    ended = command.end(60)
    assert command.left() == []
    assert Cluster(lab.kubeconfig).get("namespaces", "ecochain") is None
    assert status(lab.name)["state"] == "up"
    assert ended.run.info()["ended"]
    assert "Traceback" not in ended.output
    return ended


@pytest.mark.long
def test_ctrl_c_in_the_middle_of_a_release(copy: Copy, test_lab: LabInUse) -> None:
    """Helm, probes and load are ended, and the namespace is removed."""
    with copy.start(*REHEARSE, "-k", "good_release") as command:
        command.wait_in_scenario("good-release", "release.started")
        ended = interrupted(command, test_lab)
    assert ended.status == 130


@pytest.mark.long
def test_ctrl_c_with_workers(copy: Copy, test_lab: LabInUse) -> None:
    """The same with xdist, whose workers get the signal as well."""
    with copy.start(*SUITES, "-n", "2", "-k", "steady") as command:
        command.wait_in_scenario("steady-state", "load.second")
        ended = interrupted(command, test_lab)
    assert ended.status == 2


def test_a_killed_rehearsal_is_cleaned_up_by_the_next(copy: Copy, test_lab: LabInUse) -> None:
    """Its helpers die with it, its run can be judged, and the next run starts from a clean namespace."""
    with copy.start(*REHEARSE, "-k", "steady") as command:
        killed = command.wait_in_scenario("steady-state", "load.second")
        command.process.send_signal(signal.SIGKILL)
        assert command.process.wait(10) == -signal.SIGKILL
        wait_until("its helpers to die", lambda: command.left() == [], 20, last=command.left)
    assert killed.info()["ended"] is None
    assert Cluster(test_lab.kubeconfig).get("namespaces", "ecochain") is not None

    judged = copy.run("-m", "cli.main", "judge", killed.path.name)
    assert judged.status == 3, judged.output
    assert "Traceback" not in judged.output

    ended = copy.run(*REHEARSE, "-k", "steady")
    assert ended.status == 0, ended.output
    assert f"removing what run {killed.path.name.lower()} left" in ended.output
    assert ended.outcomes("steady-state") == dict.fromkeys(
        ("steady_state", "downtime", "error_ratio", "latency_p95"), "PASS"
    )
    assert Cluster(test_lab.kubeconfig).get("namespaces", "ecochain") is None
