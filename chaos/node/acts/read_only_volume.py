"""read_only_volume: a volume of a container that refuses every write with EROFS, as a failed disk does.

A read-only mount of the same folder is laid upon it, in the container's mount namespace alone. Files that are
open stay what they were. Laid upon it rather than remounted, it is recognised for what it is, without notes.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import mounts
from chaos.node.act_kind import Note
from core.errors import EnvironmentFailedError, MisuseError, RefusedError
from core.processes import run

KIND = "read_only_volume"
LASTS = True


def check(act: Act) -> None:
    """Refuse what is no mount of its own, read-only already, shared with the node, or has mounts below."""
    if set(act.params) - {"path"}:
        raise MisuseError(f"{KIND}: expected the parameter path, got {sorted(act.params)}")
    space = mounts.of_container(act.container_id)
    mount = mounts.at(space, act.params.get("path"))
    if mount.point.startswith(("/proc", "/sys", "/dev")):
        raise RefusedError(f"{KIND}: {mount.point} is the kernel's, no volume")
    if mount.read_only:
        raise RefusedError(f"{KIND}: {mount.point} is mounted read-only already")
    if mount.shared:
        raise RefusedError(f"{KIND}: {mount.point} passes its mounts on to the node (mountPropagation)")
    below = [one.point for one in space.mounts if one.point.startswith(mount.point + "/")]
    if below:
        raise RefusedError(f"{KIND}: {mount.point} has mounts below it that would be hidden: {below}")


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Lay the read-only mount upon the volume and see it there."""
    space = mounts.of_container(act.container_id)
    point = mounts.at(space, act.params["path"]).point
    note(namespace=space.inode, point=point)
    _change("cover", space, point)
    seen = mounts.of_container(act.container_id)
    if not mounts.at(seen, point).read_only:
        raise EnvironmentFailedError(f"{KIND} {act.id}: {point} is not read-only after it was made so")
    return {"path": point, "mount_namespace": space.inode}


def end(act: Act, noted: Mapping[str, Any]) -> None:  # noqa: ARG001 - the notes have the namespace
    """Take it away. A mount namespace without a process has gone, and the mount with it."""
    for space in mounts.namespaces():
        if space.inode == noted.get("namespace"):
            for mount in mounts.stacked(space):
                if mount.point == noted["point"]:
                    _change("uncover", space, mount.point)


def remainders() -> list[Mapping[str, Any]]:
    """Return the mounts of pods that lie upon the very same folder."""
    return [
        {
            "where": f"{mount.point} of process {space.pid} ({space.process})",
            "what": "covered by a mount of the same folder",
        }
        for space in mounts.namespaces()
        if space.of_pod
        for mount in mounts.stacked(space)
    ]


def _change(what: str, space: mounts.Namespace, point: str) -> None:
    run([sys.executable, "-m", "chaos.node.covering", what, str(space.pid), point], timeout_s=20)
