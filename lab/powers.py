"""The powers over a lab that only its host has: a machine's power, and the control plane's programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import RefusedError
from lab import outages
from lab.outages import COMPONENTS, PAUSE, POWER_LOSS

# Which argument of a power names what it acts on.
_SUBJECTS = {POWER_LOSS: "node", PAUSE: "component"}


@dataclass(frozen=True)
class LabPowers:
    """The powers over the lab of this name; what was begun ends with its process at the latest."""

    lab: str

    @property
    def ends_with_owner(self) -> bool:
        """Return True: the lab's watcher ends what a dead process began."""
        return True

    def offers(self) -> frozenset[str]:
        """Return power_loss, and pause for each component."""
        return frozenset({POWER_LOSS, *(f"{PAUSE}:{component}" for component in COMPONENTS)})

    def begin(self, what: str, longest_s: float, **args: Any) -> Mapping[str, Any]:
        """Begin an outage; see lab.outages.begin."""
        return outages.begin(self.lab, what, self._subject(what, args), longest_s, outages.own_process())

    def end(self, what: str, **args: Any) -> None:
        """End an outage; harmless when it has ended, or was never begun."""
        outages.end(self.lab, what, self._subject(what, args))

    def _subject(self, what: str, args: Mapping[str, Any]) -> str:
        name = _SUBJECTS.get(what)
        if name is None or not args.get(name):
            raise RefusedError(
                f"lab {self.lab}: expected one of {', '.join(sorted(self.offers()))}, "
                f"got {what} of {dict(args)}"
            )
        return str(args[name])
