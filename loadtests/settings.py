"""Settings of a load, and their hand-over to the processes that send it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from core.errors import MisuseError
from core.files import write_atomic
from loadtests.journeys import JOURNEYS
from loadtests.plan import Plan, Stage

Role = Literal["local", "master", "worker"]


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """How much load, of which journeys, from how many processes, and its bounds.

    The stages say when each request is intended. `users` bounds how many are under way at once: a user sends
    its next request only after the answer to its last, late if need be. `journeys` has each one's weight.
    Their people register with `tenant`, an id that the target gave; without it where the target puts them.
    """

    stages: tuple[Stage, ...]
    users: int = 20
    journeys: Mapping[str, int] = field(default_factory=lambda: {"auth": 1})
    workers: int = 1
    max_requests: int = 1_000_000
    request_timeout_s: float = 2.0
    seed: int = 0
    tenant: str = ""

    def __post_init__(self) -> None:
        for name in ("users", "workers", "max_requests", "request_timeout_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise MisuseError(f"load setting {name}: expected a positive number, got {value!r}")
        for journey, weight in self.journeys.items():
            if journey not in JOURNEYS:
                raise MisuseError(f"load journey: expected one of {sorted(JOURNEYS)}, got {journey!r}")
            if not (isinstance(weight, int) and weight > 0):
                raise MisuseError(f"load journey {journey}: expected a positive whole weight, got {weight!r}")
        if not self.journeys:
            raise MisuseError(f"load journeys: expected at least one of {sorted(JOURNEYS)}, got none")
        Plan(self.stages)

    @classmethod
    def steady(cls, *, rate: float, duration_s: float = 900.0, **others: Any) -> Self:
        """Return a load of one rate (requests per second)."""
        return cls(stages=(Stage(rate=rate, duration_s=duration_s),), **others)

    @property
    def plan(self) -> Plan:
        """Return the arrival plan."""
        return Plan(self.stages)

    @property
    def all_users(self) -> int:
        """Return the users of all workers: each worker has as many as the others, and at least one."""
        return -(-self.users // self.workers) * self.workers


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """All that a process of a load is told, as the JSON file that it is started with.

    A `supervised` process waits for the line `go` on its standard input and ends with that input;
    `parent_pid` is who must be alive, 0 for anyone. `samples_fd` is the pipe to the writer of samples.
    Without `clock_offset_s` it has a clock of its own, a worker its master's.
    """

    load_id: str
    host_url: str
    allowed_hosts: tuple[str, ...]
    settings: LoadSettings
    role: Role = "local"
    clock_offset_s: float | None = None
    events: str = ""
    samples_fd: int = -1
    supervised: bool = False
    parent_pid: int = 0
    master_host: str = "127.0.0.1"
    master_port: int = 0
    worker_index: int = 0
    connect_timeout_s: float = 30.0

    def write(self, path: Path) -> None:
        """Write the file."""
        write_atomic(path, self.as_text(), mode=0o600)

    def as_text(self) -> str:
        """Return the file's content."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file; MisuseError names it when it is not an assignment."""
        try:
            raw = json.loads(path.read_text())
            settings = raw.pop("settings")
            stages = tuple(Stage(**stage) for stage in settings.pop("stages"))
            settings = LoadSettings(**settings, stages=stages)
            return cls(**{**raw, "allowed_hosts": tuple(raw["allowed_hosts"]), "settings": settings})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MisuseError(f"{path}: expected a load assignment: {error!r}") from error
