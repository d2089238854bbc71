"""The journeys: one request a task, in the stated proportions, and wrong answers are noticed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from platform_double import PlatformDouble

from core.clock import RunClock
from core.files import read_lines
from loadtests.runner import Load, LoadResult
from loadtests.settings import LoadSettings
from loadtests.workload import Workload

HERE = ("127.0.0.1",)
ALL_OF = {
    "auth": {"POST /auth/register", "POST /auth/login", "POST /auth/refresh", "GET /auth/verify"},
    "market": {
        "POST /auth/register",
        "GET /listings",
        "GET /listings/{id}",
        "POST /listings",
        "POST /orders",
        "GET /orders",
    },
    "pickup": {
        "POST /auth/register",
        "PUT /users/me",
        "GET /users/me",
        "POST /pickups",
        "GET /pickups",
        "GET /pickups/open",
        "GET /pickups/{id}",
        "POST /pickups/{id}/schedule",
        "POST /pickups/{id}/assign",
        "POST /pickups/{id}/complete",
    },
    "vision": {"POST /auth/register", "POST /vision/classifications", "GET /vision/model"},
}


def sent(run_dir: Path, double: PlatformDouble, settings: LoadSettings) -> LoadResult:
    with double, Load(run_dir, RunClock.start().offset_s, double.url, settings, allowed_hosts=HERE) as load:
        return load.wait_ended(60)


def of(journey: str, requests: int = 400) -> LoadSettings:
    return LoadSettings.steady(rate=requests / 2, duration_s=2, users=4, journeys={journey: 1}, seed=3)


def causes(run_dir: Path) -> str:
    return str([e.get("errors") for e in read_lines(run_dir / "events.jsonl") if e["kind"] == "load.second"])


@pytest.mark.parametrize("journey", sorted(ALL_OF))
def test_a_journey_goes_all_its_ways_with_one_request_a_task(tmp_path: Path, journey: str) -> None:
    """Every endpoint of the journey is asked, nothing else, nothing fails, and as often as was due."""
    double = PlatformDouble()
    result = sent(tmp_path, double, of(journey))
    assert result.succeeded, result.error
    assert result.failures == 0, causes(tmp_path)
    assert result.requests == double.requests == 400
    assert double.asked() == ALL_OF[journey]


def test_a_token_is_replaced_before_it_expires(tmp_path: Path) -> None:
    """Tokens that live for a second are logged in for again, and no request goes with an old one."""
    double = PlatformDouble(life_s=1)
    result = sent(tmp_path, double, of("vision", 100))
    assert result.failures == 0
    assert double.seen["POST /auth/login", 200] >= 4
    assert result.requests == double.requests


def test_sold_out_is_an_answer_and_no_failure(tmp_path: Path) -> None:
    """A listing without stock refuses, and the buyer goes on."""
    double = PlatformDouble(stock=1)
    result = sent(tmp_path, double, of("market"))
    assert double.seen["POST /orders", 409] > 0
    assert result.failures == 0, causes(tmp_path)


@pytest.mark.parametrize(
    ("defect", "journey", "words"),
    [
        ("orders twice", "market", "a repeated key made another order"),
        ("stuck pickup", "pickup", "the pickup is requested, expected scheduled"),
        ("unsure", "vision", "no classification"),
        ("no token", "auth", "the answer lacks token"),
    ],
)
def test_a_wrong_answer_is_a_failure_with_its_reason(
    tmp_path: Path, defect: str, journey: str, words: str
) -> None:
    """Status 200 alone does not satisfy a journey."""
    result = sent(tmp_path, PlatformDouble(defect), of(journey))
    assert result.succeeded
    assert result.failures > 0
    assert words in causes(tmp_path)


def test_reads_dominate_the_platform_workload(tmp_path: Path) -> None:
    """The proportions are those that the workload file states, within what chance and short loads allow."""
    settings = Workload.read("platform").settings(rate=400, duration_s=10, seed=5)
    double = PlatformDouble()
    result = sent(tmp_path, double, settings)
    assert result.failures == 0, causes(tmp_path)
    shares: Counter[str] = Counter()
    for (what, _), times in double.seen.items():
        kind = "read" if what.startswith("GET") else "classify" if "vision" in what else "write"
        shares[kind] += times
    part = {kind: 100 * times / double.requests for kind, times in shares.items()}
    assert part["read"] == pytest.approx(85, abs=4)
    assert part["write"] == pytest.approx(10, abs=4)
    assert part["classify"] == pytest.approx(5, abs=2)
