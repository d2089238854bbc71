"""All that a lab could leave behind on a machine, read twice and compared.

What the comparison can not see, on purpose: files of the caches and the lock files of the state (both
stay), processes and sockets that neither a test nor a lab caused, what systemd does in its own slices, a
sysctl that only appears (it came with a link or a kernel module; links are compared by themselves), and
sysctls that change with time.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.places import cache, state
from core.processes import gone, run
from lab import cgroups

_PR_SET_CHILD_SUBREAPER = 36
_LAB_CGROUP = "ecochain-verify"
_COUNTERS = re.compile(r"\[[0-9]+:[0-9]+\]")
# Counters, random numbers and what the kernel itself tunes. Two readings 20 s apart showed the first seven.
RESTLESS_SYSCTLS = frozenset(
    {
        "fs/dentry-state",
        "fs/file-nr",
        "fs/inode-nr",
        "fs/inode-state",
        "fs/quota/syncs",
        "kernel/ns_last_pid",
        "kernel/random/uuid",
        "fs/aio-nr",
        "kernel/perf_event_max_sample_rate",
        "kernel/pty/nr",
        "kernel/random/entropy_avail",
        "net/netfilter/nf_conntrack_count",
        "vm/stat_refresh",
    }
)
# Where a node's programs write by default, were they not told otherwise.
HOST_FOLDERS = (
    "/var/lib/kubelet",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/etcd",
    "/var/log/pods",
    "/var/log/containers",
    "/etc/cni",
    "/etc/kubernetes",
    "/opt/cni",
    "/opt/containerd",
    "/run/containerd",
    "/run/flannel",
    "/run/netns",
    "/run/runc",
    "/usr/libexec/kubernetes",
    "/var/run/kubernetes",
)


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The machine at one moment: of each kind, one line a thing."""

    kinds: Mapping[str, frozenset[str]]


def snapshot() -> Snapshot:
    """Read the machine.

    The calling process adopts its orphaned descendants from the first call on, so that a process that
    the tests caused is always found below it, and no other process of the machine disturbs.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return Snapshot(kinds={kind: frozenset(read()) for kind, read in _READERS.items()})


def difference(before: Snapshot, after: Snapshot) -> list[str]:
    """Return what was added, removed or changed, a line each that begins with its kind; none if equal."""
    told: list[str] = []
    for kind, earlier in before.kinds.items():
        later = after.kinds[kind]
        if kind == "sysctl":
            told += _changed_values(earlier, later)
            continue
        told += [f"{kind} added: {line}" for line in sorted(later - earlier)]
        told += [f"{kind} removed: {line}" for line in sorted(earlier - later)]
    return told


def _changed_values(earlier: Iterable[str], later: Iterable[str]) -> list[str]:
    old, new = (dict(line.split(" = ", 1) for line in lines) for lines in (earlier, later))
    return [
        f"sysctl changed: {name} from {old[name]} to {new[name]}"
        for name in sorted(old.keys() & new.keys())
        if old[name] != new[name]
    ]


def _stat(pid: int) -> list[str] | None:
    """Return proc(5)'s fields of a process from the third on, None when it has gone or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if gone(fields) else fields


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _our_pids() -> set[int]:
    """Return this process, its descendants, and whatever is in a lab's cgroup or runs a lab's program."""
    stats = {pid: fields for pid in _all_pids() if (fields := _stat(pid)) is not None}
    ours = {os.getpid()} | (cgroups.pids(_LAB_CGROUP) & stats.keys())
    for pid in stats:
        with suppress(OSError):
            if str(Path(f"/proc/{pid}/exe").readlink()).startswith(f"{cache()}/toolchain-"):
                ours.add(pid)
    size = 0
    while size != len(ours):
        size = len(ours)
        ours |= {pid for pid, fields in stats.items() if int(fields[1]) in ours}
    return ours


def _processes() -> Iterator[str]:
    for pid in _our_pids() - {os.getpid()}:
        fields = _stat(pid)
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if fields is not None:
                yield f"{pid} started at {fields[19]}: {words.strip()[:120]}"


def _foreign_sockets() -> set[str]:
    """Return the inodes of the sockets that are held by processes which are none of ours."""
    found: set[str] = set()
    for pid in set(_all_pids()) - _our_pids():
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    target = str(descriptor.readlink())
                    if target.startswith("socket:["):
                        found.add(target.removeprefix("socket:[").rstrip("]"))
    return found


def _network_namespaces() -> Iterator[str]:
    if Path("/run/netns").exists():
        yield "/run/netns"
        yield from (str(path) for path in Path("/run/netns").iterdir())
    for pid in _our_pids():
        with suppress(OSError):
            yield str(Path(f"/proc/{pid}/ns/net").readlink())
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - nsfs " in line:
            yield line.split()[3]


