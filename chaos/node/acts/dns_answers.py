"""dns_answers: a pod's resolver gets a wrong answer for some names, and the true one for all others.

{names, answer}: names as the pod asks for them, a short one with each of its resolver's search domains; the
answer is an IPv4 address or `nxdomain`. Queries are led to a process of ours in the pod's network namespace.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import chains, children
from chaos.node.act_kind import Note
from chaos.node.dns_responder import MARK, NO_SUCH_NAME
from chaos.node.pod_network import of_target
from chaos.node.resolver import Resolver
from chaos.node.traffic import known
from core.errors import MisuseError, RefusedError

KIND = "dns_answers"
LASTS = True
_ANY_PORT = 1


def check(act: Act) -> None:
    """Refuse wrong parameters, the node's network, a server beyond IPv4, a kernel that cannot redirect."""
    of_target(act)
    known(KIND, act.params, frozenset({"names", "answer"}))
    _asked(act)
    _answer(act)
    chains.rehearse(_rules(_ANY_PORT))


def begin(act: Act, note: Note) -> Mapping[str, Any]:
    """Start the responder, then lead the queries there."""
    inode = of_target(act)
    server, names = _asked(act)
    note(inode=inode)
    words = [server, _answer(act), *names]
    told = children.start(inode, act.id, "chaos.node.dns_responder", words, longest_s=act.longest_s)
    port = int(told.split()[1])
    chains.install(inode, act.id, _rules(port))
    return {"mechanism": "redirected queries", "netns": inode, "server": server, "names": names, "port": port}


def end(act: Act, noted: Mapping[str, Any]) -> None:
    """Lead the queries to their server again, then end the responder."""
    if "inode" in noted:
        chains.remove(int(noted["inode"]), act.id)
        children.end(act.id)


def remainders() -> list[Mapping[str, Any]]:
    """Return nothing: network_filter lists all chains, network_delay all processes."""
    return []


def _answer(act: Act) -> str:
    answer = act.params.get("answer")
    if answer == NO_SUCH_NAME:
        return NO_SUCH_NAME
    try:
        return str(ipaddress.IPv4Address(str(answer)))
    except ValueError as error:
        raise MisuseError(f"answer: expected an IPv4 address or {NO_SUCH_NAME}, got {answer!r}") from error


def _asked(act: Act) -> tuple[str, list[str]]:
    names = act.params.get("names")
    if not isinstance(names, list) or not names or not all(isinstance(one, str) and one for one in names):
        raise MisuseError(f"names: expected a list of names, got {names!r}")
    resolver = Resolver.of_container(act.container_id)
    if ipaddress.ip_address(resolver.server).version != 4:
        raise RefusedError(f"the pod's name server {resolver.server} has no IPv4 address")
    return resolver.server, sorted({one for name in names for one in resolver.candidates(name)})


def _rules(port: int) -> list[chains.Rule]:
    unmarked = ("-m", "mark", "!", "--mark", hex(MARK))
    target = ("-j", "REDIRECT", "--to-ports", str(port))
    return [
        chains.Rule(table="nat", hook="OUTPUT", words=("-p", protocol, "--dport", "53", *unmarked, *target))
        for protocol in ("udp", "tcp")
    ]
