"""The acts of pressure on cgroups and mounts that the tests make: what they take, whose, and what is left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from container_alike import ContainerAlike, container_alike

from chaos.node import children, groups, mounts, processes
from chaos.node.acts import ACTS, cpu_hog, fill_volume, memory_hog, read_only_volume
from chaos.node.questions import container_usage, volume_write
from core.errors import MisuseError, RefusedError
from core.waiting import wait_until

MIB = 1 << 20
PRESSURE = (cpu_hog, memory_hog, fill_volume, read_only_volume)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="cgroups and mounts are made by root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "volume"
    made.mkdir()
    return made


@pytest.fixture
def one(tmp_path: Path, folder: Path) -> Iterator[ContainerAlike]:
    """Give a container of half a core and 96 MiB, with 8 MiB of volume in memory and a host's folder."""
    (tmp_path / "hosts").mkdir()
    bound = [(str(tmp_path / "hosts"), str(tmp_path / "hosts"))]
    with container_alike(tmpfs=[(str(folder), "8m")], binds=bound, held_bytes=32 * MIB) as made:
        made.limit(cores=0.5, memory_bytes=96 * MIB)
        yield made


@pytest.fixture(autouse=True)
def a_node_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show the acts what an agent sees, the processes of its PID namespace: a lab beside has others."""
    every, own = processes.every, pid_namespace(os.getpid())
    monkeypatch.setattr(
        processes, "every", lambda: (one for one in every() if pid_namespace(one.id.pid) == own)
    )


def pid_namespace(pid: int) -> int:
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    except OSError:
        return 0  # it ended meanwhile


def left() -> list[str]:
    return [f"{kind.KIND}: {found['where']}" for kind in PRESSURE for found in kind.remainders()]


def test_a_cpu_hog_eats_the_containers_own_share_and_ends(one: ContainerAlike) -> None:
    """The group is at its limit by its own counts, and all of it the hogs'; before and after it is idle."""

    def rates() -> tuple[float, float, float]:
        first = container_usage.ask(container_id=one.id)
        time.sleep(0.6)
        then = container_usage.ask(container_id=one.id)
        span_s = then["at_s"] - first["at_s"]
        return (
            (then["cpu"]["usage_s"] - first["cpu"]["usage_s"]) / span_s,
            (then["hogs"]["used_s"] - first["hogs"]["used_s"]) / span_s,
            (then["node"]["idle_s"] - first["node"]["idle_s"]) / span_s / then["node"]["cores"],
        )

    assert rates()[0] < 0.1
    act = one.act("cpu_hog", count=3)
    began = one.begin(cpu_hog, act)
    assert len(began["hogs"]) == 3
    cores, of_hogs, idle = rates()
    assert cores < 0.65
    assert of_hogs > 0.8 * cores
    assert cores > 0.4 or idle < 0.1  # another's load may leave the machine no more
    assert len(cpu_hog.remainders()) == 4  # with the supervisor, which is not in the container's groups
    one.end(cpu_hog, act)
    one.end(cpu_hog, act)
    assert rates()[0] < 0.1
    assert left() == []


def test_a_memory_hog_holds_up_to_its_share_of_the_limit(one: ContainerAlike) -> None:
    """The working set is what was asked for while it lasts, and the container goes on."""
    act = one.act("memory_hog", mode="share", share=0.8)
    one.begin(memory_hog, act)
    held = container_usage.ask(container_id=one.id)["memory"]
    assert 0.75 < held["working_set_bytes"] / held["limit_bytes"] < 0.88
    one.end(memory_hog, act)
    after = container_usage.ask(container_id=one.id)["memory"]
    assert after["working_set_bytes"] / after["limit_bytes"] < 0.5
    assert one.process.poll() is None
    assert left() == []


def test_a_memory_hog_has_the_service_killed_and_then_ends_by_itself(one: ContainerAlike) -> None:
    """The OOM killer chooses the container's process; the hog leaves the group, so that it can be removed."""
    group = groups.of_container(one.id)
    act = one.act("memory_hog", mode="oom_kill")
    one.begin(memory_hog, act)
    assert one.process.wait(timeout=20) == -signal.SIGKILL
    wait_until("the hogs to end", lambda: not children.found(), 5)
    assert group.memory().oom_kills == 1
    one.end(memory_hog, act)
    assert left() == []


