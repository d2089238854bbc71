"""Starts the platform with the defects laid over its services, once for each worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sabotaged_platform import SabotagedPlatform, sabotaged_platform


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SabotagedPlatform]:
    """Return the running platform; no defect is on until a test switches one on."""
    with sabotaged_platform(tmp_path_factory.mktemp("defects")) as started:
        yield started
