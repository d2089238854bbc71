"""The phases of a fault as tests see them: a harness that is to be killed in one waits there for it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Literal

Phase = Literal["selected", "recorded", "injected", "proved", "healing"]
PAUSE_AT = "ECOCHAIN_VERIFY_PAUSE_AT"
_PAUSE_S = 60.0


def reached(phase: Phase, emit: Callable[..., None]) -> None:
    """Wait a minute, with an event `fault.paused`, where the environment variable names this phase."""
    if os.environ.get(PAUSE_AT) == phase:
        emit("fault.paused", phase=phase)
        time.sleep(_PAUSE_S)