def test_a_hog_that_would_be_the_victim_itself_is_refused() -> None:
    """A service smaller than the hog, whose score is no higher, would be spared."""
    own = Path("/proc/self/oom_score_adj").read_text()
    with container_alike() as small:
        small.limit(memory_bytes=64 * MIB)
        Path("/proc/self/oom_score_adj").write_text("300")
        try:
            Path(f"/proc/{small.pid}/oom_score_adj").write_text("0")
            act = small.act("memory_hog", mode="oom_kill")
            with pytest.raises(RefusedError, match="would choose the hog"):
                small.begin(memory_hog, act)
            small.end(memory_hog, act)
        finally:
            Path("/proc/self/oom_score_adj").write_text(own)
        assert small.process.poll() is None
    assert left() == []


@pytest.mark.parametrize("killed", ["agent", "supervisor"])
def test_hogs_end_with_whom_they_belong_to(one: ContainerAlike, killed: str) -> None:
    """SIGKILL of the agent, or of the supervisor between, leaves no busy process."""
    program = (
        "import sys, time; sys.path[:0] = sys.argv[2:]\n"
        "from chaos.agents import Act; from chaos.node.acts import cpu_hog\n"
        "act = Act(id='act-1', kind='cpu_hog', node='n', container_id=sys.argv[1], params={'count': 2})\n"
        "cpu_hog.begin(act, lambda **_: None); print('begun', flush=True); time.sleep(60)"
    )
    agent = subprocess.Popen([sys.executable, "-c", program, one.id], stdout=subprocess.PIPE)
    assert agent.stdout is not None
    assert agent.stdout.readline() == b"begun\n"
    # Those of a lab on this machine are found as well.
    (supervisor,) = [hog for hog in children.found() if hog.parent == agent.pid]
    hogs = {supervisor.id, *(hog.id for hog in children.found() if hog.parent == supervisor.id.pid)}
    assert len(hogs) == 3

    def living() -> list[processes.Process]:
        return [hog for hog in children.found() if hog.id in hogs]

    try:
        assert len(living()) == 3
        os.kill(agent.pid if killed == "agent" else supervisor.id.pid, signal.SIGKILL)
        wait_until("the hogs to end", lambda: not living(), 5, last=living)
    finally:
        agent.kill()
        agent.wait()
        agent.stdout.close()


def test_a_hog_ends_by_its_own_clock(one: ContainerAlike) -> None:
    """Also when nobody undoes the act: its longest time is over."""
    act = replace(one.act("cpu_hog", count=1), longest_s=0.5)
    one.begin(cpu_hog, act)
    wait_until("the hogs to end", lambda: not children.found(), 5)
    one.end(cpu_hog, act)


def test_a_full_volume_refuses_the_next_byte_until_it_is_undone(one: ContainerAlike, folder: Path) -> None:
    """The container's own writes fail with ENOSPC, and succeed again once the file is gone."""
    assert volume_write.ask(container_id=one.id, path=str(folder))["error"] == ""
    act = one.act("fill_volume", path=str(folder))
    began = one.begin(fill_volume, act)
    assert began["filled_bytes"] == 8 * MIB
    assert volume_write.ask(container_id=one.id, path=str(folder)) == {"error": "ENOSPC", "free_bytes": 0}
    with pytest.raises(OSError, match="No space") as full:
        (one.within(str(folder)) / "byte").write_text("x")
    assert full.value.errno == errno.ENOSPC
    assert left() == [f"fill_volume: {folder}/.ecochain-chaos-act-1"]
    one.end(fill_volume, act)
    one.end(fill_volume, act)
    assert volume_write.ask(container_id=one.id, path=str(folder))["error"] == ""
    assert left() == []


def test_a_half_written_file_of_a_killed_agent_is_removed(one: ContainerAlike, folder: Path) -> None:
    """The notes name the file before it is there; undone by another process, once and again."""
    act = one.act("fill_volume", path=str(folder))
    one.begin(fill_volume, act)
    file = one.within(str(folder)) / ".ecochain-chaos-act-1"
    os.truncate(file, 100)
    one.end(fill_volume, act)
    assert not file.exists()


def test_a_file_system_of_the_nodes_own_is_never_filled(one: ContainerAlike, tmp_path: Path) -> None:
    """A folder of the host's disk, what is larger than allowed, what is no mount: refused by name."""
    for params, message in (
        ({"path": str(tmp_path / "hosts")}, "file system of the node's own"),
        ({"path": str(tmp_path)}, "no mount of its own"),
        ({"path": "/"}, "no mount of its own"),
        (
            {"path": str(tmp_path / "volume"), "largest_bytes": 4 * MIB},
            "expected at most largest_bytes=4194304",
        ),
        ({"path": "volume"}, "expected an absolute path"),
        ({"path": "/a/../b"}, "expected an absolute path"),
        ({}, "expected an absolute path"),
        ({"path": str(tmp_path / "volume"), "colour": 1}, "expected the parameters"),
    ):
        with pytest.raises(MisuseError, match=message):
            fill_volume.check(one.act("fill_volume", **params))
    assert left() == []


