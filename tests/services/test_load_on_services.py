"""The load's journeys against the real services and stores: nothing that they send is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from platform_under_test import Platform

from core.clock import RunClock
from core.files import read_lines
from fixtures.acceptance.client import Caller
from fixtures.acceptance.people import People
from fixtures.acceptance.tenant import LeftBehindError, Tenant
from fixtures.load_tenant import load_tenant
from loadtests.runner import Load
from loadtests.workload import Workload

Events = list[tuple[str, dict[str, Any]]]


def test_the_whole_workload_goes_through_the_front_door(market_platform: Platform, tmp_path: Path) -> None:
    """Every journey takes its ways for ten seconds, and no answer is wrong or failed."""
    settings = Workload.read("platform").settings(rate=30, duration_s=10, seed=3)
    offset_s = RunClock.start().offset_s
    with Load(tmp_path, offset_s, market_platform.url(), settings, allowed_hosts=["127.0.0.1"]) as load:
        result = load.wait_ended(60)
    seconds = [event for event in read_lines(tmp_path / "events.jsonl") if event["kind"] == "load.second"]
    assert result.succeeded, result.error
    assert result.failures == 0, [second["errors"] for second in seconds if second.get("errors")]
    assert result.requests >= 150


def listings(door: Caller, tenant: str) -> list[Any]:
    """Return the first listings that somebody of that tenant sees."""
    found = People(door, tenant).citizen().expect(200, "GET", "/listings")["items"]
    assert isinstance(found, list)
    return found


def test_what_a_load_writes_is_its_tenants_and_goes_with_it(
    market_platform: Platform, tmp_path: Path
) -> None:
    """The public sees none of it at any time, and afterwards there is no such tenant."""
    events: Events = []
    with httpx.Client(base_url=market_platform.url(), timeout=10.0, trust_env=False) as http:
        door = Caller(http)
        before = listings(door, "public")
        with load_tenant(
            market_platform.url(), emit=lambda kind, **fields: events.append((kind, fields)), say=print
        ) as tenant:
            settings = Workload.read("platform").settings(rate=30, duration_s=5, seed=4)
            offset_s, settings = RunClock.start().offset_s, replace(settings, tenant=tenant)
            with Load(
                tmp_path, offset_s, market_platform.url(), settings, allowed_hosts=["127.0.0.1"]
            ) as load:
                result = load.wait_ended(60)
            assert (result.failures, result.error) == (0, None)
            # The check below finds nothing only if there was something.
            assert listings(door, tenant)
            assert listings(door, "public") == before
        assert events == []
        late = People(door, tenant)
        with pytest.raises(AssertionError, match="expected 201, got 404"):
            late.citizen()


def test_a_load_goes_on_without_a_tenant_and_says_what_it_left(
    market_platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A door that gives no tenant leaves the people to the public; a tenant that stays is written down."""
    events: Events = []

    def emit(kind: str, **fields: Any) -> None:
        events.append((kind, fields))

    with load_tenant("http://127.0.0.1:1", emit=emit, say=print) as tenant:
        assert tenant == ""
    assert events == []

    def refuse(*_: Any, **__: Any) -> None:
        raise LeftBehindError("DELETE /pickups/tenant: 503")

    monkeypatch.setattr(Tenant, "remove", refuse)
    with load_tenant(market_platform.url(), emit=emit, say=print) as tenant:
        assert tenant
    assert events == [("tenant.left", {"tenant": tenant, "reason": "DELETE /pickups/tenant: 503"})]
