"""network_filter: packets of a pod are lost, connections reset or refused, by rules in its network namespace.

{effect: drop | reset | refuse, direction, addresses, ports, own_ports, protocols, ratio}. `drop` is silent,
also to a sender within the pod: a packet that the OUTPUT hook drops fails its send call, so it goes to a
queue that nobody reads instead. `reset` lets connections open and resets them once they carry data. `ratio`
is the share of packets hit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaos.agents import Act
from chaos.node import chains
from chaos.node.act_kind import Note
from chaos.node.pod_network import left_chains, of_target
from chaos.node.traffic import PARAMS, Traffic, known, number
from core.errors import MisuseError

KIND = "network_filter"
LASTS = True
EFFECTS = ("drop", "reset", "refuse")
# Without a listener and without --queue-bypass a packet in a queue is gone, and its sender is told nothing.
NOBODYS_QUEUE = 61453
_RESET = ("-j", "REJECT", "--reject-with", "tcp-reset")
_CARRIES_DATA = ("--tcp-flags", "SYN,RST,PSH", "PSH")


def check(act: Act) -> None:
    """Refuse wrong parameters, the node's own network, and a kernel without what the rules need."""
    known(KIND, act.params, PARAMS | {"effect", "ratio"})
    chains.rehearse(_rules(act, chains.families(of_target(act))))


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Install the rules."""
    inode = of_target(act)
    note(inode=inode)
    rules = _rules(act, chains.families(inode))
    chains.install(inode, act.id, rules)
    return {"mechanism": "iptables", "netns": inode, "rules": [" ".join(rule.words) for rule in rules]}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Remove the rules."""
    if "inode" in noted:
        chains.remove(int(noted["inode"]), act.id)


def remainders() -> list[Mapping[str, Any]]:
    """Return the chains of acts of any kind, in the pods' namespaces and in the node's."""
    return left_chains()


def _rules(act: Act, families: Sequence[int]) -> list[chains.Rule]:
    effect = act.params.get("effect")
    if effect not in EFFECTS:
        raise MisuseError(f"effect: expected one of {', '.join(EFFECTS)}, got {effect!r}")
    ratio = number(act.params, "ratio", 0.001, 1.0, 1.0)
    traffic = Traffic.of(act.params)
    if effect == "reset" and set(traffic.protocols) - {"tcp"}:
        raise MisuseError(f"protocols: expected tcp for the effect reset, got {traffic.protocols}")
    share = () if ratio == 1.0 else ("-m", "statistic", "--mode", "random", "--probability", f"{ratio:.6f}")
    return [
        chains.Rule(hook=hook, family=family, words=(*narrowed, *share, *target))
        for family, hook, words in traffic.matches(families)
        for narrowed, target in _targets(str(effect), hook, family, words)
    ]


def _targets(
    effect: str, hook: str, family: int, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    protocol = words[words.index("-p") + 1] if "-p" in words else ""
    if effect == "drop":
        silent = ("-j", "NFQUEUE", "--queue-num", str(NOBODYS_QUEUE))
        yield words, silent if hook == "OUTPUT" else ("-j", "DROP")
        return
    tcp = words if protocol == "tcp" else (*words, "-p", "tcp")
    if effect == "reset":
        yield (*tcp, *_CARRIES_DATA), _RESET
        return
    if protocol in ("", "tcp"):
        yield tcp, _RESET
    if protocol != "tcp":
        unreachable = "icmp-port-unreachable" if family == 4 else "icmp6-port-unreachable"
        yield words, ("-j", "REJECT", "--reject-with", unreachable)
