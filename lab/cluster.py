"""The lab: up, down and status of a real Kubernetes on this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import Timeout

from clients.kubernetes import Cluster
from core.errors import EnvironmentFailedError, RefusedError
from core.processes import ProcessId
from lab import (
    addons,
    cgroups,
    host_folders,
    machines,
    network,
    outages,
    preflight,
    programs,
    record,
    registry,
    removal,
    toolchain,
    volumes,
)
from lab.components import PAUSE_IMAGE, Tuning
from lab.images import Image, static_image
from lab.plan import AI_NODES, DEFAULT_NAME, NODES, Plan, check_name, choose_subnet
from lab.starting import Start
from lab.toolchain import Toolchain

Progress = Callable[[str], None]


def _silent(_: str) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A lab that is up."""

    plan: Plan
    tools: Toolchain
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def kubeconfig(self) -> Path:
        """Return the administrator's kubeconfig."""
        return self.plan.kubeconfig

    def cluster(self) -> Cluster:
        """Return a client of the lab's API server."""
        return Cluster(self.plan.kubeconfig)

    def running(self, name: str) -> machines.Running:
        """Return a machine by its name; EnvironmentFailedError when it does not run."""
        process = record.processes(self.plan).get(name)
        machine = next((m for m in self.plan.machines if m.name == name), None)
        if machine is None or process is None or not process.alive():
            raise EnvironmentFailedError(f"lab {self.plan.name}: machine {name} does not run")
        return machines.Running(machine=machine, process=process)

    def push(self, images: Sequence[Image], progress: Progress = _silent) -> None:
        """Push images into the lab's registry, from which every node pulls them by their names."""
        registry.push(self.plan.registry, images, progress)


def find(name: str = DEFAULT_NAME) -> Lab | None:
    """Return the lab of this name if it is up and its machines run, else None."""
    found = record.read(name)
    if found is None or found.interrupted:
        return None
    alive = record.processes(found.plan)
    if not all(m.name in alive and alive[m.name].alive() for m in found.plan.machines):
        return None
    return Lab(plan=found.plan, tools=toolchain.ensure())


def up(
    name: str = DEFAULT_NAME,
    *,
    nodes: int = NODES,
    ai_nodes: int | None = None,
    subnet: str | None = None,
    owner: ProcessId | None = None,
    tuning: Tuning | None = None,
    progress: Progress = _silent,
) -> Lab:
    """Start a lab and return it when every node is Ready and a pod has resolved a Service's name.

    A lab of this name that is up is returned as it is; what a killed start or run left, of any name, is
    removed first. The last `ai_nodes` of the nodes (by default 1 of three or more) take none but pods that
    tolerate workload=ai. `owner` is the run's process that will take it down: once that process has gone, the
    lab counts as left over. Raises RefusedError before anything is changed; on any later failure what was
    made is removed again.
    """
    preflight.check()
    ai_nodes = (AI_NODES if nodes >= NODES else 0) if ai_nodes is None else ai_nodes
    wanted = Plan(name=name, subnet=subnet or "10.0.0.0/16", nodes=nodes, ai_nodes=ai_nodes)
    removal.reap(progress)
    with _alone(name):
        outages.settle(name)
        present = _present(wanted, owner, subnet)
        if present is not None:
            return present
        remains = removal.remains(name)
        if remains is not None:
            progress(f"lab {name}: it no longer runs whole; removing it to start afresh")
            removal.remove(remains)
        _plan(wanted, subnet)  # refuse now, not after the minutes that a build can take
        preflight.check_watches(nodes)
        tools = toolchain.ensure(progress)
        registry_program = programs.ensure("registry", progress)
        provisioner = programs.ensure("local-path-provisioner", progress)
        images = _system_images(tools)
        started = time.monotonic()
        with removal.machine_lock():
            plan = _plan(wanted, subnet)
            if not record.every():
                registry.prune()
            record.write(plan, owner, "starting")
        try:
            with removal.machine_lock():
                host_folders.make()
            seconds = Start(
                plan=plan,
                tools=tools,
                registry=registry_program,
                provisioner=provisioner,
                volume_helper=volumes.helper_image(),
                images=images,
                tuning=tuning or Tuning(),
                progress=progress,
            ).run(started)
        except BaseException:
            removal.remove(plan, keep_logs=True)
            raise
        record.write(plan, owner, "up")
        return Lab(plan=plan, tools=tools, seconds=seconds)


