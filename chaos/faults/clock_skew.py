"""Clock skew: refused by name, since there is no way to set one process' clock that is safe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from chaos.fault import Evidence, Place
from chaos.targets import Target
from core.errors import RefusedError

REASON = (
    "fault clock_skew is refused: Linux gives no process a wall clock of its own (a time namespace shifts "
    "the monotonic clocks alone, and only of processes that are started in it); setting the node's clock "
    "would hit every pod, the leases and the certificates on it, and could not be undone by that clock; and "
    "a library put before the program would be another program than the one that is deployed"
)


class ClockSkew:
    """Refuses itself; see REASON."""

    name: ClassVar[str] = "clock_skew"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        count: int = 1,
        share: float | None = None,
        offset_s: float = 60.0,
    ) -> None:
        self._asked = (place.namespace, selector, count, share, offset_s)

    def select(self) -> Sequence[Target]:
        """Raise RefusedError with the reason; nothing is touched."""
        raise RefusedError(REASON)

    def inject(self) -> None:
        """Raise RefusedError."""
        raise RefusedError(REASON)

    def prove(self, timeout_s: float) -> Evidence:  # noqa: ARG002
        """Raise RefusedError."""
        raise RefusedError(REASON)

    def recovered(self, timeout_s: float) -> Evidence:  # noqa: ARG002
        """Raise RefusedError."""
        raise RefusedError(REASON)
