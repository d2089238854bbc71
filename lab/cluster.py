"""The lab: up, down and status of a real Kubernetes on this machine."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from clients.kubernetes import Cluster
from core.errors import EnvironmentFailedError, RefusedError
from core.processes import ProcessId
from lab import addons, cgroups, machines, network, preflight, record, toolchain
from lab.components import PAUSE_IMAGE, Tuning
from lab.images import static_image
from lab.plan import DEFAULT_NAME, Plan, choose_subnet, labs_folder
from lab.starting import Start, import_image
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

    def load_image(self, archive: Path) -> None:
        """Import an OCI archive into every node, and fail unless each has it."""
        with ThreadPoolExecutor() as pool:
            list(
                pool.map(
                    lambda node: import_image(self.running(node.name), self.tools, archive), self.plan.workers
                )
            )


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
    nodes: int = 2,
    subnet: str | None = None,
    owner: ProcessId | None = None,
    tuning: Tuning | None = None,
    progress: Progress = _silent,
) -> Lab:
    """Start a lab and return it when every node is Ready and a pod has resolved a Service's name.

    A lab of this name that is up is returned as it is; what a killed start or run left is removed first.
    `owner` is the run's process that will take it down: once that process has gone, the lab counts as
    left over. Raises RefusedError before anything is changed; on any later failure what was made is
    removed again.
    """
    preflight.check()
    Plan(name=name, subnet=subnet or "10.0.0.0/16", nodes=nodes)
    with _lock(name):
        reap(progress, but=name)
        present = find(name)
        left = record.read(name)
        if present is not None and left is not None and not left.orphaned:
            if left.owner not in (None, owner):
                raise RefusedError(
                    f"lab {name} belongs to a run that is still going (process {left.owner.pid}) and ends "
                    "with it; wait for that run, or use another name"
                )
            return present
        if left is not None:
            progress(f"lab {name}: removing what an interrupted run left")
            _remove(left.plan)
        plan = Plan(
            name=name,
            subnet=subnet or choose_subnet(r.plan.subnet for r in record.every()),
            nodes=nodes,
        )
        network.refuse_taken_subnet(plan.subnet)
        tools = toolchain.ensure(progress)
        images = _system_images(tools)
        # The toolchain can take minutes to build; a lab's start is counted from here.
        started = time.monotonic()
        record.write(plan, owner, "starting")
        try:
            seconds = Start(
                plan=plan, tools=tools, images=images, tuning=tuning or Tuning(), progress=progress
            ).run(started)
        except BaseException:
            _remove(plan, keep_logs=True)
            raise
        record.write(plan, owner, "up")
        return Lab(plan=plan, tools=tools, seconds=seconds)


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
    return [pause.tar, dns.tar]


def down(name: str = DEFAULT_NAME, *, progress: Progress = _silent) -> bool:
    """Take a lab down, whole or half-made, and remove all it left; return whether there was one."""
    preflight.check()
    with _lock(name):
        left = record.read(name)
        if left is None:
            return False
        progress(f"lab {name}: taking down")
        _remove(left.plan)
        return True


def owned_by(name: str, owner: ProcessId) -> bool:
    """Tell whether this process's run started the lab of this name, so that it is the one to remove it."""
    left = record.read(name)
    return left is not None and left.owner == owner


def reap(progress: Progress = _silent, *, but: str = "") -> list[str]:
    """Remove each lab whose run has gone without taking it down; return their names."""
    reaped = []
    for left in record.every():
        if left.plan.name != but and left.orphaned:
            progress(f"lab {left.plan.name}: its run has gone; taking down")
            with _lock(left.plan.name):
                # Read again: while this waited, somebody else may have removed it and started another.
                still = record.read(left.plan.name)
                if still is not None and still.orphaned:
                    _remove(still.plan)
            reaped.append(left.plan.name)
    return reaped


def _remove(plan: Plan, *, keep_logs: bool = False) -> None:
    machines.end_all(plan, list(record.processes(plan).values()))
    network.remove(plan)
    cgroups.remove(plan.cgroup)
    cgroups.remove_if_empty(str(Path(plan.cgroup).parent))
    if keep_logs:
        _keep_logs(plan)
    shutil.rmtree(plan.folder, ignore_errors=True)
    if plan.folder.exists():
        # The folder holds the record, which must outlast a removal that failed.
        raise EnvironmentFailedError(f"lab {plan.name}: {plan.folder} could not be removed")


def _keep_logs(plan: Plan) -> None:
    kept = labs_folder().parent / "failed" / plan.name
    shutil.rmtree(kept, ignore_errors=True)
    for machine in plan.machines:
        source = machine.folder / "log"
        if source.is_dir():
            shutil.copytree(source, kept / machine.name, dirs_exist_ok=True)


def _lock(name: str) -> FileLock:
    # Another command that works on this lab is waited for, up to the time that a start may take.
    folder = labs_folder().parent / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"lab-{name}.lock", timeout=180)


def status(name: str = DEFAULT_NAME) -> dict[str, Any]:
    """Return what `verify lab status --json` prints."""
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
    if found.interrupted or found.orphaned:
        state = "left over" if found.orphaned else found.state
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
        "registry": None,
    }
