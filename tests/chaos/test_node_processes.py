"""Acts on real processes: which belong to a container, how they are stopped, killed and let go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from chaos.agents import Act
from chaos.node import guardian, netns, processes
from chaos.node.acts import ACTS, freeze_container, freeze_program, signal_container
from chaos.node.questions import QUESTIONS
from core.errors import EnvironmentFailedError, MisuseError, RefusedError
from core.processes import ProcessId
from core.waiting import wait_until

CONTAINER = "c" * 64
_GROUPS = {
    "v1": f"4:memory:/kubepods/pod1/{CONTAINER}\n1:name=systemd:/kubepods/pod1/{CONTAINER}\n",
    "v2 by systemd": f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{CONTAINER}.scope\n",
    "v2 from a namespace": f"0::/../../kubepods-pod1.slice/cri-containerd-{CONTAINER}.scope/own\n",
}


def fake_process(proc: Path, pid: int, *, parent: int, group: str, name: str = "a (b) c") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    fields = ["S", str(parent), *["0"] * 17, str(pid * 10), "0"]
    (folder / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}\n")
    (folder / "cgroup").write_text(group)


@pytest.mark.parametrize("group", list(_GROUPS.values()), ids=list(_GROUPS))
def test_a_containers_processes_are_found_by_its_id_in_their_cgroups(
    group: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In every form of cgroups; the main one is that whose parent is outside, whatever its name is."""
    monkeypatch.setattr(processes, "PROC", tmp_path)
    fake_process(tmp_path, 7, parent=1, group="0::/system.slice/kubelet.service\n", name="kubelet")
    fake_process(tmp_path, 30, parent=20, group=group)
    fake_process(tmp_path, 20, parent=7, group=group)
    fake_process(tmp_path, 40, parent=7, group=group.replace("c" * 64, "d" * 64), name="kubelet")
    (tmp_path / "50").mkdir()  # it has just ended
    assert [p.id.pid for p in processes.of_container(CONTAINER)] == [20, 30]
    assert processes.main_of(CONTAINER).id == ProcessId(pid=20, start_ticks=200)
    assert [p.id.pid for p in processes.of_program("kubelet")] == [7]
    with pytest.raises(RefusedError, match="no process of it on this node"):
        processes.main_of("e" * 64)
    with pytest.raises(MisuseError, match="64 hexadecimal digits"):
        processes.of_container("c")


@pytest.fixture
def family(monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """Give a process with two children, taken for a container."""
    code = "import os, time; [os.fork() for _ in range(2)]; time.sleep(60)"
    main = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)

    def of_container(container_id: str) -> list[processes.Process]:
        if container_id != CONTAINER:
            return []
        return [p for p in processes.every() if os.getpgid(p.id.pid) == main.pid]

    def of_pods() -> list[processes.Process]:
        return of_container(CONTAINER)

    monkeypatch.setattr(processes, "of_container", of_container)
    monkeypatch.setattr(processes, "of_pods", of_pods)
    try:
        wait_until("the family to be there", lambda: len(of_container(CONTAINER)) == 4, 10)
        yield main
    finally:
        os.killpg(main.pid, signal.SIGKILL)
        main.wait()


def act(kind: str, **params: Any) -> Act:
    return Act(id="one", kind=kind, node="n1", container_id=CONTAINER if not params else "", params=params)


def note(**_: Any) -> None:
    """Note nothing."""


@pytest.mark.usefixtures("family")
def test_a_frozen_container_is_stopped_whole_found_by_the_audit_and_goes_on() -> None:
    """One that was stopped before stays as it was; a second undoing changes nothing."""
    before = processes.of_container(CONTAINER)[-1]
    before.id.signal(signal.SIGSTOP)
    noted: dict[str, Any] = {}
    wait_until("the one to be stopped", lambda: processes.look(before.id.pid).stopped, 5)  # type: ignore[union-attr]
    did = freeze_container.begin(act("freeze_container"), noted.update)
    assert [one["state"] for one in did["stopped"]] == ["T"] * 4
    assert QUESTIONS["processes"].ask(container_id=CONTAINER)["processes"] == did["stopped"]
    assert len(freeze_container.remainders()) == 4
    for _ in range(2):
        freeze_container.end(act("freeze_container"), noted)
    wait_until("three to go on", lambda: len(freeze_container.remainders()) == 1, 5)
    freeze_container.end(act("freeze_container"), {})
    wait_until("all to go on", lambda: freeze_container.remainders() == [], 5)


def test_a_killed_container_has_no_process_left(family: subprocess.Popen[bytes]) -> None:
    """Each gets SIGKILL, and is named in the evidence."""
    did = signal_container.begin(act("signal_container"), note)
    assert len(did["killed"]) == 4
    assert family.wait() == -signal.SIGKILL
    wait_until("all to be gone", lambda: processes.of_container(CONTAINER) == [], 5)
    with pytest.raises(RefusedError, match="no process"):
        signal_container.check(act("signal_container"))


@pytest.mark.parametrize("program", ["sshd", "", None])
def test_only_the_nodes_own_managers_can_be_frozen_as_programs(program: object) -> None:
    """The refusal names them."""
    with pytest.raises(MisuseError, match="kubelet, containerd, crio"):
        freeze_program.check(act("freeze_program", program=program))


