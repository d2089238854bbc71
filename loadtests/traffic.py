"""The traffic of one process: Locust users on the plan's schedule, each request a sample. Patches sockets."""

from __future__ import annotations

from locust import FastHttpUser  # isort: skip - patches ssl before others import it

import importlib
import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

import gevent
import geventhttpclient.client
from gevent.event import Event
from locust.env import Environment

from core.clock import RunClock
from loadtests.journeys import JOURNEYS
from loadtests.outcomes import outcome_of
from loadtests.seconds import Second
from loadtests.settings import Assignment

# Samples are handed over this often, so that each time takes a moment only.
HAND_OVER_S = 0.1
# Of what was due and never sent, so many rows are written; the rest is only counted.
MAX_UNSENT_ROWS = 10_000
# What a request is called that no task has named yet.
UNSENT = "unsent"
_FOREVER_S = 86_400.0

# The client would silently repeat an idempotent request whose connection the server dropped, which is
# exactly what this load has to notice.
geventhttpclient.client.IDEMPOTENT_METHODS = frozenset()


class Traffic:
    """The users of worker `index` of `settings.workers`: of each round of arrivals, a user has its own one.

    `deliver` takes samples (JSON lines), `tell` each second's message.
    """

    def __init__(
        self,
        assignment: Assignment,
        clock: RunClock,
        index: int,
        deliver: Callable[[bytes], None],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        settings = self.settings = assignment.settings
        self.clock, self.index = clock, index
        self.plan = settings.plan
        self.go, self.closing = Event(), Event()
        self.start_s = 0.0
        self.end_s = float("inf")
        # How far this clock may be from the master's.
        self.clock_bound_s = 0.0
        self.users: list[ScheduledUser] = []
        self.error: str | None = None
        self.requests = self.failures = self._rows_written = self._unsent = 0
        self._load_id = assignment.load_id
        self._deliver, self._tell = deliver, tell
        self._rows: list[list[Any]] = []
        self._second = Second()
        self._ticked, self._cpu_s = time.monotonic(), time.process_time()
        random.seed(settings.seed * 1000 + index)
        self.environment = Environment(
            user_classes=[self._user_class(name, weight) for name, weight in settings.journeys.items()],
            host=assignment.host_url,
            # A request under way ends by itself, at the latest by its time-out.
            stop_timeout=settings.request_timeout_s + 0.5,
        )
        for hook, listener in (
            (self.environment.events.request, self._on_request),
            (self.environment.events.user_error, self._on_user_error),
        ):
            cast("Any", hook).add_listener(listener)

    def _user_class(self, journey: str, weight: int) -> type[FastHttpUser]:
        """Return the journey's user class under this load's schedule, time-outs and target."""
        module, name = JOURNEYS[journey]
        base = getattr(importlib.import_module(module), name)
        fields = {
            "weight": weight,
            "traffic": self,
            "tenant": self.settings.tenant,
            "network_timeout": self.settings.request_timeout_s,
            "connection_timeout": self.settings.request_timeout_s,
            # A redirect could lead to a host that the target guard has not admitted.
            "max_redirects": 0,
        }
        return cast("type[FastHttpUser]", type(f"{name}UnderLoad", (ScheduledUser, base), fields))

    def begin(self, start_s: float) -> None:
        """Start the plan at this moment of the run's clock, and report every second from then on."""
        self.start_s = start_s
        gevent.spawn(self._hand_over)
        gevent.spawn(self._report)
        self.go.set()

    def finish(self, end_s: float, stop_users: Callable[[], None]) -> dict[str, Any]:
        """Let the users catch up, stop them, write down what stays undone, and return the last word.

        What is due from `end_s` on is not sent. Catching up takes at most one time-out of a request.
        """
        self.end_s = end_s
        deadline = time.monotonic() + self.settings.request_timeout_s
        while self.start_s and time.monotonic() < deadline and any(user.owes() for user in self.users):
            gevent.sleep(0.02)
        self.release()
        stop_users()
        now_s = self.clock.now()
        for user in self.users:
            for due_s, sent_s in user.left_over(end_s):
                self._unsent += sent_s == 0.0
                if sent_s or self._unsent <= MAX_UNSENT_ROWS:
                    phase = "first_byte" if sent_s else "none"
                    error = "no answer before the load ended" if sent_s else "not sent before the load ended"
                    name = f"load:{self._load_id}/{UNSENT}"
                    self._rows.append([name, due_s, sent_s, now_s, "runner", phase, 0, "", "", error, False])
        self._hand_over_now()
        self._tick(max(0, int(now_s - self.start_s)))
        return {
            "rows": self._rows_written,
            "unsent": self._unsent,
            "clock_bound_s": self.clock_bound_s,
            "error": self.error,
        }

    def release(self) -> None:
        """Wake the users that wait for their first arrival; they end."""
        self.closing.set()
        self.go.set()

    def _report(self) -> None:
        number = 0
        while True:
            due_s = self.start_s + number + 1
            gevent.sleep(max(0.0, due_s - self.clock.now()))
            self._tick(number)
            number += 1

    def _tick(self, number: int) -> None:
        done, self._second = self._second, Second()
        moment, used_s = time.monotonic(), time.process_time()
        span_s = max(moment - self._ticked, 1e-3)
        # Too short a span says nothing of the CPU.
        done.cpu = (used_s - self._cpu_s) / span_s if span_s > 0.2 else 0.0
        done.users = self.environment.runner.user_count if self.environment.runner else 0
        self._ticked, self._cpu_s = moment, used_s
        self._tell({"number": number, **done.as_message()})

    def _hand_over(self) -> None:
        while True:
            gevent.sleep(HAND_OVER_S)
            self._hand_over_now()

    def _hand_over_now(self) -> None:
        rows, self._rows = self._rows, []
        if rows:
            self._rows_written += len(rows)
            self._deliver("".join(json.dumps({"s": row}) + "\n" for row in rows).encode())

    def _on_request(
        self,
        *,
        request_type: str,
        name: str,
        response_time: float,
        exception: BaseException | None,
        context: Mapping[str, Any],
        response: Any = None,
        **_: object,
    ) -> None:
        due_s, sent_s, planned = context["due_s"], context["sent_s"], context["planned"]
        user = context["user"]
        user.under_way = None
        error = f"{request_type} {name}: {exception}" if exception else None
        self._second.count(response_time, error, planned=planned)
        self.requests += 1
        self.failures += error is not None
        outcome, phase = outcome_of(exception, response) if exception else ("ok", "done")
        headers = getattr(response, "headers", None)
        # The fields of a row of samples/*.parquet, in their order.
        self._rows.append(
            [
                f"load:{self._load_id}/{request_type} {name}",
                due_s,
                sent_s,
                sent_s + response_time / 1000,
                outcome,
                phase,
                getattr(response, "status_code", 0) or 0,
                headers.get("x-pod-name", "") if headers else "",
                headers.get("x-version", "") if headers else "",
                error[:160] if error else "",
                False,
            ]
        )

    def count_lateness(self, late_s: float) -> None:
        """Take how late a user was that had nothing to wait for: that is this process' own doing."""
        self._second.late_ms = max(self._second.late_ms, late_s * 1000)

    def break_journey(self, reason: str) -> None:
        """Note that a journey is not what this load needs; the load then proves nothing."""
        self.error = self.error or f"journey is broken: {reason}"

    def _on_user_error(self, exception: Exception, **_: object) -> None:
        self.break_journey(repr(exception))


class ScheduledUser(FastHttpUser):
    """A user that sends its share of the plan's arrivals, each at its moment or as soon after as it can.

    Locust's constant_throughput forgets what was due while a user waited for an answer; this keeps it.
    """

    abstract = True
    traffic: Traffic

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        traffic = self.traffic
        # Workers have equally many users, and each round of arrivals goes once around all of them.
        self._number = len(traffic.users) * traffic.settings.workers + traffic.index
        self._due_s: float | None = None
        self._intended = False
        self._free_s = 0.0
        self.under_way: tuple[float, float] | None = None
        traffic.users.append(self)

    def on_start(self) -> None:
        """Prepare as the journey does, then wait for the first arrival."""
        super().on_start()
        self.traffic.go.wait()
        wait_s = self._next()
        # A user that is neither waiting nor in a task would hold up the end: wake it.
        if self.traffic.closing.wait(wait_s) or self.traffic.closing.is_set():
            raise gevent.GreenletExit

    def wait_time(self) -> float:
        """Return the seconds until this user's next arrival, 0 when it is late."""
        return self._next()

    def _next(self) -> float:
        traffic = self.traffic
        number, self._number = self._number, self._number + traffic.settings.all_users
        offset_s = traffic.plan.due_s(number) if number < traffic.settings.max_requests else None
        self._free_s = traffic.clock.now()
        if offset_s is None or traffic.start_s + offset_s >= traffic.end_s:
            self._due_s, self._intended = None, False
            return _FOREVER_S
        self._due_s, self._intended = traffic.start_s + offset_s, True
        return max(0.0, self._due_s - self._free_s)

    def context(self) -> dict[str, Any]:
        """Return when the request that is sent now was intended (Locust calls this just before sending)."""
        now_s = self.traffic.clock.now()
        due_s, planned = self._due_s, self._intended
        if planned and due_s is not None:
            if self._free_s <= due_s:
                self.traffic.count_lateness(now_s - due_s)
        else:
            if self._due_s is not None:
                self.traffic.break_journey("a task sent more than one request")
            due_s = now_s
        self._intended = False
        self.under_way = (due_s, now_s)
        return {"due_s": due_s, "sent_s": now_s, "planned": planned, "user": self}

    def owes(self) -> bool:
        """Tell whether something that was due before the end is not sent yet."""
        return self._intended and self._due_s is not None and self._due_s < self.traffic.end_s

    def left_over(self, end_s: float) -> list[tuple[float, float]]:
        """Return (due, sent or 0) of what was due before `end_s` and got no answer."""
        left = [self.under_way] if self.under_way else []
        if self.owes() and self._due_s is not None:
            left.append((self._due_s, 0.0))
        traffic = self.traffic
        while traffic.start_s and (offset_s := traffic.plan.due_s(self._number)) is not None:
            due_s = traffic.start_s + offset_s
            if due_s >= end_s:
                break
            left.append((due_s, 0.0))
            self._number += traffic.settings.all_users
        return left
