"""Queueing disciplines of acts: at the root of a pod's link, known by their handle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.node import kernel_tables, netns
from core.errors import CommandError, RefusedError
from core.processes import run

# Beside a kernel's default, whose handle is 0:, a discipline has the number that whoever made it chose.
HANDLE = "ecc0:"
_HANDLE = 0xECC0 << 16


def offered(words: Sequence[str]) -> str | None:
    """Return why this kernel does not take such a discipline, or None; tried on a link of no use."""
    try:
        run(["unshare", "--net", "tc", "qdisc", "add", "dev", "lo", "root", *words], timeout_s=20)
    except CommandError as error:
        return str(error)
    return None


def link_of(inode: int) -> str:
    """Return the link by which a namespace's packets leave; RefusedError without a default route."""
    routes = json.loads(netns.run(inode, ["ip", "-j", "route", "show", "default"]).stdout or "[]")
    if not routes:
        raise RefusedError(f"network namespace {inode} has no default route: nothing leaves it")
    return str(routes[0]["dev"])


def demand_default(inode: int, link: str) -> None:
    """Raise RefusedError when the link's discipline is somebody's own: it could not be put back."""
    for one in _listed(inode):
        if one["dev"] == link and one.get("root") and one["handle"] != "0:":
            raise RefusedError(
                f"link {link} already has the queueing discipline {one['kind']} {one['handle']}: "
                "it would not be there afterwards"
            )


def install(inode: int, link: str, words: Sequence[str]) -> None:
    """Make the discipline at the root of the link."""
    netns.run(inode, ["tc", "qdisc", "replace", "dev", link, "root", "handle", HANDLE, *words])


def remove(inode: int, link: str) -> None:
    """Remove an act's discipline, if there is one; the kernel puts its default back."""
    if netns.pid_in(inode) is None:
        return
    if any(one["dev"] == link and one["handle"] == HANDLE for one in _listed(inode)):
        netns.run(inode, ["tc", "qdisc", "del", "dev", link, "root"])


def found(inode: int) -> list[str]:
    """Return the disciplines of acts in a namespace, whoever made them."""
    if _HANDLE not in (handle for _, handle in kernel_tables.disciplines(inode)):
        return []
    return [
        f"{one['kind']} {one['handle']} on {one['dev']}" for one in _listed(inode) if one["handle"] == HANDLE
    ]


def _listed(inode: int) -> list[Mapping[str, Any]]:
    told: list[Mapping[str, Any]] = json.loads(netns.run(inode, ["tc", "-j", "qdisc", "show"]).stdout or "[]")
    return told
