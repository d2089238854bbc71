"""The lab's network: a switch, and for each machine a network namespace with one link to it.

The switch is a bridge in a namespace of its own: a host whose firewall also filters bridged traffic, as
one with Docker does, would drop what the machines say to each other.
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


def taken_by(subnet: str) -> str | None:
    """Return what of this machine already uses part of the subnet, a link or a route, or None."""
    wanted = ipaddress.ip_network(subnet)
    for link in json.loads(ip("-j", "-4", "address")):
        for address in link.get("addr_info", []):
            held = ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
            if held.overlaps(wanted):
                return f"link {link['ifname']} has {address['local']}/{address['prefixlen']}"
    for route in json.loads(ip("-j", "-4", "route", "show", "table", "all")):
        target = route["dst"]
        if target in ("default", "0.0.0.0/0") or route.get("type") in ("broadcast", "local"):
            continue
        if ipaddress.ip_network(target, strict=False).overlaps(wanted):
            return f"the route to {target} by {route.get('dev', 'no link')} overlaps it"
    return None


def refuse_taken_subnet(subnet: str) -> None:
    """Raise RefusedError when a link or a route of this machine already uses part of the subnet."""
    why = taken_by(subnet)
    if why is not None:
        raise RefusedError(
            f"subnet {subnet} is taken: {why}; name another with --subnet, or `subnet` in the settings' [lab]"
        )


def make_switch(plan: Plan) -> None:
    """Make the switch, and the host's link to it with the host's address."""
    _new_netns(plan, plan.switch)
    ip("-n", plan.switch, "link", "add", "switch", "type", "bridge", "forward_delay", "0")
    ip("-n", plan.switch, "link", "set", "switch", "up")
    ip("link", "add", plan.host_link, "type", "veth", "peer", "name", "host", "netns", plan.switch)
    ip("-n", plan.switch, "link", "set", "host", "master", "switch", "up")
    ip("address", "add", f"{plan.host_address}/24", "dev", plan.host_link)
    ip("link", "set", plan.host_link, "up")


def _new_netns(plan: Plan, name: str) -> None:
    # Not `ip netns add`: its first use mounts /run/netns on itself, and that mount stays. Where somebody else
    # does it, what was mounted in there before is hidden beneath: so ours is elsewhere, and here is a link.
    held = _held(plan, name)
    held.parent.mkdir(exist_ok=True)
    held.touch()
    (NETNS / name).symlink_to(held)
    run(["unshare", f"--net={held}", "true"], timeout_s=10)


def _held(plan: Plan, name: str) -> Path:
    """Return the file that a network namespace is mounted on while it lasts."""
    return plan.folder / "netns" / name


def make_netns(plan: Plan, machine: Machine) -> None:
    """Make a machine's namespace, link it to the switch, and route to the pods of every worker."""
    _new_netns(plan, machine.netns)
    port = ["peer", "name", machine.name, "netns", plan.switch]
    ip("link", "add", "eth0", "netns", machine.netns, "type", "veth", *port)
    ip("-n", plan.switch, "link", "set", machine.name, "master", "switch", "up")
    lines = [
        "link set lo up",
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


def forget_rules(machine: Machine) -> None:
    """Remove every packet filter's rule of a machine, as the loss of its power does."""
    run(in_netns(machine.netns, "nft", "flush", "ruleset"), timeout_s=20)


def remove(plan: Plan) -> None:
    """Remove the lab's links and namespaces; what is not there is no error."""
    if link_exists(plan.host_link):
        ip("link", "delete", plan.host_link, check=False)
    # The other links go with their namespaces.
    for name in (plan.switch, *(machine.netns for machine in plan.machines)):
        held = _held(plan, name)
        if held.exists():
            run(["umount", "--lazy", held], timeout_s=10, check=False)
            held.unlink(missing_ok=True)
        (NETNS / name).unlink(missing_ok=True)


def link_exists(name: str) -> bool:
    """Tell whether the host has a link of this name."""
    return Path("/sys/class/net", name).exists()
