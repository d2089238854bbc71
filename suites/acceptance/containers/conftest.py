"""Wires the looks into containers: each is taken once per worker."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from fixtures.acceptance.inspection import Sight, look
from fixtures.acceptance.replicas import Replica, ready_of
from fixtures.acceptance.stage import Stage

Sights = list[tuple[Replica, Sight]]


@pytest.fixture(scope="session")
def look_into(stage: Stage) -> Callable[[str], Sights]:
    """Return what looks into every ready replica of a service."""
    cluster = stage.cluster()

    @cache
    def into(service: str) -> Sights:
        replicas = ready_of(cluster, stage, service)
        with ThreadPoolExecutor(len(replicas)) as pool:
            seen = pool.map(lambda each: look(cluster, each.pod, each.container["name"]), replicas)
            return list(zip(replicas, seen, strict=True))

    return into


@pytest.fixture
def sights(look_into: Callable[[str], Sights], service: str) -> Sights:
    """Return what was seen in every ready replica of the service."""
    return look_into(service)
