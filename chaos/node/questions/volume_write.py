"""write: whether a file can be written on a volume of a container, through that container's own mount."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from chaos.node import mounts
from core.errors import MisuseError

NAME = "write"
_MOST_BYTES = 65536


def ask(*, container_id: str, path: str, size_bytes: int = 4096) -> Mapping[str, Any]:
    """Write a file of that size there and remove it: {error: "" or the name of the errno, free_bytes}."""
    if not 1 <= size_bytes <= _MOST_BYTES:
        raise MisuseError(f"write: size_bytes: expected 1 to {_MOST_BYTES}, got {size_bytes!r}")
    space = mounts.of_container(container_id)
    file = space.path(mounts.at(space, path).point) / f".ecochain-chaos-write-{uuid4().hex[:12]}"
    error = ""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            if os.write(descriptor, bytes(size_bytes)) < size_bytes:
                error = errno.errorcode[errno.ENOSPC]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            file.unlink()
    except OSError as failed:
        error = errno.errorcode.get(failed.errno or 0, str(failed))
    size = os.statvfs(file.parent)
    return {"error": error, "free_bytes": size.f_bfree * size.f_frsize}
