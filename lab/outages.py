"""Outages of the lab, made on purpose: a machine without power, a paused program of the control plane.

An outage is a file of the lab's folder from before it begins until after it has ended. A process of the lab
watches each: it ends the outage when its time is over or when the process that began it has gone. It is on
record before it does anything, and goes with the lab.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import EnvironmentFailedError, RefusedError
from core.files import write_atomic
from core.places import checkout
from core.processes import ProcessId
from lab import cgroups, machines, network, record, removal
from lab.plan import Machine, Plan

POWER_LOSS, PAUSE = "power_loss", "pause"
COMPONENTS = ("kube-apiserver", "etcd", "kube-scheduler")


@dataclass(frozen=True, kw_only=True)
class Outage:
    """What is out: a machine (power_loss) or a component (pause), since `owner` began it.

    `argv` starts the machine again; `paused` are the processes that SIGCONT lets go on.
    """

    lab: str
    what: str
    subject: str
    owner: ProcessId
    argv: list[str] = field(default_factory=list)
    paused: list[ProcessId] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the name of its file and of its watcher's record."""
        return f"{self.what}-{self.subject}"

    def as_json(self) -> dict[str, Any]:
        """Return the record that `read` reads."""
        return {
            "lab": self.lab,
            "what": self.what,
            "subject": self.subject,
            "owner": _identity(self.owner),
            "argv": self.argv,
            "paused": [_identity(process) for process in self.paused],
        }


def read(file: Path) -> Outage | None:
    """Return the outage of a file, None where it has ended."""
    try:
        body = json.loads(file.read_text())
    except FileNotFoundError:
        return None
    try:
        return Outage(
            lab=body["lab"],
            what=body["what"],
            subject=body["subject"],
            owner=ProcessId(**body["owner"]),
            argv=body["argv"],
            paused=[ProcessId(**one) for one in body["paused"]],
        )
    except (KeyError, TypeError) as error:
        raise EnvironmentFailedError(f"{file}: not an outage ({error})") from error


def begin(lab: str, what: str, subject: str, longest_s: float, owner: ProcessId) -> Mapping[str, Any]:
    """Begin an outage that lasts no longer than `longest_s`, nor than `owner`; return what was done.

    Raises RefusedError for what this lab has not, or what is out already.
    """
    with removal.lock(lab):
        plan = _plan(lab)
        file = _file(plan, what, subject)
        before = read(file)
        if before is not None and before.owner.alive():
            raise RefusedError(f"lab {lab}: {subject} is out already")
        if before is not None:
            # Killed before it had set the watcher, or so lately that the watcher has not seen it.
            _undo(plan, before, file)
        machine = _machine(plan, what, subject)
        process = record.processes(plan).get(machine.name)
        if process is None or not process.alive():
            raise RefusedError(f"lab {lab}: machine {machine.name} does not run")
        outage = Outage(
            lab=lab,
            what=what,
            subject=subject,
            owner=owner,
            argv=_argv(process) if what == POWER_LOSS else [],
            paused=_component(plan, machine, subject) if what == PAUSE else [],
        )
        write_atomic(file, json.dumps(outage.as_json(), indent=1), durable=True)
        try:
            _watch(plan, outage, file, longest_s)
            if what == POWER_LOSS:
                killed = sorted(cgroups.pids(f"{plan.cgroup}/{machine.name}"))
                machines.end(plan, machine, process)
                return {"machine": machine.name, "killed": len(killed)}
            for one in outage.paused:
                one.signal(signal.SIGSTOP)
        except BaseException:
            _undo(plan, outage, file)
            raise
        return {"component": subject, "paused": [one.pid for one in outage.paused]}


def end(lab: str, what: str, subject: str) -> None:
    """End an outage; harmless when it has ended, was never begun, or its lab has gone."""
    with removal.lock(lab):
        found = record.read(lab)
        if found is None:
            return
        file = _file(found.plan, what, subject)
        outage = read(file)
        if outage is not None:
            _undo(found.plan, outage, file)


