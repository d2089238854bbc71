"""network_bandwidth: what leaves a pod does so at `rate_bit_s` at most, by a token bucket (tc tbf)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import queueing
from chaos.node.act_kind import Note
from chaos.node.pod_network import left_queueing, of_target
from chaos.node.traffic import known, number
from core.errors import RefusedError

KIND = "network_bandwidth"
LASTS = True
_LEAST_BIT_S, _MOST_BIT_S = 8_000, 1e11
# A burst of 20 ms keeps the rate true over short spans; below some packets the bucket would pass none.
_BURST_S, _LEAST_BURST_BYTES = 0.02, 5_000


def check(act: Act) -> None:
    """Refuse wrong parameters, the node's own network, a link with a discipline, and a kernel without tbf."""
    inode = of_target(act)
    known(KIND, act.params, frozenset({"rate_bit_s"}))
    why = queueing.offered(_words(act))
    if why is not None:
        raise RefusedError(f"{KIND}: this node's kernel lacks tc tbf: {why}")
    queueing.demand_default(inode, queueing.link_of(inode))


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Limit the link."""
    inode = of_target(act)
    link = queueing.link_of(inode)
    note(inode=inode, link=link)
    queueing.install(inode, link, _words(act))
    return {"mechanism": "tbf", "netns": inode, "link": link}


def end(act: Act, noted: Mapping[str, Any]) -> None:  # noqa: ARG001 - all that it takes was noted
    """Remove the limit."""
    if "link" in noted:
        queueing.remove(int(noted["inode"]), str(noted["link"]))


def remainders() -> list[Mapping[str, Any]]:
    """Return the queueing disciplines of acts of any kind."""
    return left_queueing()


def _words(act: Act) -> list[str]:
    rate_bit_s = number(act.params, "rate_bit_s", _LEAST_BIT_S, _MOST_BIT_S)
    burst_bytes = max(_LEAST_BURST_BYTES, rate_bit_s / 8 * _BURST_S)
    return ["tbf", "rate", f"{rate_bit_s:.0f}bit", "burst", f"{burst_bytes:.0f}", "latency", "400ms"]