def test_a_volume_in_memory_larger_than_what_the_container_has_left_is_refused(
    one: ContainerAlike, folder: Path
) -> None:
    """To fill it would be an OOM kill by another name."""
    one.limit(memory_bytes=46 * MIB)
    with pytest.raises(RefusedError, match="OOM-killed before the volume is full"):
        fill_volume.check(one.act("fill_volume", path=str(folder)))


def test_a_read_only_volume_refuses_writes_and_keeps_what_is_open(one: ContainerAlike, folder: Path) -> None:
    """EROFS in the container, none elsewhere; what was open goes on; afterwards all is as it was."""
    before = mounts.of_container(one.id).mounts
    with (one.within(str(folder)) / "open").open("w") as already:
        act = one.act("read_only_volume", path=str(folder))
        one.begin(read_only_volume, act)
        assert volume_write.ask(container_id=one.id, path=str(folder))["error"] == "EROFS"
        already.write("goes on")
        assert len(left()) == 1
        assert left()[0].startswith(f"read_only_volume: {folder} of process {one.pid}")
        with pytest.raises(RefusedError, match="read-only already"):
            read_only_volume.check(replace(act, id="act-2"))
        one.end(read_only_volume, act)
        one.end(read_only_volume, act)
    assert volume_write.ask(container_id=one.id, path=str(folder))["error"] == ""
    assert mounts.of_container(one.id).mounts == before
    assert left() == []


def test_only_a_mount_of_the_containers_own_becomes_read_only(one: ContainerAlike, tmp_path: Path) -> None:
    """Its root, the kernel's file systems and plain folders are refused, and nothing is mounted."""
    before = mounts.of_container(one.id).mounts
    for path, message in (("/", "no mount of its own"), (str(tmp_path), "no mount"), ("/proc", "kernel's")):
        with pytest.raises(RefusedError, match=message):
            read_only_volume.check(one.act("read_only_volume", path=path))
    assert mounts.of_container(one.id).mounts == before


def test_a_container_without_a_limit_is_refused() -> None:
    """What is eaten there would be the neighbours'."""
    with container_alike() as free:
        with pytest.raises(RefusedError, match="no CPU limit"):
            cpu_hog.check(free.act("cpu_hog"))
        with pytest.raises(RefusedError, match="no memory limit"):
            memory_hog.check(free.act("memory_hog", mode="oom_kill"))


@pytest.mark.parametrize(
    ("kind", "params", "message"),
    [
        ("cpu_hog", {"count": 0}, "expected 1 to 32"),
        ("cpu_hog", {"count": True}, "expected 1 to 32"),
        ("cpu_hog", {"cores": 2}, "expected the parameter count"),
        ("memory_hog", {}, "expected one of share, oom_kill"),
        ("memory_hog", {"mode": "share"}, "expected 0 < share"),
        ("memory_hog", {"mode": "share", "share": 90}, "expected 0 < share"),
        ("memory_hog", {"mode": "oom_kill", "share": 0.5}, "expected none with mode oom_kill"),
        ("memory_hog", {"mode": "share", "share": 0.01}, "no less than the share"),
        ("read_only_volume", {"paths": "/tmp"}, "expected the parameter path"),
    ],
)
def test_wrong_parameters_are_refused(
    one: ContainerAlike, kind: str, params: dict[str, object], message: str
) -> None:
    """By name, with what was expected; nothing is begun."""
    with pytest.raises(MisuseError, match=message):
        ACTS[kind].check(one.act(kind, **params))
    assert left() == []


def test_what_a_fault_left_is_found_without_notes_and_nothing_else(one: ContainerAlike, folder: Path) -> None:
    """A planted hog, file and mount are each listed once; files and mounts of others are not."""
    (one.within(str(folder)) / ".ecochain-other").write_text("of somebody else")
    assert left() == []
    acts = {
        kind: one.act(kind, f"planted-{kind.replace('_', '-')}", **params)
        for kind, params in (
            ("cpu_hog", {"count": 1}),
            ("memory_hog", {"mode": "share", "share": 0.6}),
            ("fill_volume", {"path": str(folder)}),
            ("read_only_volume", {"path": str(folder)}),
        )
    }
    try:
        for kind, act in acts.items():
            one.begin(ACTS[kind], act)
        assert sorted({line.partition(":")[0] for line in left()}) == sorted(acts)
        assert len(left()) == 2 + 2 + 1 + 1  # each hog has a supervisor
    finally:
        for kind, act in reversed(acts.items()):
            one.end(ACTS[kind], act)
    assert left() == []
