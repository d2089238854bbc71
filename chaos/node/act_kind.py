"""What a kind of act is: a module of chaos/node/acts, listed in that package."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from chaos.agents import Act


class Note(Protocol):
    """Writes what undoing will need, durably, before it is done; later calls add to it."""

    def __call__(self, **data: Any) -> None:
        """Write it."""


class ActKind(Protocol):
    """A kind of act. `LASTS` is false where nothing is left to be undone once it has begun (a kill)."""

    KIND: str
    LASTS: bool

    def check(self, act: Act) -> None:
        """Raise MisuseError for wrong parameters, RefusedError where the node lacks what it takes.

        Nothing has been touched or noted yet.
        """

    def begin(self, act: Act, note: Note) -> Mapping[str, Any]:
        """Do it and return what was done. Whatever it raises, `end` is called with what was noted."""

    def end(self, act: Act, noted: Mapping[str, Any]) -> None:
        """Undo it; harmless when only a part of it was done, or when it is undone.

        It may run in another process than `begin` did: the agent's container may have been killed between.
        """

    def remainders(self) -> list[Mapping[str, Any]]:
        """Return what acts of this kind may have left on the node, {where, what}, without any note."""
