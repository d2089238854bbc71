"""The engine: Locust as a library, run by one assignment. Importing this patches sockets."""

from __future__ import annotations

from locust import FastHttpUser, constant_throughput  # isort: skip - patches ssl before others import it

import importlib
import json
import os
import random
import time
from pathlib import Path
from typing import Any, TextIO, cast

import gevent
import geventhttpclient.client
from gevent.socket import wait_read
from locust.env import Environment

from core.clock import RunClock
from core.errors import MisuseError
from core.files import append_line
from loadtests.seconds import Second
from loadtests.settings import Assignment

# A journey's module and its user class.
JOURNEYS = {"auth": ("loadtests.journeys.auth", "AuthUser")}

# The client would silently repeat an idempotent request whose connection the server dropped, which is
# exactly what this load has to notice.
geventhttpclient.client.IDEMPOTENT_METHODS = frozenset()


class Engine:
    """Runs one load and writes its seconds; `channel` takes short notes to the parent."""

    def __init__(self, assignment: Assignment, channel: TextIO) -> None:
        self._assignment, self._channel = assignment, channel
        self._clock = RunClock(offset_s=assignment.clock_offset_s)
        self._second = Second()
        self._requests = self._failures = 0
        self._journey_error: str | None = None
        self._reason: str | None = None
        self._environment = Environment(
            user_classes=[_user_class(assignment)], host=assignment.host_url, stop_timeout=1.0
        )
        for hook, listener in (
            (self._environment.events.request, self._on_request),
            (self._environment.events.user_error, self._on_user_error),
        ):
            cast("Any", hook).add_listener(listener)

    def run(self) -> int:
        """Send load until told to stop or a bound is reached; return the exit status."""
        settings = self._assignment.settings
        random.seed(settings.seed)
        runner = self._environment.create_local_runner()
        self._append("load.started", workers=1, users=settings.users, rate=settings.rate)
        started = time.monotonic()
        if self._assignment.supervised:
            gevent.spawn(self._await_parent)
        # Locust advises against more than 100 new users a second.
        runner.start(settings.users, spawn_rate=min(settings.users, 100))
        ticked, cpu_s = started, time.process_time()
        while self._reason is None:
            due = ticked + 1.0
            while self._reason is None and time.monotonic() < due:
                gevent.sleep(max(0.0, min(0.05, due - time.monotonic())))
            ticked, cpu_s = self._tick(ticked, cpu_s, runner.user_count)
            if time.monotonic() - started >= settings.duration_s:
                self._reason = self._reason or "duration"
        runner.quit()
        self._tick(ticked, cpu_s, runner.user_count)
        return self._end()

    def _tick(self, ticked: float, cpu_s: float, users: int) -> tuple[float, float]:
        """Write the second that ends now and return the marks of the next one."""
        done, self._second = self._second, Second()
        moment, used_s = time.monotonic(), time.process_time()
        span_s = max(moment - ticked, 1e-3)
        cpu = round((used_s - cpu_s) / span_s, 3)
        self._append("load.second", **done.as_event(), users=users, cpu=cpu, span_s=round(span_s, 3))
        if done.requests:
            self._note({"flowing": self._clock.now(), "requests": self._requests, "failures": self._failures})
        return moment, used_s

    def _end(self) -> int:
        error = "parent died" if self._reason == "parent died" else self._journey_error
        if not self._requests:
            error = "no request was sent"
        status = 3 if error else 0
        fields = {
            "exit_code": status,
            "requests": self._requests,
            "failures": self._failures,
            "workers_lost": 0,
            "reason": self._reason,
            **({"error": error} if error else {}),
        }
        self._append("load.ended", **fields)
        self._note({"ended": fields})
        return status

    def _on_request(
        self, request_type: str, name: str, response_time: float, exception: object, **_: object
    ) -> None:
        error = f"{request_type} {name}: {exception}" if exception else None
        self._second.count(response_time, error)
        self._requests += 1
        self._failures += error is not None
        if self._requests >= self._assignment.settings.max_requests:
            self._reason = self._reason or "requests"

    def _on_user_error(self, exception: Exception, **_: object) -> None:
        self._journey_error = self._journey_error or f"journey is broken: {exception!r}"

    def _await_parent(self) -> None:
        """Read the parent's word: `stop`, or the end of the pipe when it died."""
        wait_read(0)
        self._reason = "stopped" if os.read(0, 16).startswith(b"stop") else "parent died"

    def _append(self, kind: str, **fields: object) -> None:
        record = {"t": self._clock.now(), "kind": kind, "load_id": self._assignment.load_id, **fields}
        append_line(Path(self._assignment.events), record)

    def _note(self, note: dict[str, Any]) -> None:
        try:
            self._channel.write(json.dumps(note) + "\n")
        except BrokenPipeError:
            self._reason = self._reason or "parent died"


def _user_class(assignment: Assignment) -> type[FastHttpUser]:
    """Return the journey's user class under this assignment's rate, time-outs and target."""
    settings = assignment.settings
    if settings.journey not in JOURNEYS:
        raise MisuseError(f"load journey: expected one of {sorted(JOURNEYS)}, got {settings.journey!r}")
    module, name = JOURNEYS[settings.journey]
    base = getattr(importlib.import_module(module), name)

    def on_start(user: Any) -> None:
        # Users that start together would send in bursts: spread them over one interval.
        gevent.sleep(random.random() / settings.rate_per_user)  # noqa: S311 - no secret
        base.on_start(user)

    fields = {
        "on_start": on_start,
        "wait_time": constant_throughput(settings.rate_per_user),
        "network_timeout": settings.request_timeout_s,
        "connection_timeout": settings.request_timeout_s,
        # A redirect could lead to a host that the target guard has not admitted.
        "max_redirects": 0,
    }
    return cast("type[FastHttpUser]", type(f"{name}UnderLoad", (base,), fields))
