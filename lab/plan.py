"""A lab's plan: every name and address it will use, known before anything is made."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import RefusedError
from core.places import state

DEFAULT_NAME = "lab"
DEFAULT_SUBNETS = tuple(f"10.{n}.0.0/16" for n in range(201, 217))
MAX_NODES = 12
NODES, AI_NODES = 3, 1
AI_WORKLOAD = "ai"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine of the lab: the control plane or a worker node.

    A node with a `workload` is labelled workload=… with it and tainted so that nothing else goes there.
    """

    name: str
    role: str
    address: str
    pod_subnet: str | None
    netns: str
    folder: Path
    workload: str | None = None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All that one lab will use: a /16 split into machines (first /24), pods (a /24 a node) and services."""

    name: str
    subnet: str
    nodes: int
    ai_nodes: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)
        if not 1 <= self.nodes <= MAX_NODES:
            raise RefusedError(f"nodes: expected 1 to {MAX_NODES}, got {self.nodes}")
        if not 0 <= self.ai_nodes < self.nodes:
            raise RefusedError(
                f"ai nodes: expected 0 to {self.nodes - 1} of {self.nodes} nodes, got {self.ai_nodes}"
            )
        try:
            network = ipaddress.ip_network(self.subnet)
        except ValueError as error:
            raise RefusedError(f"subnet: expected a private IPv4 /16, got {self.subnet!r}") from error
        if network.version != 4 or network.prefixlen != 16 or not network.is_private:
            raise RefusedError(f"subnet: expected a private IPv4 /16, got {self.subnet!r}")

    @property
    def folder(self) -> Path:
        """Return the folder that holds everything this lab writes to disk."""
        return labs_folder() / self.name

    @property
    def short(self) -> str:
        """Return a short id, since a link's name has at most 15 characters."""
        return hashlib.sha256(self.name.encode()).hexdigest()[:6]

    @property
    def host_link(self) -> str:
        """Return the name of the host's link to the lab's switch."""
        return f"ecv{self.short}"

    @property
    def switch(self) -> str:
        """Return the network namespace that holds the switch."""
        return f"ecv-{self.name}-switch"

    def _address(self, third: int, fourth: int) -> str:
        return str(ipaddress.ip_network(self.subnet)[third * 256 + fourth])

    @property
    def host_address(self) -> str:
        """Return the host's address in the lab's network."""
        return self._address(0, 1)

    @property
    def service_subnet(self) -> str:
        """Return the Services' range."""
        return f"{self._address(128, 0)}/20"

    @property
    def api_service_address(self) -> str:
        """Return the ClusterIP of the `kubernetes` Service."""
        return self._address(128, 1)

    @property
    def dns_address(self) -> str:
        """Return the ClusterIP of the cluster's DNS."""
        return self._address(128, 10)

    @property
    def pod_range(self) -> str:
        """Return the range that holds every pod's address."""
        return f"{self._address(16, 0)}/20"

    @property
    def cgroup(self) -> str:
        """Return the lab's cgroup below each hierarchy's root."""
        return f"ecochain-verify/{self.name}"

    def _machine(self, name: str, role: str, fourth: int, pod_subnet: str | None) -> Machine:
        return Machine(
            name=name,
            role=role,
            address=self._address(0, fourth),
            pod_subnet=pod_subnet,
            netns=f"ecv-{self.name}-{name}",
            folder=self.folder / "machines" / name,
        )

    @property
    def control_plane(self) -> Machine:
        """Return the machine of etcd, the API server, the controller manager and the scheduler."""
        return self._machine("control-plane", "control-plane", 2, None)

    @property
    def workers(self) -> list[Machine]:
        """Return the worker nodes, those for AI last."""
        general = self.nodes - self.ai_nodes
        return [
            replace(
                self._machine(f"node{n}", "worker", 10 + n, f"{self._address(16 + n, 0)}/24"),
                workload=AI_WORKLOAD if n > general else None,
            )
            for n in range(1, self.nodes + 1)
        ]

    @property
    def machines(self) -> list[Machine]:
        """Return every machine, the control plane first."""
        return [self.control_plane, *self.workers]

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig (mode 0600)."""
        return self.folder / "kubeconfig"

    @property
    def registry(self) -> str:
        """Return the registry's address and port, reachable from this machine and the lab only."""
        return f"{self.control_plane.address}:5000"

    @property
    def volumes(self) -> Path:
        """Return the folder that holds the pods' volumes."""
        return self.folder / "volumes"

    @property
    def api_url(self) -> str:
        """Return the API server's address, reachable from this machine only."""
        return f"https://{self.control_plane.address}:6443"


def labs_folder() -> Path:
    """Return the folder of all labs of this machine."""
    return state() / "labs"


def check_name(name: str) -> None:
    """Raise RefusedError unless a lab can have this name."""
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", name):
        raise RefusedError(
            f"lab name: expected a letter, then up to 19 of a-z, 0-9 and inner dashes, got {name!r}"
        )


def choose_subnet(
    taken_by_labs: Iterable[str], taken_by: Callable[[str], str | None] = lambda _: None
) -> str:
    """Return the first default subnet that no other lab holds and that nothing else is `taken_by`."""
    held = set(taken_by_labs)
    for subnet in DEFAULT_SUBNETS:
        if subnet not in held and taken_by(subnet) is None:
            return subnet
    raise RefusedError(
        f"all {len(DEFAULT_SUBNETS)} default subnets are taken; take a lab down, or name one with --subnet"
    )
