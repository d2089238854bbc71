"""fill_volume: a file that leaves no room on a volume of limited size, as the container sees it: ENOSPC.

Never on a file system of the node's own, and none larger than `largest_bytes` (by default 1 GiB). A file in
memory (tmpfs) counts for the container's memory, as if it had written it itself, and must fit there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.agents import Act
from chaos.node import groups, hog_handle, mounts, processes
from chaos.node.act_kind import Note
from core.errors import EnvironmentFailedError, MisuseError, RefusedError

KIND = "fill_volume"
LASTS = True
PREFIX = ".ecochain-chaos-"
LARGEST_BYTES = 1 << 30
_MARGIN_BYTES = 8 << 20  # of memory, for the writer's own sake
_FILL_S = 30.0


def check(act: Act) -> None:
    """Refuse what is no volume of the container's own, read-only, too large, or would cause an OOM kill."""
    if set(act.params) - {"path", "largest_bytes"}:
        raise MisuseError(f"{KIND}: expected the parameters path and largest_bytes, got {sorted(act.params)}")
    largest = act.params.get("largest_bytes", LARGEST_BYTES)
    if not isinstance(largest, int) or isinstance(largest, bool) or largest <= 0:
        raise MisuseError(f"{KIND}: largest_bytes: expected a number of bytes, got {largest!r}")
    space = mounts.of_container(act.container_id)
    mount = mounts.at(space, act.params.get("path"))
    if mount.read_only:
        raise RefusedError(f"{KIND}: {mount.point} is mounted read-only")
    owners = mounts.owners(mount.device)
    if owners:
        raise RefusedError(
            f"{KIND}: {mount.point} is on a file system of the node's own ({mount.file_system}, mounted at "
            f"{', '.join(owners[:3])}); expected a volume of its own with a limited size"
        )
    size = os.statvfs(space.path(mount.point))
    total, free = size.f_blocks * size.f_frsize, size.f_bfree * size.f_frsize
    if not 0 < total <= largest:
        raise RefusedError(
            f"{KIND}: {mount.point} has {total or 'no limit of'} bytes; "
            f"expected at most largest_bytes={largest}"
        )
    memory = groups.of_container(act.container_id).memory() if mount.file_system == "tmpfs" else None
    if memory and memory.limit_bytes and memory.headroom_bytes < free + _MARGIN_BYTES:
        raise RefusedError(
            f"{KIND}: {mount.point} is in memory and has {free} bytes free, but the container only "
            f"{memory.headroom_bytes} below its limit: it would be OOM-killed before the volume is full"
        )


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Write the file until not one byte more fits."""
    space = mounts.of_container(act.container_id)
    mount = mounts.at(space, act.params["path"])
    name = PREFIX + act.id
    file = space.path(mount.point) / name
    size = os.statvfs(file.parent)
    note(device=mount.device, inside=mount.inside(name))
    in_memory = mount.file_system == "tmpfs"
    joins = groups.of_container(act.container_id).joined_by(["memory"]) if in_memory else []
    said = hog_handle.start(
        act,
        "fill",
        {
            "container_pid": processes.main_of(act.container_id).id.pid,
            "joins": [str(one) for one in joins],
            "path": str(file),
            # A file system that takes more than it had at first is not of limited size.
            "most_bytes": size.f_bfree * size.f_frsize + (16 << 20),
        },
        ready_s=_FILL_S,
    )
    hog_handle.end(act.id)
    return {
        "path": mount.point,
        "file": name,
        "filled_bytes": said["filled_bytes"],
        "file_system": mount.file_system,
        "size_bytes": size.f_blocks * size.f_frsize,
        "before_free_bytes": size.f_bfree * size.f_frsize,
    }


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Remove the file, through whatever mount still leads to it; a volume without any has gone."""
    hog_handle.end(act.id)
    if not noted:
        return
    paths = list(mounts.paths_of(noted["device"], noted["inside"]))
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue  # through another one, perhaps
    left = [str(path) for path in paths if _there(path)]
    if left:
        raise EnvironmentFailedError(f"{KIND} {act.id}: could not remove {left}")


def remainders() -> list[Mapping[str, Any]]:
    """Return the files of that name at the top of any volume, and what still writes one."""
    found: dict[tuple[str, str], str] = {}
    for space in mounts.namespaces():
        for mount in space.mounts:
            if space.of_pod or "/pods/" in mount.point:
                for name in _names(space.path(mount.point)):
                    found.setdefault((mount.device, mount.inside(name)), f"{mount.point}/{name}")
    left: list[Mapping[str, Any]] = [
        {"where": where, "what": f"a file that fills the file system {device}"}
        for (device, _), where in sorted(found.items())
    ]
    return left + [
        {"where": f"process {process.id.pid}", "what": "fills a volume for a fault"}
        for process in hog_handle.found("fill")
    ]


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder) if entry.name.startswith(PREFIX)]
    except OSError:
        return []  # a file, or it ended meanwhile


def _there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True
