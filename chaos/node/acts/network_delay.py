"""network_delay: packets of a pod take longer, each round trip by `delay_ms`.

{delay_ms, jitter_ms, addresses, ports, own_ports, protocols}. All of a pod's traffic is delayed by tc netem
as it leaves, where the kernel has that. Where it has not, and for the traffic with some peers only, what
arrives is held back: by a netfilter queue and a process of ours that lets the packets pass later (`nfqueue`).
What arrives and not what leaves, since TCP limits what waits between it and the link, and would send less.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.agents import Act
from chaos.node import chains, children, queueing
from chaos.node.act_kind import Note
from chaos.node.pod_network import left_children, of_target
from chaos.node.traffic import PARAMS, Traffic, known, number

KIND = "network_delay"
LASTS = True
_MOST_MS = 60_000


def check(act: Act) -> None:
    """Refuse wrong parameters, the node's own network, and a kernel that has neither mechanism."""
    inode = of_target(act)
    known(KIND, act.params, (PARAMS - {"direction"}) | {"delay_ms", "jitter_ms"})
    _times_ms(act)
    rules = _rules(act, chains.families(inode))
    if _by_netem(act):
        queueing.demand_default(inode, queueing.link_of(inode))
    else:
        chains.rehearse(rules)


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Delay them by whichever mechanism there is, and name it."""
    inode = of_target(act)
    delay_ms, jitter_ms = _times_ms(act)
    if _by_netem(act):
        link = queueing.link_of(inode)
        note(inode=inode, link=link)
        queueing.install(inode, link, _netem(delay_ms, jitter_ms))
        return {"mechanism": "netem", "netns": inode, "link": link}
    note(inode=inode)
    queue = _queue(act.id)
    words = [str(queue), f"{delay_ms:g}", f"{jitter_ms:g}"]
    children.start(inode, act.id, "chaos.node.delayer", words, longest_s=act.longest_s)
    chains.install(inode, act.id, _rules(act, chains.families(inode)))
    return {"mechanism": "nfqueue", "netns": inode, "queue": queue}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Remove the rules, then the process: what it held back passes, or is sent again."""
    if "link" in noted:
        queueing.remove(int(noted["inode"]), str(noted["link"]))
    elif "inode" in noted:
        chains.remove(int(noted["inode"]), act.id)
        children.end(act.id)


def remainders() -> list[Mapping[str, Any]]:
    """Return the processes of acts of any kind."""
    return left_children()


def _times_ms(act: Act) -> tuple[float, float]:
    delay_ms = number(act.params, "delay_ms", 1, _MOST_MS)
    return delay_ms, number(act.params, "jitter_ms", 0, delay_ms, 0.0)


def _netem(delay_ms: float, jitter_ms: float) -> list[str]:
    return ["netem", "delay", f"{delay_ms:g}ms", *([f"{jitter_ms:g}ms"] if jitter_ms else [])]


def _by_netem(act: Act) -> bool:
    everything = not (act.params.get("addresses") or act.params.get("ports") or act.params.get("protocols"))
    return everything and queueing.offered(_netem(1, 0)) is None


def _queue(act_id: str) -> int:
    return 1 + int.from_bytes(hashlib.sha256(act_id.encode()).digest()[:2], "big") % 60_000


def _rules(act: Act, families: Sequence[int]) -> list[chains.Rule]:
    target = ("-j", "NFQUEUE", "--queue-num", str(_queue(act.id)), "--queue-bypass")
    traffic = Traffic.of({**act.params, "direction": "in"})
    return [
        chains.Rule(hook=hook, family=family, words=(*words, *target))
        for family, hook, words in traffic.matches(families)
    ]
