"""The services are programs of their own, not rooms of this project: their tests run them as processes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from core.places import checkout

sys.path.insert(0, str(Path(__file__).parent))
sys.path.extend(str(path) for path in sorted((checkout() / "services").glob("*/src")))

from answers import Front
from domain_platform import Market
from platform_under_test import Platform, running


@pytest.fixture(scope="session")
def core_platform() -> Iterator[Platform]:
    """Give the front door, auth-service and user-service, for one worker's whole session."""
    with running("auth-service", "user-service", "api") as platform:
        yield platform


@pytest.fixture
def front(core_platform: Platform) -> Iterator[Front]:
    """Give a client of the front door, with a tenant of its own."""
    with httpx.Client(base_url=core_platform.url(), timeout=10) as client:
        yield Front(client=client, tag=uuid4().hex[:8])


@pytest.fixture(scope="session")
def market_platform() -> Iterator[Platform]:
    """Give the whole platform, for one worker's whole session."""
    with running(SWEEP_EVERY_S="0.5") as platform:
        yield platform


@pytest.fixture
def market(market_platform: Platform) -> Iterator[Market]:
    """Give a client of the whole platform's front door, with a tenant of its own."""
    with httpx.Client(base_url=market_platform.url(), timeout=10) as client:
        yield Market(client=client, tag=uuid4().hex[:8])
