"""A pod's network as acts disturb it: never the node's own, and what they may have left in any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chaos.agents import Act
from chaos.node import chains, children, netns, queueing
from core.errors import MisuseError, RefusedError

# What the network acts start; other acts have children of their own.
_CHILDREN = ("chaos.node.delayer", "chaos.node.dns_responder", "chaos.node.http_responder")


def of_target(act: Act) -> int:
    """Return the network namespace of an act's container.

    MisuseError without a container, RefusedError for a pod that uses the node's network (hostNetwork): the
    act would hit every pod of the node.
    """
    if not act.container_id:
        raise MisuseError(f"{act.kind}: expected a container_id, got none: it acts on a pod's network")
    inode = netns.of_container(act.container_id)
    if inode == netns.of_container(""):
        raise RefusedError(
            f"container {act.container_id} uses the node's own network: every pod would be hit"
        )
    return inode


def every_namespace() -> list[int]:
    """Return the namespaces of the pods and the node's own."""
    return sorted(netns.of_pods() | {netns.of_container("")})


def left_chains() -> list[Mapping[str, Any]]:
    """Return the chains that acts may have left anywhere on the node."""
    return [
        {"where": f"network namespace {inode}", "what": f"chain {name} of {table}"}
        for inode, table, name in chains.found(every_namespace())
    ]


def left_queueing() -> list[Mapping[str, Any]]:
    """Return the queueing disciplines that acts may have left anywhere on the node."""
    return [
        {"where": f"network namespace {inode}", "what": f"queueing discipline {one}"}
        for inode in every_namespace()
        if netns.pid_in(inode) is not None
        for one in queueing.found(inode)
    ]


def left_children() -> list[Mapping[str, Any]]:
    """Return the processes that acts may have left."""
    return [
        {"where": f"process {one.id.pid} ({one.name})", "what": "a child of a network act"}
        for module in _CHILDREN
        for one in children.found(module)
    ]
