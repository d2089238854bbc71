"""A series: one endpoint probed over one kind of connection, at ticks that nothing can delay."""

from __future__ import annotations

import asyncio
import resource
import ssl
import sys
import time
from array import array
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from core.errors import MisuseError
from probes.endpoint import Address, Endpoint
from probes.http import Connection
from probes.request import Request
from probes.sample import Sample

NEW, REUSED = "new", "reused"
# A tick this late is not sent any more: after a long freeze a burst would load the product and tell
# nothing. It is missing from the coverage instead.
GIVE_UP_S = 1.0
KEPT_HANDLES = 64
_BREAKS = frozenset({"refused", "reset", "timeout", "truncated", "other"})


@dataclass(frozen=True, kw_only=True)
class SeriesConfig:
    """What a series does. `expected` lists the good statuses (none: 200 to 399), `body` must occur in the
    answer, `pool` is how many reused connections are kept, so that several replicas are seen.
    """  # noqa: D205

    series: str
    target: str
    url: str
    connection: str
    rate: float
    slow_ms: float = 250.0
    timeout_s: float = 2.0
    expected: tuple[int, ...] = ()
    body: str = ""
    pool: int = 8
    insecure: bool = False

    def __post_init__(self) -> None:
        Endpoint.parse(self.url)
        if self.connection not in {NEW, REUSED}:
            raise MisuseError(f"{self.series}: connection: expected new or reused, got {self.connection!r}")
        for name, value, most in (
            ("rate", self.rate, 10_000),
            ("slow_ms", self.slow_ms, 1e7),
            ("timeout_s", self.timeout_s, 3600),
            ("pool", self.pool, 1000),
        ):
            if not 0 < value <= most:
                raise MisuseError(
                    f"{self.series}: {name}: expected more than 0 and at most {most:g}, got {value}"
                )

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> SeriesConfig:
        """Read a record of the sampler's configuration."""
        return cls(**{**record, "expected": tuple(record.get("expected", ()))})

    def as_json(self) -> dict[str, Any]:
        """Return the record that `from_json` reads."""
        return asdict(self)


class Series:
    """A running series. `take` receives every finished sample; `lateness_s` is sent - scheduled."""

    def __init__(
        self,
        config: SeriesConfig,
        offset_s: float,
        loop: asyncio.AbstractEventLoop,
        take: Callable[[Sample], None],
    ) -> None:
        self.config = config
        self.endpoint = Endpoint.parse(config.url)
        self._offset_s, self._loop, self._take = offset_s, loop, take
        self._single_use = config.connection == NEW
        self._tls = _tls_context(insecure=config.insecure) if self.endpoint.tls else None
        self._request: Request | None = None
        self.address: Address | None = None
        self._resolver_error = "resolver: not asked yet"
        self._idle: deque[Connection] = deque()
        self._open = 0  # reused connections that are idle or busy
        self._in_flight: dict[Sample, None] = {}
        self.ticks = self.sent = self.finished = 0
        self.lateness_s = array("d")

    def aim(self, address: Address) -> None:
        """Probe this address from now on; reused connections stay with the one they have."""
        self.address = address
        config = self.config
        self._request = Request(
            address=address,
            tls=self._tls,
            server_name=self.endpoint.host,
            payload=self.endpoint.payload(single_use=self._single_use),
            timeout_s=config.timeout_s,
            expected=frozenset(config.expected),
            body=config.body.encode(),
            offset_s=self._offset_s,
            single_use=self._single_use,
            handles=_handles(),
        )

    def unresolved(self, error: OSError) -> None:
        """Note that the name cannot be resolved; an address known before stays in use."""
        self._resolver_error = f"resolver: {error.strerror or error}"

    def tick(self, scheduled_s: float, now_s: float) -> None:
        """Fire the probe that was due at `scheduled_s` (Unix seconds); `now_s` is the present."""
        self.ticks += 1
        if now_s - scheduled_s > GIVE_UP_S:
            return
        self.sent += 1
        sample = Sample(self.config.series, scheduled_s)
        self._in_flight[sample] = None
        if not self._single_use and self._open >= self.config.pool:
            while self._idle:
                connection = self._idle.popleft()
                if connection.usable():
                    connection.send(sample)
                    return
                self._open -= 1
        self._fresh(sample)

    def complete_to_s(self, now_s: float) -> float:
        """Return the time up to which every scheduled probe has its outcome."""
        return next((sample.scheduled_s for sample in self._in_flight), now_s)

    @property
    def in_flight(self) -> int:
        """Return how many probes have no outcome yet."""
        return len(self._in_flight)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.popleft().close()

    def _fresh(self, sample: Sample) -> None:
        if self._request is None:
            sample.sent_s = sample.finished_s = time.monotonic() + self._offset_s
            sample.outcome, sample.error = "runner", self._resolver_error
            self._collect(sample)
            return
        if not self._single_use:
            self._open += 1
        Connection(self._loop, self._request, self._on_done, self._on_lost).open(sample)

    def _on_done(self, connection: Connection, sample: Sample) -> None:
        self._collect(sample)
        if self._single_use:
            return
        if connection.is_open:
            self._idle.append(connection)
            while len(self._idle) > self.config.pool and self._open > self.config.pool:
                self._idle.popleft().close()
                self._open -= 1
            return
        self._open -= 1
        if sample.outcome in _BREAKS and connection.uses > 0 and not sample.retry:
            again = Sample(self.config.series, time.monotonic() + self._offset_s, retry=True)
            self._in_flight[again] = None
            self._fresh(again)

    def _on_lost(self, connection: Connection) -> None:
        self._idle.remove(connection)
        self._open -= 1

    def _collect(self, sample: Sample) -> None:
        del self._in_flight[sample]
        self.finished += 1
        if not sample.retry:
            self.lateness_s.append(sample.sent_s - sample.scheduled_s)
        self._take(sample)


def _handles() -> int:
    """Return how many of this process's file handles its probes may use, so that it can still write."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, soft - KEPT_HANDLES)


def _tls_context(*, insecure: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
