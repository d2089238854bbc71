"""Wires the acceptance suites: the front door, a tenant of their own and its scenes. Needs only a URL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fixtures.acceptance.client import Caller, open_front_door
from fixtures.acceptance.contracts import Documents
from fixtures.acceptance.people import People
from fixtures.acceptance.scenes import Scenes
from fixtures.acceptance.tenant import Tenant


@pytest.fixture(scope="session")
def front_door(pytestconfig: pytest.Config, request: pytest.FixtureRequest) -> str:
    """Return the address of the front door: the one given, else that of the environment's release `api`."""
    url: str = pytestconfig.getoption("--url") or request.getfixturevalue("environment").url("api")
    return url.rstrip("/")


@pytest.fixture(scope="session")
def anyone(front_door: str) -> Iterator[Caller]:
    """Return somebody without a token."""
    caller = open_front_door(front_door)
    yield caller
    caller.http.close()


@pytest.fixture(scope="session")
def documents(anyone: Caller) -> Documents:
    """Return the OpenAPI document of every service, as the front door gives it."""
    return Documents(anyone)


def _tenant(anyone: Caller) -> Iterator[Tenant]:
    tenant = Tenant.open(anyone)
    yield tenant
    tenant.remove()


@pytest.fixture(scope="session")
def tenant(anyone: Caller) -> Iterator[Tenant]:
    """Return this worker's own tenant; it is removed whole afterwards, also when tests failed."""
    yield from _tenant(anyone)


@pytest.fixture(scope="session")
def other_tenant(anyone: Caller) -> Iterator[Tenant]:
    """Return a second tenant, from which nothing of the first may be seen."""
    yield from _tenant(anyone)


@pytest.fixture
def throwaway_tenant(anyone: Caller) -> Iterator[Tenant]:
    """Return a tenant for one test, which may take it apart."""
    yield from _tenant(anyone)


@pytest.fixture(scope="session")
def people(tenant: Tenant) -> People:
    """Return who makes users in the tenant."""
    return tenant.people


@pytest.fixture(scope="session")
def scenes(tenant: Tenant) -> Scenes:
    """Return who prepares people and things in the tenant."""
    return Scenes(tenant)
