"""http_errors: an HTTP upstream answers a pod's requests with an error status.

{addresses, ports, status}: the upstream's, as the pod's packets name it. New connections are led to a process
of ours in the pod's network namespace; those that stand are reset, so that a client that keeps its
connections sees it too.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import chains, children
from chaos.node.act_kind import Note
from chaos.node.pod_network import of_target
from chaos.node.traffic import Traffic, known, number
from core.errors import MisuseError, RefusedError

KIND = "http_errors"
LASTS = True
_ANY_PORT = 1


def check(act: Act) -> None:
    """Refuse wrong parameters, the node's network, an upstream beyond IPv4, a kernel without redirects."""
    of_target(act)
    known(KIND, act.params, frozenset({"addresses", "ports", "status"}))
    number(act.params, "status", 500, 599, 503)
    chains.rehearse(_rules(act, _ANY_PORT))


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Start the responder, then lead the connections there."""
    inode = of_target(act)
    note(inode=inode)
    status = str(int(number(act.params, "status", 500, 599, 503)))
    told = children.start(inode, act.id, "chaos.node.http_responder", [status], longest_s=act.longest_s)
    port = int(told.split()[1])
    chains.install(inode, act.id, _rules(act, port))
    return {"mechanism": "redirected connections", "netns": inode, "status": int(status), "port": port}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Lead the connections to the upstream again, then end the responder."""
    if "inode" in noted:
        chains.remove(int(noted["inode"]), act.id)
        children.end(act.id)


def remainders() -> list[Mapping[str, Any]]:
    """Return nothing: network_filter lists all chains, network_delay all processes."""
    return []


def _rules(act: Act, port: int) -> list[chains.Rule]:
    addresses, ports = act.params.get("addresses", ()), act.params.get("ports", ())
    if not addresses or not ports:
        raise MisuseError(f"{KIND}: expected addresses and ports, got {addresses!r} and {ports!r}")
    strange = [one for one in addresses if ipaddress.ip_network(str(one)).version != 4]
    if strange:
        raise RefusedError(f"{KIND}: the upstream's addresses {strange} are no IPv4")
    traffic = Traffic.of({"direction": "out", "addresses": addresses, "ports": ports, "protocols": ["tcp"]})
    rules = []
    for _, hook, words in traffic.matches((4,)):
        redirect = ("-j", "REDIRECT", "--to-ports", str(port))
        rules.append(chains.Rule(table="nat", hook=hook, words=(*words, *redirect)))
        # What still carries the upstream's address here is a connection from before.
        rules.append(chains.Rule(hook=hook, words=(*words, "-j", "REJECT", "--reject-with", "tcp-reset")))
    return rules
