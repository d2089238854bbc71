"""Locust as its users run it: a user class at a constant throughput; each request becomes a line.

Where the lines go is in the environment: VERIFY_BENCH_LOCUST names the file.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

from locust import FastHttpUser, constant_throughput, events, task

PER_USER = 20
_LINES = Path(os.environ["VERIFY_BENCH_LOCUST"]).open("a", buffering=1 << 16)  # noqa: SIM115 - until Locust quits


class Visitor(FastHttpUser):
    """A user that asks for one page."""

    wait_time = constant_throughput(PER_USER)
    connection_timeout = float(os.environ["VERIFY_BENCH_TIMEOUT_S"])
    network_timeout = connection_timeout

    @task
    def look(self) -> None:
        """Ask once."""
        self.client.get("/")


def _note(start_time: float, exception: Exception | None, **_: object) -> None:
    _LINES.write(json.dumps({"sent_s": start_time, "ok": exception is None}) + "\n")


def _close(**_: object) -> None:
    _LINES.close()


for hook, listener in ((events.request, _note), (events.quitting, _close)):
    cast("Any", hook).add_listener(listener)