def _ip(*words: str) -> list[dict[str, Any]]:
    text = run(["ip", "-j", *words], timeout_s=10).stdout.strip()
    return json.loads(text) if text else []


def _links() -> Iterator[str]:
    for link in _ip("-d", "link"):
        kept = ("ifname", "link", "flags", "mtu", "qdisc", "master", "operstate", "address", "linkinfo")
        yield _steady({name: link[name] for name in kept if name in link})


def _addresses() -> Iterator[str]:
    for link in _ip("address"):
        for address in link.get("addr_info", []):
            yield f"{link['ifname']} {_steady(address)}"


def _routes() -> Iterator[str]:
    for family in ("-4", "-6"):
        for route in _ip(family, "route", "show", "table", "all"):
            yield f"route {family} {_steady(route)}"
        for rule in _ip(family, "rule"):
            yield f"rule {family} {_steady(rule)}"


def _steady(thing: Mapping[str, Any]) -> str:
    """Return it as text, without the times that run down and the timers and counters of a bridge."""
    restless = ("life_time", "expires", "timer", "age", "forward_delay")

    def strip(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {k: strip(v) for k, v in value.items() if not any(word in k for word in restless)}
        return [strip(v) for v in value] if isinstance(value, list) else value

    return json.dumps(strip(thing), sort_keys=True)


def _mounts() -> Iterator[str]:
    # Without the mount's and its parent's number, which a remount elsewhere shifts.
    lines = Counter(
        " ".join(line.split()[2:]) for line in Path("/proc/self/mountinfo").read_text().splitlines()
    )
    yield from (f"{line} (times {times})" for line, times in lines.items())


def _cgroup_folders() -> Iterator[str]:
    for _, root in cgroups.hierarchies():
        for folder, below, _ in os.walk(root):
            if Path(folder) == root:
                below[:] = [name for name in below if not name.endswith((".slice", ".scope", ".service"))]
            yield from (f"{folder}/{name}" for name in below)


def _iptables() -> Iterator[str]:
    for program in ("iptables-save", "ip6tables-save"):
        for line in run([program], timeout_s=10).stdout.splitlines():
            if not line.startswith("#"):
                yield f"{program}: {_COUNTERS.sub('', line)}"


def _nft() -> Iterator[str]:
    table = ""
    for line in run(["nft", "--stateless", "list", "ruleset"], timeout_s=10).stdout.splitlines():
        table = line.rstrip("{ ") if line.startswith("table") else table
        if line.strip() not in ("", "}"):
            yield f"{table}: {line.strip()}"


def _sysctls() -> Iterator[str]:
    for folder, _, names in os.walk("/proc/sys"):
        for name in names:
            path = Path(folder, name)
            key = str(path.relative_to("/proc/sys"))
            if key in RESTLESS_SYSCTLS:
                continue
            try:
                yield f"{key} = {path.read_bytes().decode(errors='replace').strip()!r}"
            except OSError:
                continue  # write-only, or of a link that just went


def _unix_sockets() -> Iterator[str]:
    foreign = _foreign_sockets()
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split(maxsplit=7)
        # Listening ones; a connected one bears its listener's path.
        if len(fields) == 8 and fields[3] == "00010000" and fields[6] not in foreign:
            yield fields[7]


def _listeners() -> Iterator[str]:
    foreign = _foreign_sockets()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path("/proc/net", name).read_text().splitlines()[1:]:
            _, local, _, status, *rest = line.split()
            # Listening; of UDP: bound. One that no process holds any more has inode 0, and no owner.
            if status in ("0A", "07") and rest[5] not in foreign:
                yield f"{name} {local}"


def _files() -> Iterator[str]:
    for top in (Path(folder) for folder in HOST_FOLDERS):
        if top.exists():
            yield str(top)
            yield from (str(path) for path in _tree(top))
    yield from (str(path) for path in Path("/run").glob("ecochain*"))
    yield from (str(path) for path in _tree(state() / "labs"))
    for path in _tree(state()):
        # A lock's file has to stay; the logs of a start that failed are kept to be read.
        kept = path.suffix == ".lock" or path.relative_to(state()).parts[0] in ("locks", "failed")
        if path.is_file() and not kept:
            yield str(path)


def _tree(top: Path) -> Iterator[Path]:
    # os.walk passes over a folder that goes away meanwhile, where pathlib's walk raises.
    for folder, folders, files in os.walk(top):
        yield from (Path(folder, name) for name in (*folders, *files))


_READERS: Mapping[str, Callable[[], Iterator[str]]] = {
    "process": _processes,
    "network namespace": _network_namespaces,
    "link": _links,
    "address": _addresses,
    "route": _routes,
    "mount": _mounts,
    "cgroup": _cgroup_folders,
    "iptables": _iptables,
    "nft": _nft,
    "sysctl": _sysctls,
    "unix socket": _unix_sockets,
    "listener": _listeners,
    "file": _files,
}
