"""The journey through the marketplace: mostly looking around, now and then an order, seldom an offer."""

from __future__ import annotations

import random
from typing import Any
from uuid import uuid4

from locust import task

from loadtests.journeys.account import AccountUser, Answer, lacks

_WASTE = ("plastic", "paper", "glass", "metal", "organic")
_STOCK = 1000


class MarketUser(AccountUser):
    """A user who browses far more than it buys, and repeats an order as if its answer had been lost."""

    abstract = True

    def on_start(self) -> None:
        """Start without having seen or ordered anything."""
        super().on_start()
        self.seen: list[str] = []
        self.empty = False
        self.last_order: tuple[str, dict[str, Any], str] | None = None

    @task(50)
    def browse(self) -> None:
        """Read the first page of listings; where there are none, make one."""
        if self.empty:
            self.offer()
            return
        self._page("/listings?limit=20")

    @task(15)
    def browse_waste(self) -> None:
        """Read the listings of one kind of waste."""
        self._page(f"/listings?waste_type={random.choice(_WASTE)}&limit=20")  # noqa: S311

    @task(25)
    def look(self) -> None:
        """Read one listing that was on a page."""
        if not self.seen:
            self.browse()
            return
        which = random.choice(self.seen)  # noqa: S311
        same = f"another listing than {which}"
        self.ask(
            "GET",
            f"/listings/{which}",
            name="/listings/{id}",
            wrong=lambda answer: None if answer.body.get("id") == which else same,
        )

    @task(4)
    def order(self) -> None:
        """Order one of something; that it is sold out is an answer, not a failure."""
        if not self.seen:
            self.browse()
            return
        which, key = random.choice(self.seen), uuid4().hex  # noqa: S311
        body = {"listing_id": which, "quantity": 1}
        answer = self._order(key, body, (201, 409), lambda _: None)
        if answer is None:
            return
        if answer.status == 409:
            self.seen.remove(which)
        elif "id" in answer.body:
            self.last_order = (key, body, str(answer.body["id"]))

    @task(1)
    def repeat_order(self) -> None:
        """Send the last order again under its key: it must be the same order, not a second one."""
        if self.last_order is None:
            self.order()
            return
        key, body, number = self.last_order
        self.last_order = None

        def other(answer: Answer) -> str | None:
            got = answer.body.get("id")
            return None if got == number else f"a repeated key made another order: {number}, then {got}"

        self._order(key, body, (200,), other)

    @task(4)
    def own_orders(self) -> None:
        """Read one's orders."""
        self.ask("GET", "/orders?limit=20", wrong=lacks("items"))

    @task(1)
    def offer(self) -> None:
        """Make a listing."""
        body = {
            "title": f"load {uuid4().hex[:8]}",
            "price_cents": random.randint(100, 9900),  # noqa: S311
            "stock": _STOCK,
            "waste_type": random.choice(_WASTE),  # noqa: S311
        }
        answer = self.ask("POST", "/listings", statuses=(201,), json=body, wrong=lacks("id"))
        if answer is not None:
            self.empty = False
            self.seen = [*self.seen[-19:], str(answer.body["id"])]

    def _page(self, path: str) -> None:
        answer = self.ask("GET", path, name=path.partition("?")[0], wrong=lacks("items"))
        if answer is not None:
            found = [str(item["id"]) for item in answer.body["items"]]
            self.seen = found or self.seen
            self.empty = not self.seen

    def _order(self, key: str, body: dict[str, Any], statuses: tuple[int, ...], wrong: Any) -> Answer | None:
        headers = {"Idempotency-Key": key}
        return self.ask("POST", "/orders", statuses=statuses, headers=headers, json=body, wrong=wrong)
