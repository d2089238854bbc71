"""Targets: which replicas a fault hits, chosen by seed so that a run can be repeated."""

from __future__ import annotations

import math
import random
from dataclasses import asdict, dataclass

from chaos.replicas import Replica, Replicas
from core.errors import InconclusiveError, RefusedError


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a fault hits: a pod by UID and, for faults inside it, one container of it."""

    namespace: str
    pod: str
    uid: str
    node: str
    container: str = ""
    container_id: str = ""
    restarts: int = 0

    @property
    def name(self) -> str:
        """Return how it is called: the pod (or component), or the node where a whole one is hit."""
        return self.pod or self.node

    def as_event(self) -> dict[str, object]:
        """Return the fields of a target in the `fault.selected` event."""
        return asdict(self)


def how_many(count: int, share: float | None, live: int) -> int:
    """Return how many of the live replicas a count or a share (0 to 1) means.

    A share is rounded down, to at least one. RefusedError for what is no share.
    """
    if share is None:
        return count
    if not 0 < share <= 1:
        raise RefusedError(f"share: expected 0 < share <= 1, got {share}")
    return max(1, math.floor(live * share))


def choose(replicas: Replicas, *, namespace: str, selector: str, count: int, seed: int) -> list[Replica]:
    """Choose `count` of the ready replicas, the same ones for the same seed and the same replicas.

    Raises InconclusiveError, before anything is touched, when there are too few or one of them is not
    serving: recovery from an unsteady state could not be told.
    """
    where = f"selector {selector!r} in namespace {namespace!r}"
    if not replicas.live:
        raise InconclusiveError(f"{where} matches no pod: nothing was touched")
    unready = replicas.unready()
    if unready:
        raise InconclusiveError(f"{where} is not steady: {unready}; nothing was touched")
    if count < 1 or len(replicas.live) < count:
        raise InconclusiveError(
            f"{where} has {len(replicas.live)} ready pods, {count} to be hit: nothing was touched"
        )
    ordered = sorted(replicas.live, key=lambda p: (p.name, p.uid))
    return random.Random(seed).sample(ordered, count)  # noqa: S311 - repeatable on purpose, no secret
