"""What undoes a fault, as data: in the ledgers before the act, carried out by the healer, idempotently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Verb = Literal["agent", "uncordon", "delete", "patch", "provider"]
VERBS: tuple[str, ...] = get_args(Verb)
# What may be undone by deleting and by patching: as much as the watchdog is allowed.
UNDOABLE: Mapping[str, tuple[str, ...]] = {
    "delete": ("pods", "configmaps", "services", "networkpolicies"),
    "patch": ("nodes", "configmaps", "services", "deployments", "statefulsets"),
}


@dataclass(frozen=True, kw_only=True)
class Undo:
    """One step of undoing. Doing it twice, or where nothing was done, changes nothing.

    agent     {node, act_id}: the node's agent undoes an act of its own (it also does so by itself, when the
              act's lifetime is over)
    uncordon  {node}: the node takes pods again
    delete    {resource, name, namespace}: an object that the fault made goes
    patch     {resource, name, namespace, patch}: a merge patch that puts back what was there before
    provider  {what, ends_with_owner, …}: a power that only the environment's provider has, such as starting
              a machine; with `ends_with_owner` it does so by itself once the harness is gone

    ValueError for a resource that is not UNDOABLE so: the watchdog could not do it.
    """

    verb: Verb
    args: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        known = UNDOABLE.get(self.verb)
        if known is not None and self.args.get("resource") not in known:
            raise ValueError(
                f"undo by {self.verb}: expected one of {', '.join(known)}, got {self.args.get('resource')!r}"
            )

    def as_json(self) -> dict[str, Any]:
        """Return the record that `from_json` reads."""
        return {"verb": self.verb, **self.args}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Undo:
        """Read a record of a ledger; ValueError for an unknown verb."""
        args = dict(record)
        verb = args.pop("verb", None)
        if verb not in VERBS:
            raise ValueError(f"undo: expected one of {', '.join(VERBS)}, got {verb!r}")
        return cls(verb=verb, args=args)
