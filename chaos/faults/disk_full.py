"""Fill a volume of limited size: what a container writes there fails with ENOSPC."""

from __future__ import annotations

from typing import ClassVar

from chaos.volume_write import VolumeWriteFault


class DiskFull(VolumeWriteFault):
    """Leaves no room on the volume mounted at `path`, never on a file system of the node's own.

    The volume has a limited size: an emptyDir in memory, or one of a driver that gives it a file system. What
    its user deletes meanwhile is free again.
    """

    name: ClassVar[str] = "disk_full"
    kind: ClassVar[str] = "fill_volume"
    error: ClassVar[str] = "ENOSPC"