def test_parameters_that_a_kind_does_not_have_are_refused() -> None:
    """Whatever they are: a misspelt one must not be passed over."""
    wrong = Act(id="one", kind="x", node="n1", container_id=CONTAINER, params={"signal": 9})
    for kind in ("freeze_container", "signal_container"):
        with pytest.raises(MisuseError, match="expected no parameters"):
            ACTS[kind].check(wrong)


@pytest.mark.parametrize("how", ["its input ends", "its time is over"])
def test_the_guardian_lets_the_stopped_go_on(how: str) -> None:
    """When the agent has died, and after the longest time in any case."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    stopped = ProcessId.of(child.pid)
    assert stopped is not None
    longest = "0.3" if how == "its time is over" else "60"
    command = [sys.executable, "-m", guardian.MODULE, "ecochain-chaos-act=one", longest]
    keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        keeper.stdin.write(json.dumps([[stopped.pid, stopped.start_ticks]]) + "\n")
        keeper.stdin.flush()
        json.loads(keeper.stdout.readline())
        stopped.signal(signal.SIGSTOP)
        if how == "its input ends":
            assert keeper.poll() is None
            keeper.stdin.close()
        assert keeper.wait(timeout=10) == 0
        wait_until("it to go on", lambda: processes.look(child.pid).state in "SR", 5)  # type: ignore[union-attr]
    finally:
        for process in (keeper, child):
            process.kill()
            process.wait()
        for pipe in (keeper.stdin, keeper.stdout):
            assert pipe is not None
            pipe.close()


def test_the_guardian_enters_the_groups_of_the_first_process(tmp_path: Path) -> None:
    """In every writable hierarchy that is mounted, v1 by its controllers and v2 by its one."""
    mounts = []
    for number, (kind, name, flags) in enumerate(
        [("cgroup", "cpu,cpuacct", "rw"), ("cgroup", "memory", "ro"), ("cgroup2", "x", "rw")]
    ):
        (tmp_path / str(number) / "init").mkdir(parents=True)
        (tmp_path / str(number) / "init" / "cgroup.procs").write_text("1\n")
        mounts.append(f"1 2 0:1 / {tmp_path}/{number} {flags},nosuid - {kind} {kind} rw,{name}")
    groups = "5:cpu,cpuacct:/init\n4:memory:/init\n1:name=systemd:/init\n0::/init\n"
    entered = guardian.escape("\n".join(mounts), groups)
    assert entered == [f"{tmp_path}/0/init", f"{tmp_path}/2/init"]
    assert (tmp_path / "1/init/cgroup.procs").read_text() == "1\n"


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def test_connections_are_measured_and_their_errors_named() -> None:
    """From the node's own network: an answer's status, a refusal, and what is wrong with a question."""
    server = HTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask, port = QUESTIONS["connect"].ask, server.server_port
    try:
        results = ask(host="127.0.0.1", port=port, count=4, at_once=2, path="/")["results"]
    finally:
        server.shutdown()
        server.server_close()
    assert [(one["status"], one["error"]) for one in results] == [(204, None)] * 4
    assert all(0 < one["connect_s"] < one["total_s"] for one in results)
    refused = ask(host="127.0.0.1", port=port)["results"][0]
    assert "ConnectionRefusedError" in refused["error"]
    for wrong in ({"host": "a.name"}, {"count": 0}, {"count": 100, "timeout_s": 10}):
        with pytest.raises((MisuseError, ValueError)):
            ask(**{"host": "127.0.0.1", "port": port, **wrong})


@pytest.fixture
def other_network() -> Iterator[int]:
    """Give a network namespace of its own, by its inode."""
    if os.geteuid() != 0:
        pytest.skip("a network namespace needs root")
    code = "import sys, time; print(1, flush=True); time.sleep(60)"
    command = ["unshare", "--net", sys.executable, "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield Path(f"/proc/{process.pid}/ns/net").stat().st_ino
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_programs_and_calls_run_within_a_network_namespace(other_network: int) -> None:
    """Only there, errors pass through, and a namespace that has gone is said to be gone."""

    def own() -> int:
        return Path("/proc/thread-self/ns/net").stat().st_ino

    here = own()
    assert netns.call(other_network, own) == other_network != here == own()
    with pytest.raises(ZeroDivisionError):
        netns.call(other_network, lambda: 1 // 0)
    shown = netns.run(other_network, ["readlink", "/proc/self/ns/net"]).stdout.strip()
    assert shown == f"net:[{other_network}]"
    assert netns.pid_in(1) is None
    with pytest.raises(EnvironmentFailedError, match="no process is in it any more"):
        netns.run(1, ["true"])


@pytest.mark.parametrize("holds", ["nothing", "a note"])
def test_the_folder_of_the_notes_goes_from_the_node_if_it_is_empty(holds: str, tmp_path: Path) -> None:
    """By the mount namespace of the node's first process; a note in it stays, with its folder."""
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    folder = tmp_path / "notes"
    folder.mkdir()
    if holds == "a note":
        (folder / "one.json").write_text("{}")
    # A PID namespace of its own, whose first process stands for the node's.
    node = ["unshare", "--pid", "--mount", "--fork", "--mount-proc"]
    command = [*node, "sh", "-c", '"$0" -m chaos.node.departure "$1"; exit $?', sys.executable, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert folder.exists() is (holds == "a note")
