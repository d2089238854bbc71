"""Make a volume read-only, as a file system does on an I/O error: writes fail with EROFS."""

from __future__ import annotations

from typing import ClassVar

from chaos.fault import Place
from chaos.volume_write import VolumeWriteFault


class VolumeReadOnly(VolumeWriteFault):
    """Makes the volume mounted at `path` read-only for one container of each of `count` pods or a share.

    Files that the container has open already can still be written to; every opening for writing fails.
    """

    name: ClassVar[str] = "volume_read_only"
    kind: ClassVar[str] = "read_only_volume"
    error: ClassVar[str] = "EROFS"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        path: str,
        count: int = 1,
        share: float | None = None,
        container: str | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(
            place,
            selector=selector,
            path=path,
            count=count,
            share=share,
            container=container,
            duration_s=duration_s,
        )
