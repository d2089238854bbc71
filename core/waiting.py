"""The one way to wait: a described condition and a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from core.errors import WaitTimeoutError

T = TypeVar("T")


def wait_until(
    description: str,
    probe: Callable[[], T | None],
    timeout_s: float,
    *,
    interval_s: float = 0.05,
    last: Callable[[], object] | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call `probe` until it returns something truthy, and return that.

    `last` describes the last state seen for the error. Raises WaitTimeoutError, which names the
    description, after `timeout_s` seconds; an exception of `probe` passes through.
    """
    deadline = clock() + timeout_s
    while True:
        value = probe()
        if value:
            return value
        if clock() >= deadline:
            raise WaitTimeoutError(description, timeout_s, last() if last else value)
        sleep(interval_s)
