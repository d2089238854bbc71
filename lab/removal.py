"""Removing a lab, whole or half-made, and finding those that nobody will remove."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock, Timeout

from core.errors import EnvironmentFailedError
from lab import cgroups, host_folders, machines, network, record
from lab.plan import MAX_NODES, Plan, labs_folder


def lock(name: str, timeout_s: float = 180) -> FileLock:
    """Return the lock that who works on this lab holds; another is waited for as long as a start may take."""
    return _lock_file(f"lab-{name}", timeout_s)


def machine_lock() -> FileLock:
    """Return the lock under which labs share out the machine: their subnets and the host's folders."""
    return _lock_file("labs", 60)


def _lock_file(name: str, timeout_s: float) -> FileLock:
    folder = labs_folder().parent / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / f"{name}.lock", timeout=timeout_s)


def remains(name: str) -> Plan | None:
    """Return the plan of what is there of a lab, up or left, or None.

    A start or a removal killed at the wrong moment leaves a folder without a record. What a lab makes is
    named after the lab, so the widest plan of that name finds it all.
    """
    if not (labs_folder() / name).exists():
        return None
    try:
        found = record.read(name)
    except EnvironmentFailedError:
        found = None
    return found.plan if found else Plan(name=name, subnet="10.0.0.0/16", nodes=MAX_NODES)


def left_over(name: str) -> bool:
    """Tell whether nobody will remove what is there of this lab. Hold its lock."""
    try:
        found = record.read(name)
    except EnvironmentFailedError:
        return True
    if found is None:
        return (labs_folder() / name).exists()
    return found.orphaned or found.interrupted


def reap(progress: Callable[[str], None]) -> list[str]:
    """Remove each lab that a killed start or a run that has gone left; return their names.

    One that somebody works on at this moment is not left over, and is passed by.
    """
    reaped = []
    for folder in sorted(labs_folder().glob("*")):
        try:
            with lock(folder.name, 0):
                plan = remains(folder.name)
                if plan is not None and left_over(folder.name):
                    progress(f"lab {plan.name}: nobody will take it down any more; removing")
                    remove(plan)
                    reaped.append(plan.name)
        except Timeout:
            continue
    return reaped


def remove(plan: Plan, *, keep_logs: bool = False) -> None:
    """Remove all that a lab of this plan can have made. Hold its lock."""
    machines.end_all(plan, list(record.processes(plan).values()))
    network.remove(plan)
    cgroups.remove(plan.cgroup)
    cgroups.remove_if_empty(str(Path(plan.cgroup).parent))
    if keep_logs:
        _keep_logs(plan)
    with machine_lock():
        shutil.rmtree(plan.folder, ignore_errors=True)
        if plan.folder.exists():
            # What is left of the folder tells the next `down` that there is something to remove.
            raise EnvironmentFailedError(f"lab {plan.name}: {plan.folder} could not be removed")
        if not any(labs_folder().iterdir()):
            host_folders.remove()


def _keep_logs(plan: Plan) -> None:
    kept = labs_folder().parent / "failed" / plan.name
    shutil.rmtree(kept, ignore_errors=True)
    for machine in plan.machines:
        source = machine.folder / "log"
        if source.is_dir():
            shutil.copytree(source, kept / machine.name, dirs_exist_ok=True)
