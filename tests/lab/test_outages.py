"""Outages of the lab: noted before they begin, ended in any case, whatever becomes of who began them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import RefusedError
from core.processes import ProcessId
from core.waiting import wait_until
from lab import cgroups, machines, network, outage_watch, outages, record
from lab.outages import PAUSE, POWER_LOSS
from lab.plan import Plan
from lab.powers import LabPowers

LAB = "here"
ETCD, SCHEDULER = "etcd", "kube-scheduler"


class Site:
    """A lab of two machines on record: each a sleeping process, and a component that is another."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.children: list[subprocess.Popen[bytes]] = []
        self.ended: list[str] = []
        self.launched: list[str] = []
        self.rules_forgotten: list[str] = []
        self.groups: list[str] = []
        self.shares: dict[str, int] = {}
        record.write(plan, None, "up")
        for machine in (plan.control_plane, plan.workers[0]):
            (machine.folder / "log").mkdir(parents=True)
            record.add_process(plan, machine.name, self.sleeping())
        self.component = self.sleeping()
        pids = {ETCD: self.component.pid}
        (plan.control_plane.folder / "pids.json").write_text(json.dumps(pids))

    def sleeping(self) -> ProcessId:
        self.children.append(subprocess.Popen(["sleep", "60"]))
        found = ProcessId.of(self.children[-1].pid)
        assert found is not None
        return found

    def paused(self) -> bool:
        """Tell whether the component is stopped; one that goes on runs or sleeps."""
        stat = Path(f"/proc/{self.component.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    def watcher(self, what: str, subject: str) -> ProcessId:
        return record.processes(self.plan)[f"outage-{what}-{subject}"]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(tmp_path / "state"))
    made = Site(Plan(name=LAB, subnet="10.201.0.0/16", nodes=1))

    def end(_plan: Plan, machine: object, process: ProcessId) -> None:
        made.ended.append(machine.name)  # type: ignore[attr-defined]
        process.end(grace_s=0)

    def launch(machine: object, argv: list[str], note: object) -> None:
        made.launched.append(" ".join(argv))
        note(machine.name, made.sleeping())  # type: ignore[operator, attr-defined]

    monkeypatch.setattr(machines, "end", end)
    monkeypatch.setattr(machines, "launch", launch)
    monkeypatch.setattr(network, "forget_rules", lambda m: made.rules_forgotten.append(m.name))
    monkeypatch.setattr(cgroups, "pids", lambda _group: {made.component.pid})
    monkeypatch.setattr(cgroups, "remove", lambda group: made.groups.append(f"without {group}"))
    monkeypatch.setattr(cgroups, "make", made.groups.append)
    monkeypatch.setattr(cgroups, "weigh", made.shares.__setitem__)
    try:
        yield made
    finally:
        for child in made.children:
            child.kill()
            child.wait()


def own() -> ProcessId:
    found = ProcessId.of(os.getpid())
    assert found is not None
    return found


def gone() -> ProcessId:
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ProcessId(pid=ended.pid, start_ticks=1)


def test_a_machine_without_power_is_started_again_as_it_was(site: Site) -> None:
    """By the same command, under its name on record, without rules and groups of before; twice is no harm."""
    powers = LabPowers(LAB)
    powers.begin("power_loss", 60, node="node1", provider_id="")
    assert (site.ended, site.launched) == (["node1"], [])
    file = site.plan.folder / "outages" / "power_loss-node1.json"
    assert file.exists()
    for _ in range(2):
        powers.end("power_loss", node="node1", provider_id="")
    # Again: who took the power may have been killed before all had ended.
    assert (site.ended, site.launched) == (["node1", "node1"], ["sleep 60"])
    assert site.rules_forgotten == ["node1"]
    group = f"{site.plan.cgroup}/node1"
    assert site.groups == [f"without {group}", f"{group}/system"]
    machines.make_groups(site.plan, site.plan.control_plane)
    assert site.shares[group] > site.shares[f"{site.plan.cgroup}/control-plane"]
    assert record.processes(site.plan)["node1"].alive()
    assert not file.exists()


def test_a_paused_component_goes_on_when_it_is_ended(site: Site) -> None:
    """Its own process is stopped, and goes on."""
    powers = LabPowers(LAB)
    assert powers.begin("pause", 60, component=ETCD)["paused"] == [site.component.pid]
    wait_until("etcd to be stopped", site.paused, 2)
    powers.end("pause", component=ETCD)
    assert not site.paused()


@pytest.mark.parametrize("cause", ["time", "owner"])
def test_an_outage_ends_by_its_watcher(site: Site, cause: str) -> None:
    """When its time is over, or when the process that began it has gone; the watcher ends with it."""
    owner = site.sleeping()
    outages.begin(LAB, PAUSE, ETCD, 0.3 if cause == "time" else 60.0, owner)
    watcher = site.watcher(PAUSE, ETCD)
    assert watcher.alive()
    if cause == "owner":
        owner.end(grace_s=0)
        site.children[-1].wait()
    wait_until("the watcher to have ended it", lambda: not watcher.alive(), 10)
    assert not site.paused()
    assert not (site.plan.folder / "outages" / "pause-etcd.json").exists()


