"""The lab's record, and who may remove what it tells of."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from core.errors import EnvironmentFailedError
from core.files import append_line
from core.processes import ProcessId
from lab import host_folders, network, record, removal
from lab.plan import MAX_NODES, Plan


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a state of its own to each test."""
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def plan() -> Plan:
    """Give a plan."""
    return Plan(name="here", subnet="10.201.0.0/16", nodes=2, ai_nodes=1)


def _self() -> ProcessId:
    own = ProcessId.of(os.getpid())
    assert own is not None
    return own


def _gone() -> ProcessId:
    ended = subprocess.Popen(["true"])
    ended.wait()
    return ProcessId(pid=ended.pid, start_ticks=1)


def test_a_record_is_read_as_it_was_written(plan: Plan) -> None:
    """Plan, owner, state and time survive."""
    record.write(plan, _self(), "up", started_s=12.5)
    read = record.read("here")
    assert read == record.Record(plan=plan, owner=_self(), started_s=12.5, state="up")
    assert [found.plan for found in record.every()] == [plan]
    assert record.read("elsewhere") is None


@pytest.mark.parametrize(
    ("owner", "state", "left"),
    [
        ("none", "up", False),
        ("self", "up", False),
        ("gone", "up", True),
        ("none", "starting", True),
        ("self", "starting", True),
    ],
)
def test_who_is_gone_or_never_finished_leaves_a_lab_over(
    plan: Plan, owner: str, state: str, left: bool
) -> None:
    """An owner that ended, or a start that did not end while nobody holds the lab's lock."""
    owners = {"none": None, "self": _self(), "gone": _gone()}
    record.write(plan, owners[owner], state)
    read = record.read("here")
    assert read is not None
    assert (read.orphaned, read.interrupted) == (owner == "gone", state == "starting")
    assert removal.left_over("here") == left


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": 1}', '{"name": "here", "owner": 5}'])
def test_a_damaged_record_names_its_file_and_still_tells_of_a_lab(
    plan: Plan, text: str, own_state: Path
) -> None:
    """Reading it is an error with the path; what is there can be removed by the lab's name alone."""
    file = own_state / "labs" / "here" / "lab.json"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(EnvironmentFailedError, match=r"lab\.json: not a lab's record"):
        record.read("here")
    widest = removal.remains("here")
    assert widest is not None
    assert (widest.nodes, removal.left_over("here")) == (MAX_NODES, True)
    assert {m.netns for m in plan.machines} <= {m.netns for m in widest.machines}
    assert (widest.cgroup, widest.host_link, widest.switch) == (plan.cgroup, plan.host_link, plan.switch)


def test_processes_are_read_back_the_latest_of_a_name_counting(plan: Plan) -> None:
    """A line that the writer's end tore off is left out."""
    plan.folder.mkdir(parents=True)
    record.add_process(plan, "node1", ProcessId(pid=1, start_ticks=2))
    record.add_process(plan, "node2", ProcessId(pid=3, start_ticks=4))
    record.add_process(plan, "node1", ProcessId(pid=5, start_ticks=6))
    with (plan.folder / "processes.jsonl").open("a") as torn:
        torn.write('{"name": "node2", "pi')
    assert record.processes(plan) == {
        "node1": ProcessId(pid=5, start_ticks=6),
        "node2": ProcessId(pid=3, start_ticks=4),
    }


def test_reaping_passes_by_what_somebody_works_on(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A half-made lab whose lock is held is being made; once nobody holds it, it is removed."""
    removed: list[str] = []
    monkeypatch.setattr(removal, "remove", lambda found: removed.append(found.name))
    record.write(plan, None, "starting")
    with removal.lock("here"):
        assert removal.reap(lambda _: None) == []
    assert removal.reap(lambda _: None) == removed == ["here"]


def test_reaping_leaves_what_is_up(plan: Plan) -> None:
    """A lab that nobody owns stays until `down`; one whose run goes on stays with that run."""
    for owner in (None, _self()):
        record.write(plan, owner, "up")
        assert removal.reap(lambda _: None) == []
        assert removal.remains("here") == plan


def test_folders_of_the_host_are_made_where_missing_and_only_those_removed(
    tmp_path: Path, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was there, and what somebody has put a file into, stays; the ledger goes."""
    there, missing, used = (tmp_path / name for name in ("there", "missing", "used"))
    there.mkdir()
    own_state.mkdir()
    monkeypatch.setattr(host_folders, "OVERLAID", (there, missing))
    monkeypatch.setattr(host_folders, "_NETNS", used)
    host_folders.make()
    assert missing.is_dir()
    (used / "file").touch()
    host_folders.remove()
    assert (there.exists(), missing.exists(), used.exists()) == (True, False, True)
    assert list(own_state.iterdir()) == []
    host_folders.remove()
    assert there.exists()


def test_a_subnet_that_overlaps_one_of_this_machine_is_named() -> None:
    """Loopback is a link that every machine has."""
    assert network.taken_by("127.0.0.0/16") == "link lo has 127.0.0.1/8"


def test_a_line_of_another_kind_in_the_ledger_harms_nothing(own_state: Path) -> None:
    """A folder that has gone meanwhile, as at a reboot, is passed by."""
    own_state.mkdir()
    append_line(own_state / "host-folders.jsonl", {"folder": str(own_state / "gone")})
    host_folders.remove()
    assert list(own_state.iterdir()) == []
