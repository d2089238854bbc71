"""The agent's side of the hogs (chaos.node.hogs): children that are told apart by what they do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import children, netns, processes
from core.errors import RefusedError

MODULE = "chaos.node.hogs"


def start(act: Act, kind: str, settings: Mapping[str, Any], *, ready_s: float = 20.0) -> dict[str, Any]:
    """Start the act's hogs and return what they said; the act has been noted before.

    RefusedError: they saw that it would not do. EnvironmentFailedError: they were not ready in time.
    """
    words = [kind, json.dumps(settings)]
    own = netns.of_container("")
    line = children.start(own, act.id, MODULE, words, longest_s=act.longest_s, ready_s=ready_s)
    said: dict[str, Any] = json.loads(line)
    if "refused" in said:
        raise RefusedError(f"{act.kind} {act.id}: {said['refused']}")
    return said


def end(act_id: str) -> None:
    """End an act's hogs and their supervisor, whoever started them; returns when they have gone."""
    children.end(act_id)


def found(kind: str) -> list[processes.Process]:
    """Return the live hogs of a kind and their supervisors, whoever started them."""
    return children.found(MODULE, kind)
