"""Whether the service is leaving: its pod's preStop hook was called, or SIGTERM came."""

from __future__ import annotations

import time
from collections.abc import Callable

# A drain that no SIGTERM follows (somebody called the hook by hand) ends by itself, or one stray
# request would take a replica out for good.
RESUME_AFTER_S = 30.0


class Drain:
    """While active, /ready answers 503 and every answer closes its connection.

    Kubernetes tells a container nothing while its preStop hook runs, and a kept-alive connection stays
    pinned to its pod whatever the endpoints say. Asking every client to reconnect during the hook is
    what leaves no connection to be reset when the process ends.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until_s = float("-inf")

    @property
    def active(self) -> bool:
        """Tell whether the service is leaving."""
        return self._clock() < self._until_s

    def begin(self, seconds: float) -> None:
        """Drain from now on; SIGTERM is expected after `seconds`."""
        self._until_s = max(self._until_s, self._clock() + seconds + RESUME_AFTER_S)

    def terminate(self) -> None:
        """Drain until the process ends."""
        self._until_s = float("inf")
