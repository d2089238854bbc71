"""The mounts of a node and of its containers, read from /proc; nothing here mounts anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from chaos.node import processes
from core.errors import MisuseError, RefusedError

# Where kubelet mounts what belongs to one pod, or to a volume's driver.
_OF_A_VOLUME = re.compile(r"/pods/[^/]+/volumes/|/plugins/kubernetes\.io/")
_ESCAPED = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, kw_only=True)
class Mount:
    """One line of proc(5) mountinfo: `root` is the folder of the file system that shows at `point`."""

    id: int
    parent: int
    device: str
    root: str
    point: str
    options: frozenset[str]
    shared: bool
    file_system: str

    @property
    def read_only(self) -> bool:
        """Tell whether nothing can be written through this mount."""
        return "ro" in self.options

    def inside(self, name: str) -> str:
        """Return where a file of this name at the mount's top lies within its file system."""
        return str(PurePosixPath(self.root) / name)


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A mount namespace, by its inode and one process that is in it."""

    inode: int
    pid: int
    process: str
    of_pod: bool
    mounts: tuple[Mount, ...]

    def path(self, point: str) -> Path:
        """Return the path by which this process reaches what is at `point` there."""
        return processes.PROC / str(self.pid) / "root" / point.lstrip("/")


def of_container(container_id: str) -> Namespace:
    """Return the mount namespace of a container. RefusedError when it has no process."""
    main = processes.main_of(container_id)
    found = _namespace(main)
    if found is None:
        raise RefusedError(f"container {container_id}: its process {main.id.pid} has just ended")
    return found


def namespaces() -> Iterator[Namespace]:
    """Yield every mount namespace of the node that has a process."""
    seen: set[int] = set()
    for process in processes.every():
        try:
            inode = (processes.PROC / str(process.id.pid) / "ns" / "mnt").stat().st_ino
        except OSError:
            continue  # it ended meanwhile
        if inode not in seen:
            found = _namespace(process)
            if found is not None:
                seen.add(inode)
                yield found


def at(namespace: Namespace, point: object) -> Mount:
    """Return the mount at exactly this path; the uppermost one.

    MisuseError for what is no path, RefusedError for a path that is no mount of its own, or the root.
    """
    if not isinstance(point, str) or not point.startswith("/") or ".." in point.split("/"):
        raise MisuseError(f"path: expected an absolute path of the container, got {point!r}")
    clean = "/" + point.strip("/")
    found = [mount for mount in namespace.mounts if mount.point == clean]
    if not found or clean == "/":
        points = sorted({mount.point for mount in namespace.mounts if not _kernels(mount)})
        raise RefusedError(f"path: {clean} is no mount of its own in the container; these are: {points}")
    return found[-1]


def stacked(namespace: Namespace) -> list[Mount]:
    """Return the mounts that lie upon another one of the very same folder; no runtime makes such."""
    by_id = {mount.id: mount for mount in namespace.mounts}
    found = []
    for mount in namespace.mounts:
        below = by_id.get(mount.parent)
        if below and (below.point, below.device, below.root) == (mount.point, mount.device, mount.root):
            found.append(mount)
    return found


def owners(device: str) -> list[str]:
    """Return where the node itself has a file system mounted, outside what kubelet mounts for pods."""
    return sorted(
        {
            mount.point
            for namespace in namespaces()
            if not namespace.of_pod
            for mount in namespace.mounts
            if mount.device == device and not _OF_A_VOLUME.search(mount.point)
        }
    )


def paths_of(device: str, inside: str) -> Iterator[Path]:
    """Yield paths that lead to a file of a file system, through any mount of it.

    One that is covered by another mount leads elsewhere: the file's name has to be a unique one.
    """
    for namespace in namespaces():
        for mount in namespace.mounts:
            if mount.device != device or mount.read_only:
                continue
            try:
                rest = PurePosixPath(inside).relative_to(mount.root)
            except ValueError:
                continue  # not below this mount's folder
            yield namespace.path(mount.point) / rest


def _namespace(process: processes.Process) -> Namespace | None:
    folder = processes.PROC / str(process.id.pid)
    try:
        inode = (folder / "ns" / "mnt").stat().st_ino
        lines = (folder / "mountinfo").read_text().splitlines()
    except OSError:
        return None  # it ended meanwhile
    if not lines:
        return None  # it is just ending
    return Namespace(
        inode=inode,
        pid=process.id.pid,
        process=process.name,
        of_pod=process.in_pod,
        mounts=tuple(_mount(line) for line in lines),
    )


def _mount(line: str) -> Mount:
    before, _, after = line.partition(" - ")
    fields = before.split(" ")
    return Mount(
        id=int(fields[0]),
        parent=int(fields[1]),
        device=fields[2],
        root=_plain(fields[3]),
        point=_plain(fields[4]),
        options=frozenset(fields[5].split(",")),
        shared=any(one.startswith("shared:") for one in fields[6:]),
        file_system=after.split(" ")[0],
    )


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found.group(1), 8)), text)


def _kernels(mount: Mount) -> bool:
    return mount.point == "/" or mount.point.startswith(("/proc", "/sys", "/dev"))
