"""Where a sampler leaves what it saw: a sink, so that the same sampler runs on the runner and in a pod."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from probes.blind import Span
from probes.sample import Sample


@dataclass(frozen=True, kw_only=True)
class Batch:
    """What one flush hands over; `status` is told once the samples are safe."""

    samples: list[Sample]
    spans: Sequence[Span]
    status: Mapping[str, Any]
    now_s: float


class Sink(Protocol):
    """Takes batches without making the sampler wait."""

    @property
    def error(self) -> str:
        """Return why it can take no more, else nothing."""

    def put(self, batch: Batch) -> None:
        """Take a batch; returns at once."""

    def event(self, record: Mapping[str, Any]) -> None:
        """Take an event of the timeline, `t` and `kind` included."""

    def close(self, now_s: float) -> None:
        """Pass on what is queued and decide the open blind spans (blocking)."""
