"""How a container that was killed shows: its restart count rose, and it ended by SIGKILL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from chaos.replicas import Container, Replicas
from chaos.targets import Target

SIGKILL_EXIT_CODE = 137  # 128 + SIGKILL, as the container runtimes report it


def not_killed(targets: Sequence[Target], seen: Replicas, *, injected_s: float) -> str | None:
    """Return what speaks against the targets' containers having been killed and started again, if anything.

    `injected_s` is the moment of the kill (run's clock).
    """
    for target in targets:
        pod = seen.by_uid(target.uid)
        now = pod.container(target.container) if pod else None
        if now is None:
            return f"pod {target.pod} ({target.uid}) shows no container {target.container}"
        if now.restarts <= target.restarts:
            return f"pod {target.pod} has {now.restarts} restarts, {target.restarts} before"
        objection = _other_end(target, now, injected_s)
        if objection:
            return objection
    return None


def evidence(targets: Sequence[Target], seen: Replicas) -> dict[str, object]:
    """Return per pod the restart count's rise and how the killed container ended."""
    rises: dict[str, object] = {}
    for target in targets:
        pod = seen.by_uid(target.uid)
        now = pod.container(target.container) if pod else None
        if now:
            rises[target.pod] = {
                "uid": target.uid,
                "restarts": [target.restarts, now.restarts],
                "exit_code": now.ended_code if now.ended_id == target.container_id else None,
                "killed": target.container_id,
                "running": now.container_id,
            }
    return rises


def _other_end(target: Target, now: Container, injected_s: float) -> str | None:
    """Object to a restart that was not this kill's doing."""
    if now.ended_id == target.container_id:
        if now.ended_code == SIGKILL_EXIT_CODE and now.ended_reason != "OOMKilled":
            return None
        return f"pod {target.pod}: it ended with {now.ended_code} ({now.ended_reason}), not by this kill"
    if now.container_id in {"", target.container_id}:
        return f"pod {target.pod}: no new container yet"
    # The record of the end has been overwritten: a new container, started no earlier than the kill
    # (the kubelet's stamps are whole seconds), is the next best source.
    started_s = datetime.fromisoformat(now.started_at).timestamp() if now.started_at else 0.0
    if started_s < int(injected_s):
        return f"pod {target.pod}: its container started at {now.started_at or 'no time'}, before the kill"
    return None
