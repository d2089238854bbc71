"""Settings of a load, and their hand-over to the generator process."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from core.errors import MisuseError
from core.files import write_atomic


@dataclass(frozen=True, kw_only=True)
class LoadSettings:
    """How much load, of which journey, and its bounds.

    `rate_per_user` is requests per second; a user sends its next request only after the answer to its
    last, so the offered rate `users * rate_per_user` is reached only while answers are fast enough.
    `duration_s` and `max_requests` bound a load that nobody stops.
    """

    users: int = 20
    rate_per_user: float = 5.0
    journey: str = "auth"
    duration_s: float = 900.0
    max_requests: int = 1_000_000
    request_timeout_s: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("users", "rate_per_user", "duration_s", "max_requests", "request_timeout_s"):
            value = getattr(self, name)
            if not value > 0:
                raise MisuseError(f"load setting {name}: expected a positive number, got {value!r}")

    @property
    def rate(self) -> float:
        """Return the offered rate, requests per second."""
        return self.users * self.rate_per_user


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """All that a generator process is told, as the JSON file that it is started with.

    A `supervised` generator waits for the line `go` on its standard input and ends with that input;
    `parent_pid` is who must be alive, 0 for anyone.
    """

    load_id: str
    host_url: str
    allowed_hosts: tuple[str, ...]
    clock_offset_s: float
    events: str
    settings: LoadSettings
    supervised: bool = False
    parent_pid: int = 0

    def write(self, path: Path) -> None:
        """Write the file."""
        write_atomic(path, json.dumps(asdict(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file; MisuseError names it when it is not an assignment."""
        try:
            raw = json.loads(path.read_text())
            settings = LoadSettings(**raw.pop("settings"))
            return cls(**{**raw, "allowed_hosts": tuple(raw["allowed_hosts"]), "settings": settings})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise MisuseError(f"{path}: expected a load assignment: {error!r}") from error
