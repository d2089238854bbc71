"""Cover a mount with a read-only one of the same folder, within another mount namespace, and uncover it.

`python -m chaos.node.covering cover|uncover PID POINT`: a program of its own, since only a process with a
single thread may enter a mount namespace.
"""

from __future__ import annotations

import ctypes
import os
import sys

_CLONE_NEWNS = 0x00020000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND = 1, 32, 4096
_MNT_DETACH = 2
# What statvfs tells of the mount, by the flag that a remount must repeat to keep it.
_KEPT = {
    os.ST_NOSUID: 2,
    os.ST_NODEV: 4,
    os.ST_NOEXEC: 8,
    os.ST_NOATIME: 1024,
    os.ST_NODIRATIME: 2048,
    os.ST_RELATIME: 1 << 21,
}


def main(what: str, pid: str, point: str) -> None:
    """Do it; OSError with the call that failed."""
    library = ctypes.CDLL(None, use_errno=True)

    def call(name: str, *args: object) -> None:
        if getattr(library, name)(*args) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name} at {point} of process {pid}: {os.strerror(number)}")

    path = os.fsencode(point)
    call("setns", os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), _CLONE_NEWNS)
    flags = os.statvfs(point).f_flag
    kept = sum(flag for told, flag in _KEPT.items() if flags & told)
    if what == "cover":
        call("mount", path, path, None, ctypes.c_ulong(_MS_BIND), None)
        call("mount", None, path, None, ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept), None)
    else:
        # Writable first: who has its working folder there stays in the mount that is taken away.
        call("mount", None, path, None, ctypes.c_ulong(_MS_REMOUNT | _MS_BIND | kept), None)
        call("umount2", path, _MNT_DETACH)


if __name__ == "__main__":
    main(*sys.argv[1:])