def test_a_watcher_that_nobody_recorded_does_nothing(site: Site) -> None:
    """Its caller was killed before it had written it down: the word to go on never comes."""
    owner = own()
    outage = outages.Outage(lab=LAB, what=PAUSE, subject=ETCD, owner=owner, paused=[site.component])
    file = site.plan.folder / "outages" / "pause-etcd.json"
    file.parent.mkdir()
    file.write_text(json.dumps(outage.as_json()))
    command = [sys.executable, "-m", outage_watch.__name__, str(file), "0"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=20, check=False)
    assert done.returncode == 0
    assert file.exists()


def test_a_killed_beginning_is_undone(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails halfway leaves neither the outage nor its note."""

    def fail(*_: object) -> None:
        raise OSError("no process for the watcher")

    monkeypatch.setattr(outages, "_watch", fail)
    with pytest.raises(OSError, match="no process"):
        outages.begin(LAB, PAUSE, ETCD, 60, own())
    assert not site.paused()
    assert list((site.plan.folder / "outages").glob("*.json")) == []


def test_who_starts_the_lab_ends_what_a_dead_process_left_out(site: Site) -> None:
    """A machine that is out on purpose is no reason to make the whole lab anew."""
    outages.begin(LAB, POWER_LOSS, "node1", 60, gone())
    outages.settle(LAB)
    assert record.processes(site.plan)["node1"].alive()


@pytest.mark.usefixtures("site")
def test_who_starts_the_lab_during_an_outage_is_told_whose_it_is() -> None:
    """A process that lives has it out on purpose: nobody takes its lab away."""
    outages.begin(LAB, PAUSE, ETCD, 60, own())
    with pytest.raises(RefusedError, match=rf"etcd is out on purpose \(pause\), by process {os.getpid()}"):
        outages.settle(LAB)
    outages.end(LAB, PAUSE, ETCD)


@pytest.mark.parametrize(
    ("what", "args", "told"),
    [
        ("power_loss", {"node": "control-plane"}, "expected one of node1, got 'control-plane'"),
        ("pause", {"component": "kube-proxy"}, "expected one of kube-apiserver, etcd, kube-scheduler"),
        ("pause", {"component": SCHEDULER}, "kube-scheduler does not run"),
        ("reboot", {"node": "node1"}, "expected one of .*power_loss"),
        ("power_loss", {}, "expected one of .*power_loss"),
    ],
)
def test_what_is_not_offered_is_refused(site: Site, what: str, args: dict[str, str], told: str) -> None:
    """The error names what there is; nothing was touched."""
    with pytest.raises(RefusedError, match=told):
        LabPowers(LAB).begin(what, 60, **args)
    assert not site.ended
    assert not site.paused()
    assert list(site.plan.folder.glob("outages/*.json")) == []


@pytest.mark.usefixtures("site")
def test_the_same_outage_is_not_begun_twice() -> None:
    """The first one would be ended by the second one's watcher."""
    outages.begin(LAB, PAUSE, ETCD, 60, own())
    with pytest.raises(RefusedError, match="out already"):
        outages.begin(LAB, PAUSE, ETCD, 60, own())
    outages.end(LAB, PAUSE, ETCD)


@pytest.mark.parametrize("acted", [False, True], ids=["before the act", "in the act"])
def test_what_a_killed_process_left_half_begun_is_ended_by_the_next_beginning(
    site: Site, acted: bool
) -> None:
    """It was killed before it had set the watcher; its note keeps nobody from taking the power again."""
    before = record.processes(site.plan)["node1"]
    left = outages.Outage(lab=LAB, what=POWER_LOSS, subject="node1", owner=gone(), argv=["sleep", "60"])
    file = site.plan.folder / "outages" / "power_loss-node1.json"
    file.parent.mkdir()
    file.write_text(json.dumps(left.as_json()))
    if acted:
        before.end(grace_s=0)
        site.children[1].wait()
    outages.begin(LAB, POWER_LOSS, "node1", 60, own())
    # What was left of the machine ends before it is started again.
    assert (site.ended, site.launched) == (["node1"] * (1 + acted), ["sleep 60"] * acted)
    outages.end(LAB, POWER_LOSS, "node1")
    assert not file.exists()


def test_ending_what_was_never_begun_is_harmless(site: Site) -> None:
    """Also where there is no such lab."""
    LabPowers(LAB).end("power_loss", node="node1")
    LabPowers("elsewhere").end("pause", component=ETCD)
    assert site.launched == []
