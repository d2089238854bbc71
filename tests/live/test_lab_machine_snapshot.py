"""The snapshot that guards the lab's cleanness sees each kind of thing that could be left."""

from __future__ import annotations

import os
import socket
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from machine_snapshot import difference, snapshot

from core.places import state
from core.processes import ProcessId, run
from core.waiting import wait_until
from lab import cgroups

NAME = "ecvplant"


@contextmanager
def _process() -> Iterator[None]:
    # A grandchild whose parent has ended, as a killed command leaves one.
    done = run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $!"], timeout_s=10)
    orphan = ProcessId.of(int(done.stdout))
    assert orphan is not None
    try:
        yield
    finally:
        orphan.end(grace_s=0)


@contextmanager
def _process_in_a_lab_cgroup() -> Iterator[None]:
    held = subprocess.Popen(["sleep", "600"])
    folders = cgroups.make(f"ecochain-verify/{NAME}")
    try:
        (folders[0] / "cgroup.procs").write_text(str(held.pid))
        yield
    finally:
        held.kill()
        held.wait()
        cgroups.remove(f"ecochain-verify/{NAME}")
        cgroups.remove_if_empty("ecochain-verify")


@contextmanager
def _network_namespace() -> Iterator[None]:
    folder, there = Path("/run/netns"), Path("/run/netns").exists()
    folder.mkdir(exist_ok=True)
    (folder / NAME).touch()
    run(["unshare", f"--net={folder / NAME}", "true"], timeout_s=10)
    try:
        yield
    finally:
        run(["umount", folder / NAME], timeout_s=10)
        (folder / NAME).unlink()
        if not there:
            folder.rmdir()


@contextmanager
def _nameless_network_namespace() -> Iterator[None]:
    held = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    own = Path("/proc/self/ns/net").readlink()
    try:
        theirs = Path(f"/proc/{held.pid}/ns/net")
        wait_until("a namespace of its own", lambda: theirs.readlink() != own, 10)
        yield
    finally:
        held.kill()
        held.wait()


@contextmanager
def _folder_of_network_namespaces() -> Iterator[None]:
    folder = Path("/run/netns")
    if folder.exists():
        pytest.fail("/run/netns exists already: take every lab down first")
    folder.mkdir()
    try:
        yield
    finally:
        folder.rmdir()


@contextmanager
def _link() -> Iterator[None]:
    run(["ip", "link", "add", NAME, "type", "bridge"], timeout_s=10)
    try:
        yield
    finally:
        run(["ip", "link", "delete", NAME], timeout_s=10)


@contextmanager
def _address() -> Iterator[None]:
    run(["ip", "address", "add", "127.77.0.1/32", "dev", "lo"], timeout_s=10)
    try:
        yield
    finally:
        run(["ip", "address", "delete", "127.77.0.1/32", "dev", "lo"], timeout_s=10)


@contextmanager
def _route() -> Iterator[None]:
    where = ["blackhole", "198.51.100.0/24", "table", "7777"]
    run(["ip", "route", "add", *where], timeout_s=10)
    try:
        yield
    finally:
        run(["ip", "route", "delete", *where], timeout_s=10)


@contextmanager
def _mount() -> Iterator[None]:
    folder = Path("/tmp", f"{NAME}-{uuid.uuid4().hex}")
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "tmpfs", folder], timeout_s=10)
    try:
        yield
    finally:
        run(["umount", folder], timeout_s=10)
        folder.rmdir()


@contextmanager
def _cgroup() -> Iterator[None]:
    folder = cgroups.hierarchies()[-1][1] / NAME
    folder.mkdir()
    try:
        yield
    finally:
        folder.rmdir()


@contextmanager
def _iptables_rule() -> Iterator[None]:
    # In a chain of its own that nothing jumps to. The table is removed again if it was not there before.
    there = "table ip raw" in run(["nft", "list", "tables"], timeout_s=10).stdout
    run(["iptables", "-t", "raw", "-N", NAME], timeout_s=10)
    try:
        run(["iptables", "-t", "raw", "-A", NAME, "-j", "RETURN"], timeout_s=10)
        yield
    finally:
        run(["iptables", "-t", "raw", "-F", NAME], timeout_s=10)
        run(["iptables", "-t", "raw", "-X", NAME], timeout_s=10)
        if not there:
            run(["nft", "delete", "table", "ip", "raw"], timeout_s=10)


@contextmanager
def _nft_table() -> Iterator[None]:
    run(["nft", "add", "table", "inet", NAME], timeout_s=10)
    try:
        yield
    finally:
        run(["nft", "delete", "table", "inet", NAME], timeout_s=10)


@contextmanager
def _sysctl() -> Iterator[None]:
    # Reports of link-local multicast groups: nothing of a lab, and hardly anything else, hangs on them.
    path = Path("/proc/sys/net/ipv4/igmp_link_local_mcast_reports")
    old = path.read_text()
    path.write_text("0" if old.strip() == "1" else "1")
    try:
        yield
    finally:
        path.write_text(old)


@contextmanager
def _unix_socket() -> Iterator[None]:
    path = Path("/tmp", f"{NAME}-{uuid.uuid4().hex}.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        try:
            yield
        finally:
            path.unlink()


@contextmanager
def _listener() -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)):
        yield


@contextmanager
def _state_file() -> Iterator[None]:
    path = state() / "labs" / NAME / "left.json"
    there = path.parent.parent.exists()
    path.parent.mkdir(parents=True)
    path.touch()
    try:
        yield
    finally:
        path.unlink()
        path.parent.rmdir()
        if not there:
            path.parent.parent.rmdir()


@contextmanager
def _kubelet_file() -> Iterator[None]:
    folder = Path("/var/lib/kubelet")
    there = folder.exists()
    folder.mkdir(exist_ok=True)
    path = folder / f"{NAME}-{os.getpid()}"
    path.touch()
    try:
        yield
    finally:
        path.unlink()
        if not there:
            folder.rmdir()


@pytest.mark.parametrize(
    ("kind", "planted"),
    [
        ("process", _process),
        ("process", _process_in_a_lab_cgroup),
        ("network namespace", _network_namespace),
        ("network namespace", _nameless_network_namespace),
        ("network namespace", _folder_of_network_namespaces),
        ("link", _link),
        ("address", _address),
        ("route", _route),
        ("mount", _mount),
        ("cgroup", _cgroup),
        ("iptables", _iptables_rule),
        ("nft", _nft_table),
        ("sysctl", _sysctl),
        ("unix socket", _unix_socket),
        ("listener", _listener),
        ("file", _state_file),
        ("file", _kubelet_file),
    ],
    ids=lambda value: getattr(value, "__name__", value).strip("_"),
)
def test_a_planted_remainder_is_found_and_its_removal_too(
    kind: str, planted: Callable[[], AbstractContextManager[None]]
) -> None:
    """A remainder of each kind is named under its kind while it is there, and the machine is equal after."""
    before = snapshot()
    with planted():
        told = difference(before, snapshot())
        assert [line for line in told if line.startswith(f"{kind} ")], told
    assert difference(before, snapshot()) == []


def test_an_untouched_machine_is_equal_to_itself() -> None:
    """Two readings of a machine that nobody changed differ in nothing."""
    assert difference(snapshot(), snapshot()) == []
