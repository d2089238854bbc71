"""Names that a name server remembers wrongly are waited for, not probed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, cycle, repeat
from typing import Any, ClassVar

import pytest

from core.errors import EnvironmentFailedError, WaitTimeoutError
from probes import inside_names
from probes.inside import Inside

INSIDE = Inside(
    namespace="ns",
    agent="agent",
    target="target",
    secret="secret",
    url="http://10.0.0.1:30000/",
    inside_url="http://target.ns.svc:8080/",
    image="image",
    labels={},
)
FRESH, STALE = {"addresses": ["10.96.0.2"]}, {"addresses": ["10.96.0.1"]}


class OneService:
    """A cluster in which the target and `web` have one address."""

    known: ClassVar = {"target", "web"}

    def get(self, resource: str, name: str, _namespace: str | None = None) -> dict[str, Any] | None:
        assert resource == "services"
        return {"spec": {"clusterIP": "10.96.0.2"}} if name in self.known else None


class Agent:
    """Answers `resolve` by a script for `web`, and rightly for the target."""

    def __init__(self, answers: Iterator[Mapping[str, Any]]) -> None:
        self.answers, self.asked = answers, 0

    def command(self, name: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        assert name == "resolve"
        if body["host"] == "target.ns.svc":
            return FRESH
        assert body["host"] == "web.ns.svc"
        self.asked += 1
        return next(self.answers)


def wait(monkeypatch: pytest.MonkeyPatch, answers: Iterator[Mapping[str, Any]], timeout_s: float) -> Agent:
    agent = Agent(answers)
    monkeypatch.setattr(inside_names, "outbox", lambda *_: agent)
    inside_names.wait_known(OneService(), INSIDE, ["web"], timeout_s)  # type: ignore[arg-type]
    return agent


def test_one_right_answer_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two name servers is stale: it is asked until it has forgotten, too."""
    agent = wait(monkeypatch, chain([FRESH, FRESH, STALE, FRESH, STALE], repeat(FRESH)), 10)
    assert agent.asked == 5 + 8


def test_a_name_that_stays_stale_is_told_with_what_was_wanted_and_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The deadline passes: the error has name, present address and last answer."""
    with pytest.raises(WaitTimeoutError, match=r"web\.ns\.svc to be 10\.96\.0\.2.*10\.96\.0\.1"):
        wait(monkeypatch, cycle([FRESH, STALE]), 0.5)


def test_a_service_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for that cannot come."""
    monkeypatch.setattr(OneService, "known", {"target"})
    with pytest.raises(EnvironmentFailedError, match="ns/web: not there"):
        wait(monkeypatch, repeat(FRESH), 5)
