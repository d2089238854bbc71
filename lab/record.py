"""The lab's record: what it will make, and which processes it started, on disk before each is done."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import EnvironmentFailedError
from core.files import append_line, read_lines, write_atomic
from core.processes import ProcessId
from lab.plan import Plan, labs_folder


@dataclass(frozen=True, kw_only=True)
class Record:
    """The record of one lab; the plan names everything else that it can have made."""

    plan: Plan
    owner: ProcessId | None
    started_s: float
    state: str

    @property
    def orphaned(self) -> bool:
        """Tell whether a run owned this lab and that run's process has gone."""
        return self.owner is not None and not self.owner.alive()

    @property
    def interrupted(self) -> bool:
        """Tell whether the start never came to its end."""
        return self.state != "up"


def _file(folder: Path) -> Path:
    return folder / "lab.json"


def _processes_file(folder: Path) -> Path:
    return folder / "processes.jsonl"


def _identity(process: ProcessId | None) -> dict[str, int] | None:
    return {"pid": process.pid, "start_ticks": process.start_ticks} if process else None


def write(plan: Plan, owner: ProcessId | None, state: str, started_s: float | None = None) -> None:
    """Write the record, durably, before the step that it announces."""
    body: dict[str, Any] = {
        "schema": 1,
        "name": plan.name,
        "subnet": plan.subnet,
        "nodes": plan.nodes,
        "ai_nodes": plan.ai_nodes,
        "owner": _identity(owner),
        "started_s": time.time() if started_s is None else started_s,
        "state": state,
    }
    write_atomic(_file(plan.folder), json.dumps(body, indent=1))


def read(name: str) -> Record | None:
    """Return a lab's record, or None where there is no such lab."""
    path = _file(labs_folder() / name)
    if not path.exists():
        return None
    try:
        body = json.loads(path.read_text())
        owner = ProcessId(**body["owner"]) if body["owner"] else None
        fields = ("name", "subnet", "nodes", "ai_nodes")
        plan = Plan(**{field: body[field] for field in fields if field in body})
        return Record(plan=plan, owner=owner, started_s=body["started_s"], state=body["state"])
    except (ValueError, KeyError, TypeError) as error:
        raise EnvironmentFailedError(f"{path}: not a lab's record ({error}); expected schema 1") from error


def every() -> Iterator[Record]:
    """Yield the record of each lab of this machine."""
    for path in sorted(labs_folder().glob("*/lab.json")):
        record = read(path.parent.name)
        if record is not None:
            yield record


def add_process(plan: Plan, name: str, process: ProcessId) -> None:
    """Note a process, durably."""
    append_line(_processes_file(plan.folder), {"name": name, **(_identity(process) or {})}, durable=True)


def processes(plan: Plan) -> dict[str, ProcessId]:
    """Return the processes noted, by machine; the latest of a name counts."""
    return {
        line["name"]: ProcessId(pid=line["pid"], start_ticks=line["start_ticks"])
        for line in read_lines(_processes_file(plan.folder))
    }
