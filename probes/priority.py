"""Running before ordinary work: a probe that waits for a processor measures its own machine."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct

# Linux 6.12 and newer take a thread's own slice, 0.1 ms at the least, and its deadline follows from it.
_SLICE_NS = 100_000
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
_SCHED_ATTR = struct.Struct("=IIQiIQQQ")


def go_first(*, but_for_ticks: bool = False) -> None:
    """Ask for round-robin real-time scheduling of this thread, else for short slices and a better nice value.

    The sampler needs a few per cent of a core, and the kernel keeps 5 % for ordinary work whatever a
    real-time process does. Children do not inherit it, and neither do threads: each that shares Python's
    lock with the ticks has to ask for itself, or they wait while it, with the lock, waits for a processor.
    Such a thread asks to go first `but_for_ticks`: before everything else, and behind them.

    A pod may ask for neither. What it may have is a slice so short that its turn comes soon, and to stay on
    one processor, where its cgroups' weight and lag stay with it.
    """
    if hasattr(os, "sched_setscheduler"):
        priority = os.sched_param(1 if but_for_ticks else 2)
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, priority)
            return
    _take_short_slices()
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)


def _take_short_slices() -> None:
    """Ask for it by sched_setattr(2), which no library of Python's has; an older kernel takes no notice."""
    number = _SCHED_SETATTR.get(platform.machine())
    if number is None or platform.system() != "Linux":
        return
    ordinary = _SCHED_ATTR.pack(_SCHED_ATTR.size, os.SCHED_OTHER, 0, 0, 0, _SLICE_NS, 0, 0)
    ctypes.CDLL(None, use_errno=True).syscall(number, 0, ordinary, 0)
