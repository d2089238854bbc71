"""The whole platform as processes on loopback, with the defects laid over each service."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.places import checkout
from fixtures.acceptance.contracts import SERVICES

sys.path.append(str(checkout() / "tests/services"))

from platform_under_test import running

OVERLAY = checkout() / "tests/acceptance/defects"


class SabotagedPlatform:
    """Six services and their stores; a folder has the name of the defect that each service has now."""

    def __init__(self, url: str, switches: Path) -> None:
        self.url, self._switches = url, switches

    @contextmanager
    def broken(self, service: str, defect: str) -> Iterator[None]:
        """Have a service show the defect meanwhile."""
        switch = self._switches / f"{service}-0"
        switch.write_text(defect)
        try:
            yield
        finally:
            switch.unlink()


@contextmanager
def sabotaged_platform(switches: Path) -> Iterator[SabotagedPlatform]:
    """Run the platform; no service has a defect until one is switched on."""
    overlays = dict.fromkeys(SERVICES, OVERLAY)
    with running(first=overlays, DEFECT=f"@{switches}") as platform:
        yield SabotagedPlatform(platform.url(), switches)