def settle(lab: str) -> None:
    """End the outages whose process has gone. Hold the lab's lock.

    Raises RefusedError for one that goes on: who starts the lab now would take it for broken.
    """
    found = record.read(lab)
    if found is None:
        return
    for file, outage in _every(found.plan):
        if outage.owner.alive():
            raise RefusedError(
                f"lab {lab}: {outage.subject} is out on purpose ({outage.what}), by process "
                f"{outage.owner.pid}; wait for its end"
            )
        _undo(found.plan, outage, file)


def _undo(plan: Plan, outage: Outage, file: Path) -> None:
    if outage.what == PAUSE:
        for process in outage.paused:
            process.signal(signal.SIGCONT)
    else:
        machine = _machine(plan, outage.what, outage.subject)
        before = record.processes(plan).get(machine.name)
        if before is None or not before.alive():
            if before is not None:
                # Whoever took the power may have been killed before every process of it had ended.
                machines.end(plan, machine, before)
            # Nor has it groups: its kubelet would look three seconds long at each container that is no more.
            cgroups.remove(f"{plan.cgroup}/{machine.name}")
            machines.make_groups(plan, machine)
            network.forget_rules(machine)
            (machine.folder / "init.pid").unlink(missing_ok=True)
            machines.launch(machine, outage.argv, lambda name, one: record.add_process(plan, name, one))
    file.unlink(missing_ok=True)


def _watch(plan: Plan, outage: Outage, file: Path, longest_s: float) -> None:
    """Start the process that ends the outage in any case; it is recorded before it does anything."""
    with (file.parent / "watch.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "lab.outage_watch", str(file), f"{longest_s:g}"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            cwd=checkout(),
            start_new_session=True,
        )
    identified = ProcessId.of(process.pid)
    if identified is None:
        raise EnvironmentFailedError(f"outage {outage.name}: its watcher ended at once; see {log.name}")
    record.add_process(plan, f"outage-{outage.name}", identified)
    assert process.stdin is not None
    process.stdin.write(b"go\n")
    process.stdin.close()


def _every(plan: Plan) -> Iterator[tuple[Path, Outage]]:
    for file in sorted((plan.folder / "outages").glob("*.json")):
        outage = read(file)
        if outage is not None:
            yield file, outage


def _plan(lab: str) -> Plan:
    found = record.read(lab)
    if found is None or found.interrupted:
        raise RefusedError(f"lab {lab} is not up")
    return found.plan


def _file(plan: Plan, what: str, subject: str) -> Path:
    return plan.folder / "outages" / f"{what}-{subject}.json"


def _machine(plan: Plan, what: str, subject: str) -> Machine:
    if what == PAUSE and subject in COMPONENTS:
        return plan.control_plane
    found = next((one for one in plan.workers if one.name == subject), None)
    if what != POWER_LOSS or found is None:
        allowed = COMPONENTS if what == PAUSE else [one.name for one in plan.workers]
        raise RefusedError(f"lab {plan.name}: {what}: expected one of {', '.join(allowed)}, got {subject!r}")
    return found


def _component(plan: Plan, machine: Machine, name: str) -> list[ProcessId]:
    """Return the process of a program of a machine, which knows it by a number of its own."""
    inner = json.loads((machine.folder / "pids.json").read_text()).get(name)
    for pid in cgroups.pids(f"{plan.cgroup}/{machine.name}"):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()
        process = ProcessId.of(pid)
        if numbers[-1] == str(inner) and process is not None:
            return [process]
    raise RefusedError(f"lab {plan.name}: {name} does not run on machine {machine.name}")


def _argv(process: ProcessId) -> list[str]:
    return [word.decode() for word in Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0") if word]


def _identity(process: ProcessId) -> dict[str, int]:
    return {"pid": process.pid, "start_ticks": process.start_ticks}


def own_process() -> ProcessId:
    """Return this process, as the owner of what it begins."""
    own = ProcessId.of(os.getpid())
    assert own is not None
    return own
