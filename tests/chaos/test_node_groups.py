"""A container's cgroups as files: both versions, both drivers' names, and other paths."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from chaos.node import groups, processes
from core.errors import RefusedError
from core.processes import ProcessId

ID = "ab" * 32
MIB = 1 << 20
V2: Mapping[str, str] = {
    "cgroup.controllers": "cpuset cpu io memory pids",
    "cgroup.procs": "42\n",
    "cpu.stat": "usage_usec 1500000\nnr_periods 40\nnr_throttled 30\nthrottled_usec 250000\n",
    "cpu.max": "50000 100000\n",
    "memory.current": str(100 * MIB),
    "memory.max": f"{256 * MIB}\n",
    "memory.stat": f"anon 5\ninactive_file {40 * MIB}\n",
    "memory.events": "low 0\noom 3\noom_kill 2\n",
}
V1: Mapping[str, Mapping[str, str]] = {
    "cpu": {
        "cgroup.procs": "42\n",
        "cpu.stat": "nr_periods 40\nnr_throttled 30\nthrottled_time 250000000\n",
        "cpu.cfs_quota_us": "50000",
        "cpu.cfs_period_us": "100000",
    },
    "cpuacct": {"cgroup.procs": "42\n", "cpuacct.usage": "1500000000"},
    "memory": {
        "cgroup.procs": "42\n",
        "memory.usage_in_bytes": str(100 * MIB),
        "memory.limit_in_bytes": str(256 * MIB),
        "memory.stat": f"cache 5\ntotal_inactive_file {40 * MIB}\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    },
}
POD = Path("kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice")
SCOPE = POD / f"cri-containerd-{ID}.scope"


def write(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch):
    """Let process 42 be the container's, with what /proc says of its groups and of the mounts."""

    def see(mounts: list[tuple[str, Path, tuple[str, ...]]], paths: Mapping[str, str]) -> groups.Groups:
        main = processes.Process(
            id=ProcessId(pid=42, start_ticks=1), name="it", state="S", parent=1, group=ID
        )
        monkeypatch.setattr(processes, "main_of", lambda _: main)
        monkeypatch.setattr(groups, "_hierarchies", lambda: iter(mounts))
        monkeypatch.setattr(groups, "_paths", lambda _: dict(paths))
        return groups.of_container(ID)

    return see


def check(found: groups.Groups) -> None:
    cpu, memory = found.cpu(), found.memory()
    assert (cpu.usage_s, cpu.periods, cpu.throttled, cpu.throttled_s) == (1.5, 40, 30, 0.25)
    assert cpu.limit_cores == 0.5
    assert (memory.working_set_bytes, memory.limit_bytes) == (60 * MIB, 256 * MIB)
    assert (memory.headroom_bytes, memory.oom_kills) == (196 * MIB, 2)


@pytest.mark.parametrize("path", [f"/{SCOPE}", f"/../../{SCOPE.name}"], ids=["node", "namespace"])
def test_version_2_has_one_folder_for_all(tmp_path: Path, seen, path: str) -> None:
    """It is found by its name where a cgroup namespace hides the way to it."""
    folder = write(tmp_path / SCOPE, V2)
    found = seen([("v2", tmp_path, ("cpu", "cpuset", "memory"))], {"": path})
    check(found)
    assert found.joined_by(["cpu", "cpuset"]) == [folder / "cgroup.procs"]
    with pytest.raises(RefusedError, match="no cgroup controller 'cpuacct'"):
        found.joined_by(["cpuacct"])
    (folder / "cpu.max").write_text("max 100000\n")
    (folder / "memory.max").write_text("max\n")
    assert (found.cpu().limit_cores, found.memory().limit_bytes) == (None, None)


def test_version_1_has_a_folder_for_each_and_an_empty_version_2_beside_them(tmp_path: Path, seen) -> None:
    """As on a hybrid node, where the runtime makes a group without controllers in the latter."""
    path = f"kubepods/burstable/pod1/{ID}"
    for name, files in V1.items():
        write(tmp_path / name / path, files)
    write(tmp_path / "unified" / path, {"cgroup.controllers": "", "cgroup.procs": ""})
    mounts = [("v1", tmp_path / name, (name,)) for name in V1]
    found = seen(
        [("v2", tmp_path / "unified", ("cpu", "cpuset", "memory")), *mounts],
        dict.fromkeys(["", *V1], f"/{path}"),
    )
    check(found)
    assert found.joined_by(["memory"]) == [tmp_path / "memory" / path / "cgroup.procs"]
    (tmp_path / "cpu" / path / "cpu.cfs_quota_us").write_text("-1")
    (tmp_path / "memory" / path / "memory.limit_in_bytes").write_text("9223372036854771712")
    assert (found.cpu().limit_cores, found.memory().limit_bytes) == (None, None)


def test_who_joins_goes_where_the_main_process_is(tmp_path: Path, seen) -> None:
    """A container that made groups of its own has no process beside them; its limits stay where they are."""
    folder = write(tmp_path / SCOPE, {**V2, "cgroup.procs": ""})
    inner = write(folder / "init", {"cgroup.procs": "42\n"})
    found = seen([("v2", tmp_path, ("cpu", "memory"))], {"": f"/{SCOPE}/init"})
    assert found.joined_by(["cpu"]) == [inner / "cgroup.procs"]
    check(found)


def test_cgroups_that_are_not_seen_are_refused(tmp_path: Path, seen) -> None:
    """An agent without the node's /sys/fs/cgroup says so."""
    with pytest.raises(RefusedError, match="expected the node's /sys/fs/cgroup"):
        seen([("v2", tmp_path, ("cpu", "memory"))], {"": f"/{SCOPE}"})
