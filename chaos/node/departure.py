"""Leaving a node: the folder of the notes goes, which only the node's own mount namespace can do.

`python -m chaos.node.departure FOLDER` enters the mount namespace of the node's first process and removes the
empty folder there. In the pod it is a mount, and so cannot be removed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

from core.errors import EnvironmentFailedError
from core.processes import run

_CLONE_NEWNS = 0x00020000
# It is not empty; it is a mount point on the node itself, whose owner removes it; another has removed it.
_LEFT_TO_OTHERS = (errno.ENOTEMPTY, errno.EBUSY, errno.ENOENT)


def remove_folder(folder: Path) -> None:
    """Remove the node's folder of this path, if it is empty. CommandError when the node refuses."""
    run([sys.executable, "-m", "chaos.node.departure", folder], timeout_s=20)


def _remove(folder: str) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open("/proc/1/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    if library.setns(descriptor, _CLONE_NEWNS) != 0:
        raise EnvironmentFailedError(f"the node's mount namespace: {os.strerror(ctypes.get_errno())}")
    try:
        Path(folder).rmdir()
    except OSError as error:
        if error.errno not in _LEFT_TO_OTHERS:
            raise


if __name__ == "__main__":
    _remove(sys.argv[1])
