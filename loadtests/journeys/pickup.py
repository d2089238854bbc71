"""The journey of a waste pickup: a citizen asks for it, a collector fetches it, both look how it stands."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from locust import task

from loadtests.journeys.account import AccountUser, Answer, lacks

_WASTE = ("plastic", "paper", "glass", "metal", "organic")
# The state after each step, who takes the step that follows, and that step's name.
_NEXT = {
    "requested": ("citizen", "schedule"),
    "scheduled": ("collector", "assign"),
    "assigned": ("collector", "complete"),
}


class PickupUser(AccountUser):
    """A citizen and the collector who serves them; each has an account."""

    abstract = True

    def on_start(self) -> None:
        """Start without a profile and without a pickup."""
        super().on_start()
        self.profiled = False
        self.pickup: tuple[str, str] | None = None

    @task(5)
    def own_pickups(self) -> None:
        """Read one's pickups."""
        self.ask("GET", "/pickups?limit=20", name="/pickups", wrong=lacks("items"))

    @task(4)
    def how_it_stands(self) -> None:
        """Read the pickup that is under way."""
        if self.pickup is None:
            self.own_pickups()
            return
        if not self.ready():
            return
        number, state = self.pickup
        if self.ask("GET", f"/pickups/{number}", name="/pickups/{id}", wrong=_is_not(state)) is None:
            self.pickup = None

    @task(2)
    def open_pickups(self) -> None:
        """Read, as the collector, what waits to be fetched."""
        self.ask("GET", "/pickups/open", role="collector", wrong=lacks("items"))

    @task(1)
    def own_profile(self) -> None:
        """Read one's profile, which the first time is written."""
        if self.profiled:
            self.ask("GET", "/users/me", wrong=lacks("name"))
        else:
            self._write_profile()

    @task(4)
    def advance(self) -> None:
        """Take the pickup its next step: profile, request, schedule, assign, complete."""
        if not self.profiled:
            self._write_profile()
        elif self.pickup is None:
            # Without an address: the service takes the profile's.
            body = {"waste_type": random.choice(_WASTE), "weight_kg": 2.5}  # noqa: S311
            answer = self.ask("POST", "/pickups", statuses=(201,), json=body, wrong=lacks("id"))
            if answer is not None:
                self.pickup = (str(answer.body["id"]), "requested")
        else:
            self._step(*self.pickup)

    def _step(self, number: str, state: str) -> None:
        role, step = _NEXT[state]
        bodies: dict[str, Any] = {
            "schedule": {"at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
            "complete": {"collected_kg": 2.4},
        }
        wanted = {"schedule": "scheduled", "assign": "assigned", "complete": "completed"}[step]
        if not self.ready(role):
            return
        answer = self.ask(
            "POST",
            f"/pickups/{number}/{step}",
            role=role,
            name=f"/pickups/{{id}}/{step}",
            json=bodies.get(step),
            wrong=_is_not(wanted),
        )
        # After a failure nobody knows whether the step was taken: the journey begins with another pickup.
        self.pickup = (number, wanted) if answer is not None and wanted in _NEXT else None

    def _write_profile(self) -> None:
        body = {"name": "Load Tester", "address": "1 Recycling Road"}
        self.profiled = self.ask("PUT", "/users/me", json=body, wrong=lacks("name")) is not None


def _is_not(state: str) -> Callable[[Answer], str | None]:
    """Return what finds that a pickup is in another state."""

    def wrong(answer: Answer) -> str | None:
        got = answer.body.get("status")
        return None if got == state else f"the pickup is {got}, expected {state}"

    return wrong
