"""The real Helm: the toolchain's own, or the one that $ECOCHAIN_VERIFY_HELM names."""

import os
from pathlib import Path

import pytest
from rendered import SHIPPED, Rendered

from clients.helm import Helm
from lab.toolchain import ensure


@pytest.fixture(scope="session")
def helm() -> Helm:
    """Return Helm without a cluster."""
    named = os.environ.get("ECOCHAIN_VERIFY_HELM")
    return Helm(program=Path(named) if named else ensure().helm)


@pytest.fixture(scope="session")
def shipped(helm: Helm) -> dict[tuple[str, str], Rendered]:
    """Return what ships, by chart and environment."""
    return {(chart, environment): Rendered.of(helm, chart, environment) for chart, environment in SHIPPED}
