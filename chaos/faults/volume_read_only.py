"""Make a volume read-only, as a file system does on an I/O error: writes fail with EROFS."""

from __future__ import annotations

from typing import ClassVar

from chaos.volume_write import VolumeWriteFault


class VolumeReadOnly(VolumeWriteFault):
    """Makes the volume mounted at `path` read-only for one container of each of `count` pods or a share.

    Files that the container has open already can still be written to; every opening for writing fails.
    """

    name: ClassVar[str] = "volume_read_only"
    kind: ClassVar[str] = "read_only_volume"
    error: ClassVar[str] = "EROFS"
