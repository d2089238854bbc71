"""The lab's network: one bridge, and for each machine a network namespace with one link to it.

Nothing of the host's own is changed: no sysctl, no rule, no route but the bridge's own subnet. The
host does not forward, so that neither the API server nor a NodePort is reached from outside.
"""

from __future__ import annotations

import ipaddress
import json
from pathlib import Path

from core.errors import RefusedError
from core.processes import run
from lab.plan import Machine, Plan

NETNS = Path("/run/netns")


def ip(*words: str, check: bool = True) -> str:
    """Run iproute2's program and return what it prints."""
    return run(["ip", *words], timeout_s=10, check=check).stdout


def in_netns(netns: str, *argv: str | Path) -> list[str]:
    """Return a command that runs `argv` in a network namespace.

    nsenter and not `ip netns exec`: that remounts /sys, which hides the cgroups.
    """
    return ["nsenter", f"--net={NETNS / netns}", *map(str, argv)]


def refuse_taken_subnet(subnet: str) -> None:
    """Raise RefusedError when a link or a route of this machine already uses part of the subnet."""
    wanted = ipaddress.ip_network(subnet)
    for link in json.loads(ip("-j", "-4", "address")):
        for address in link.get("addr_info", []):
            held = ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
            if held.overlaps(wanted):
                raise _taken(subnet, f"link {link['ifname']} has {address['local']}/{address['prefixlen']}")
    for route in json.loads(ip("-j", "-4", "route", "show", "table", "all")):
        target = route["dst"]
        if target in ("default", "0.0.0.0/0") or route.get("type") in ("broadcast", "local"):
            continue
        if ipaddress.ip_network(target, strict=False).overlaps(wanted):
            raise _taken(subnet, f"the route to {target} by {route.get('dev', 'no link')} overlaps it")


def _taken(subnet: str, why: str) -> RefusedError:
    return RefusedError(
        f"subnet {subnet} is taken: {why}; name another with --subnet, or `subnet` in the settings' [lab]"
    )


def make_bridge(plan: Plan) -> None:
    """Make the bridge with the host's address on it."""
    ip("link", "add", plan.bridge, "type", "bridge", "forward_delay", "0")
    ip("address", "add", f"{plan.host_address}/24", "dev", plan.bridge)
    ip("link", "set", plan.bridge, "up")


def make_netns(plan: Plan, machine: Machine) -> None:
    """Make a machine's namespace, link it to the bridge, and route to the pods of every worker."""
    # Not `ip netns add`: its first use mounts /run/netns on itself, and that mount stays.
    NETNS.mkdir(mode=0o755, exist_ok=True)
    (NETNS / machine.netns).touch()
    run(["unshare", f"--net={NETNS / machine.netns}", "true"], timeout_s=10)
    peer = f"{machine.link}p"
    ip("link", "add", machine.link, "type", "veth", "peer", "name", peer)
    ip("link", "set", peer, "netns", machine.netns)
    ip("link", "set", machine.link, "master", plan.bridge, "up")
    lines = [
        "link set lo up",
        f"link set {peer} name eth0",
        f"address add {machine.address}/24 dev eth0",
        "link set eth0 up",
    ]
    lines += [
        f"route add {other.pod_subnet} via {other.address}"
        for other in plan.workers
        if other.name != machine.name
    ]
    run(["ip", "-n", machine.netns, "-batch", "-"], timeout_s=10, stdin="\n".join(lines) + "\n")
    if machine.role == "worker":
        run(in_netns(machine.netns, "sysctl", "-qw", "net.ipv4.ip_forward=1"), timeout_s=10)


def remove(plan: Plan) -> None:
    """Remove the lab's links and namespaces; what is not there is no error."""
    for machine in plan.machines:
        if link_exists(machine.link):
            ip("link", "delete", machine.link, check=False)
        file = NETNS / machine.netns
        if file.exists():
            run(["umount", "--lazy", file], timeout_s=10, check=False)
            file.unlink(missing_ok=True)
    if link_exists(plan.bridge):
        ip("link", "delete", plan.bridge, check=False)
    if NETNS.is_dir() and not any(NETNS.iterdir()):
        try:
            NETNS.rmdir()
        except OSError:
            return  # it is a mount of somebody else's making


def link_exists(name: str) -> bool:
    """Tell whether the host has a link of this name."""
    return Path("/sys/class/net", name).exists()