@contextmanager
def _alone(name: str) -> Iterator[None]:
    """Wait for whoever works on this lab, and let nobody else do so meanwhile."""
    held = removal.lock(name)
    try:
        held.acquire()
    except Timeout as error:
        raise EnvironmentFailedError(
            f"lab {name}: another command has worked on it for {held.timeout:g} s; see `verify lab status`"
        ) from error
    try:
        yield
    finally:
        held.release()


def _present(wanted: Plan, owner: ProcessId | None, subnet: str | None) -> Lab | None:
    """Return the lab of this name if it is up and as asked for; RefusedError when it may not be used."""
    name = wanted.name
    if removal.left_over(name):
        return None
    found = record.read(name)
    if found is not None and found.owner not in (None, owner):
        raise RefusedError(
            f"lab {name} belongs to a run that is still going (process {found.owner.pid}) and ends "
            "with it; wait for that run, or use another name"
        )
    present = find(name)
    if present is None:
        return None
    if replace(wanted, subnet=subnet or present.plan.subnet) != present.plan:
        raise RefusedError(
            f"lab {name} is up with {_size(present.plan)} on {present.plan.subnet}, asked for "
            f"{_size(wanted)} on {subnet or 'any'}; take it down first, or use another name"
        )
    return present


def _size(plan: Plan) -> str:
    return f"{plan.nodes} nodes" + (f" ({plan.ai_nodes} for AI)" if plan.ai_nodes else "")


def _plan(wanted: Plan, subnet: str | None) -> Plan:
    """Return the plan, on the subnet asked for or a free one; RefusedError when none is to be had."""
    held = {other.plan.subnet: other.plan.name for other in record.every()}
    if subnet in held:
        raise RefusedError(f"subnet {subnet} is taken: lab {held[subnet]} has it; name another with --subnet")
    if subnet is None:
        subnet = choose_subnet(held, network.taken_by)
    network.refuse_taken_subnet(subnet)
    return replace(wanted, subnet=subnet)


def _system_images(tools: Toolchain) -> list[Path]:
    pause_name, _, pause_tag = PAUSE_IMAGE.rpartition(":")
    dns_name, _, dns_tag = addons.DNS_IMAGE.rpartition(":")
    pause = static_image(
        name=pause_name,
        tag=pause_tag,
        files={"/pause": tools.program("pause")},
        entrypoint=["/pause"],
        user="65535",
    )
    dns = static_image(
        name=dns_name,
        tag=dns_tag,
        files={"/coredns": tools.program("coredns")},
        entrypoint=["/coredns"],
        user="0",
    )
    return [pause.layout, dns.layout]


def down(name: str = DEFAULT_NAME, *, progress: Progress = _silent) -> bool:
    """Take a lab down, whole or half-made, and remove all it left; return whether there was one."""
    preflight.check()
    check_name(name)
    with _alone(name):
        plan = removal.remains(name)
        if plan is None:
            return False
        most = cgroups.most_bytes(plan.cgroup)
        held = f", after at most {most / 2**30:.1f} GiB of memory with the page cache" if most else ""
        progress(f"lab {name}: taking down{held}")
        removal.remove(plan)
        return True


def owned_by(name: str, owner: ProcessId) -> bool:
    """Tell whether this process's run started the lab of this name, so that it is the one to remove it."""
    left = record.read(name)
    return left is not None and left.owner == owner


def status(name: str = DEFAULT_NAME) -> dict[str, Any]:
    """Return what `verify lab status --json` prints."""
    check_name(name)
    found = record.read(name)
    if found is None:
        return {
            "name": name,
            "state": "absent",
            "kubeconfig": None,
            "api_url": None,
            "nodes": [],
            "registry": None,
        }
    plan, alive = found.plan, record.processes(found.plan)
    nodes = []
    for machine in plan.machines:
        process = alive.get(machine.name)
        runs = process is not None and process.alive()
        pids = sorted(cgroups.pids(f"{plan.cgroup}/{machine.name}")) if runs else []
        nodes.append(
            {
                "name": machine.name,
                "role": machine.role,
                "address": machine.address,
                "running": runs,
                "pids": pids,
                "netns": machine.netns,
            }
        )
    if found.orphaned or (found.interrupted and not _worked_on(name)):
        state = "left over"
    elif found.interrupted:
        state = found.state
    else:
        state = "up" if all(n["running"] for n in nodes) else "degraded"
    return {
        "name": name,
        "state": state,
        "owner_pid": found.owner.pid if found.owner else None,
        "subnet": plan.subnet,
        "kubeconfig": str(plan.kubeconfig),
        "api_url": plan.api_url,
        "nodes": nodes,
        "registry": plan.registry,
    }


def _worked_on(name: str) -> bool:
    try:
        with removal.lock(name, 0):
            return False
    except Timeout:
        return True
