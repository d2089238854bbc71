"""The agents on the nodes, as faults see them: they act on a node, undo it, and measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Act:
    """One disturbance on one node, as data. `kind` names a module of chaos/node/acts.

    `container_id` (full, without the runtime's prefix) says in which container, or in which pod's network;
    empty means the node itself. The agent undoes the act by its own monotonic clock `lifetime_s` after it
    was last told to keep it, and `longest_s` after it began in any case.
    """

    id: str
    kind: str
    node: str
    container_id: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    lifetime_s: float = 10.0
    longest_s: float = 300.0


class Agents(Protocol):
    """The agents of a cluster. EnvironmentFailedError where one does not answer or fails."""

    def begin(self, act: Act) -> Mapping[str, Any]:
        """Do it on the act's node; the agent has noted how to undo it before. Returns what it did.

        RefusedError, before anything is touched, where the node's kernel lacks what it needs.
        """

    def end(self, node: str, act_id: str) -> None:
        """Undo an act; harmless when it is undone, or was never begun."""

    def ask(self, node: str, question: str, **params: Any) -> Mapping[str, Any]:
        """Measure from a node or a container on it. `question` names a module of chaos/node/questions."""

    def remainders(self) -> list[Mapping[str, Any]]:
        """List what acts could have left on any node, found without looking at the ledger."""
