"""cut_node {port}: nothing goes in or out of the node but what undoes it; all on the node goes on.

Dropped is what crosses a link to other machines: one that a gateway is on, or the node's address. Loopback
and the links to the node's pods stay, and so does TCP at `port`, the agent's own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import chains, netns
from chaos.node.act_kind import Note
from chaos.node.acts.network_filter import NOBODYS_QUEUE
from core.errors import MisuseError, RefusedError

KIND = "cut_node"
LASTS = True
_HOOKS = {"INPUT": "-i", "FORWARD": "-i", "OUTPUT": "-o"}
_LOOPBACK = "lo"


def check(act: Act) -> None:
    """Refuse a container, a missing port, and a node whose links to others cannot be told."""
    port = act.params.get("port")
    if set(act.params) != {"port"} or not isinstance(port, int) or not 0 < port < 65536 or act.container_id:
        raise MisuseError(
            f"{KIND}: expected the parameter port (1 to 65535) and no container, "
            f"got {dict(act.params)} and container_id {act.container_id!r}"
        )
    inode = netns.of_container("")
    links = _links(inode)
    if not links:
        raise RefusedError(f"{KIND}: no link of this node leads to a gateway, or has its address")
    chains.rehearse(list(_rules(links, port, chains.families(inode))))


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Install the rules in the node's own network."""
    inode = netns.of_container("")
    note(inode=inode)
    links = _links(inode)
    rules = list(_rules(links, act.params["port"], chains.families(inode)))
    chains.install(inode, act.id, rules)
    return {"mechanism": "iptables", "links": links, "rules": [" ".join(rule.words) for rule in rules]}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Remove the rules."""
    if "inode" in noted:
        chains.remove(int(noted["inode"]), act.id)


def remainders() -> list[Mapping[str, Any]]:
    """Return nothing: network_filter looks for chains of every kind, in the node's network too."""
    return []


def _links(inode: int) -> list[str]:
    """Return the links that lead to other machines."""
    routes: list[dict[str, Any]] = []
    for family in ("-4", "-6"):
        told = netns.run(inode, ["ip", "-j", family, "route", "show", "table", "all"], check=False).stdout
        routes += json.loads(told or "[]")
    own: dict[str, str] = {
        address["local"]: link["ifname"]
        for link in json.loads(netns.run(inode, ["ip", "-j", "address"]).stdout)
        for address in link.get("addr_info", [])
        if "local" in address
    }
    hops = [hop for route in routes for hop in (route, *route.get("nexthops", []))]
    found = {
        str(hop["dev"])
        for hop in hops
        # A gateway that is the node itself only leads to its pods.
        if "dev" in hop and _gateway(hop) and _gateway(hop) not in own
    }
    address = os.environ.get("NODE_ADDRESS", "")
    return sorted((found | {own[address]} if address in own else found) - {_LOOPBACK})


def _gateway(hop: Mapping[str, Any]) -> str:
    return str(hop.get("gateway") or (hop.get("via") or {}).get("host") or "")


def _rules(links: list[str], port: int, families: tuple[int, ...]) -> Iterator[chains.Rule]:
    for family in families:
        for hook, side in _HOOKS.items():
            own = "--sport" if hook == "OUTPUT" else "--dport"
            for link in links:
                if hook != "FORWARD":
                    words = (side, link, "-p", "tcp", own, str(port), "-j", "RETURN")
                    yield chains.Rule(hook=hook, family=family, words=words)
                # A sender on the node whose packet the OUTPUT hook drops would be told so.
                silent = ("-j", "NFQUEUE", "--queue-num", str(NOBODYS_QUEUE))
                drop = silent if hook == "OUTPUT" else ("-j", "DROP")
                yield chains.Rule(hook=hook, family=family, words=(side, link, *drop))
                if hook == "FORWARD":
                    yield chains.Rule(hook=hook, family=family, words=("-o", link, "-j", "DROP"))
