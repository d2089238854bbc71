"""echoes_heard: how many ICMP echo requests a network has received, counted behind all its rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.node import netns

NAME = "echoes_heard"


def ask(*, container_id: str = "") -> Mapping[str, Any]:
    """Return {heard}: since the network was made, over IPv4 and IPv6."""
    return {"heard": netns.call(netns.of_container(container_id), _heard)}


def _heard() -> int:
    # Not /proc/self: that is the main thread's network.
    folder = Path("/proc/thread-self/net")
    names, values = (
        line.split() for line in (folder / "snmp").read_text().splitlines() if line.startswith("Icmp:")
    )
    heard = int(values[names.index("InEchos")])
    newer = folder / "snmp6"
    if newer.exists():
        for line in newer.read_text().splitlines():
            if line.startswith("Icmp6InEchos"):
                heard += int(line.split()[1])
    return heard
