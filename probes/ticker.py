"""Ticks at absolute times: t0 + i / rate on the monotonic clock, however long the last tick took."""

from __future__ import annotations

import asyncio
import ctypes
import math
import os
import time
from collections.abc import Callable

_TFD_NONBLOCK, _TFD_CLOEXEC, _TFD_TIMER_ABSTIME = 0o4000, 0o2000000, 1


class _Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class _Itimerspec(ctypes.Structure):
    _fields_ = [("interval", _Timespec), ("value", _Timespec)]


class Ticker:
    """Calls `tick(due_s)` for each due time (monotonic seconds), also for those that a freeze made late.

    It wakes by a timerfd(2), which is exact to microseconds where an event loop's timers are rounded to
    milliseconds; where there is none it falls back to those.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, start_s: float, rate: float, tick: Callable[[float], None]
    ) -> None:
        self._loop, self._start_s, self._rate, self._tick = loop, start_s, rate, tick
        self._next = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = False
        self._descriptor = _timerfd(start_s, 1 / rate)
        if self._descriptor is None:
            self._wake()
        else:
            loop.add_reader(self._descriptor, self._expired)

    @property
    def due(self) -> int:
        """Return how many ticks have fallen due and been handed out."""
        return self._next

    def stop(self) -> None:
        """End the ticks."""
        self._stopped = True
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
        if self._timer is not None:
            self._timer.cancel()

    def _expired(self) -> None:
        assert self._descriptor is not None
        try:
            os.read(self._descriptor, 8)
        except BlockingIOError:
            return
        self._fire()

    def _wake(self) -> None:
        self._fire()
        if not self._stopped:
            wait_s = self._start_s + self._next / self._rate - time.monotonic()
            self._timer = self._loop.call_later(max(0.001, math.ceil(wait_s * 1000) / 1000), self._wake)

    def _fire(self) -> None:
        # What falls due while these are fired waits for the next wake, so that answers get their turn
        # also at a rate that this machine cannot hold. The microsecond is a float's rounding.
        until_s = time.monotonic() + 1e-6
        while not self._stopped:
            due_s = self._start_s + self._next / self._rate
            if due_s > until_s:
                return
            self._next += 1
            self._tick(due_s)


async def sleep_exactly(loop: asyncio.AbstractEventLoop, span_s: float) -> None:
    """Sleep to the microsecond, where a loop's own timers are rounded to milliseconds."""
    over = loop.create_future()
    start_s = time.monotonic() + span_s

    def wake(_due_s: float) -> None:
        if not over.done():
            over.set_result(None)
        ticker.stop()

    ticker = Ticker(loop, start_s, 1.0, wake)
    try:
        await over
    finally:
        ticker.stop()


def _timerfd(start_s: float, period_s: float) -> int | None:
    try:
        library = ctypes.CDLL(None, use_errno=True)
        create, settime = library.timerfd_create, library.timerfd_settime
    except (OSError, AttributeError):
        return None
    descriptor: int = create(time.CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
    if descriptor < 0:
        return None
    spec = _Itimerspec(_timespec(period_s), _timespec(start_s))
    if settime(descriptor, _TFD_TIMER_ABSTIME, ctypes.byref(spec), None) != 0:
        os.close(descriptor)
        return None
    return descriptor


def _timespec(seconds: float) -> _Timespec:
    whole = int(seconds)
    return _Timespec(whole, min(999_999_999, math.ceil((seconds - whole) * 1e9)))
