"""What a peer says of its requests, and the outages that follow from it by one rule for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.scoring import Seen


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One request: when it was sent (Unix seconds), and whether the peer calls its answer good."""

    sent_s: float
    ok: bool


def intervals(answers: Iterable[Answer]) -> list[Seen]:
    """Return the outages: from the sending of a first failed request to that of the next good one.

    That is how openshift's disruption monitor reads its samples. One still open at the end is left out.
    """
    ordered: Sequence[Answer] = sorted(answers, key=lambda one: one.sent_s)
    found: list[Seen] = []
    down_s: float | None = None
    for one in ordered:
        if not one.ok and down_s is None:
            down_s = one.sent_s
        elif one.ok and down_s is not None:
            found.append(Seen.plain(down_s, one.sent_s))
            down_s = None
    return found
