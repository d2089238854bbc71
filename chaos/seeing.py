"""Looking at each target until it shows what is to be proved, naming what is missing where it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from chaos.fault import Evidence
from core.errors import EnvironmentFailedError, InconclusiveError, WaitTimeoutError
from core.waiting import wait_until

T = TypeVar("T")
_LOOK_S = 0.5


def see_each(
    targets: Sequence[T],
    judge: Callable[[T], str | Evidence],
    *,
    fault: str,
    phase: str,
    named: Callable[[T], str],
    timeout_s: float,
    poll_s: float,
) -> dict[str, Evidence]:
    """Return, by name, the evidence of every target, each as it was when it first was there.

    `judge` returns evidence, or what is missing; an API server or agent that does not answer is that too.
    `phase` is landing or ending. Raises InconclusiveError with what is missing after `timeout_s`.
    """
    missing: dict[str, str] = {}
    shown: dict[str, Evidence] = {}

    def all_shown() -> bool:
        missing.clear()
        for target in targets:
            name = named(target)
            if name in shown:
                continue
            try:
                judged = judge(target)
            except EnvironmentFailedError as error:
                judged = str(error)
            if isinstance(judged, str):
                missing[name] = judged
            else:
                shown[name] = judged
        return not missing

    names = ", ".join(map(named, targets))
    try:
        wait_until(
            f"{names} to show it", all_shown, timeout_s, interval_s=min(_LOOK_S, poll_s), last=lambda: missing
        )
    except WaitTimeoutError as error:
        raise InconclusiveError(f"fault {fault} was not seen {phase}: {error}") from error
    return shown
