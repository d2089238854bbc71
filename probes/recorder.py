"""The recorder: what a fixture or a command holds while a run is being watched.

It starts three processes, each of which dies with its parent: the control target, the sampler, and with
a cluster the Kubernetes watcher. They write into the run's folder; nothing passes through the parent.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clients.kubernetes import Cluster
from core.clock import RunClock
from core.errors import EnvironmentFailedError, MisuseError
from core.files import read_lines
from probes.blind import CONTROL
from probes.calibration import append_results, calibrate_run
from probes.children import Child
from probes.series import NEW, REUSED, SeriesConfig

# The calibration outage lasts this many periods: the next tick always falls into it.
CALIBRATION_PERIODS = 4.0
_CALIBRATION_MODES = ("refused", "reset", "503")
_CALIBRATION_ATTEMPTS = 3
_START_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class ProbeTarget:
    """Something to probe. `expected` lists the good statuses (none: 200 to 399), `body` must occur."""

    name: str
    url: str
    connections: tuple[str, ...] = (NEW, REUSED)
    expected: tuple[int, ...] = ()
    body: str = ""
    insecure: bool = False


class Recorder:
    """Watches targets, and a namespace where a cluster is given, from entry to exit.

    Raises MisuseError for a bad URL, rate or name before anything is started. `rate` is per series.
    """

    def __init__(
        self,
        run_dir: Path,
        clock: RunClock,
        cluster: Cluster | None,
        namespace: str,
        targets: Sequence[ProbeTarget],
        *,
        rate: float = 100.0,
        slow_ms: float = 250.0,
        timeout_s: float = 2.0,
        seed: int = 0,
    ) -> None:
        self._run_dir, self._clock, self._cluster, self._namespace = run_dir, clock, cluster, namespace
        self._timeout_s, self._rate = timeout_s, rate
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        names = [target.name for target in targets]
        if len(set(names)) < len(names) or CONTROL in names or not all(names):
            raise MisuseError(f"target names: expected distinct ones, none of them {CONTROL!r}, got {names}")
        if not targets:
            raise MisuseError("targets: expected at least one, got none")
        self._configs = [
            SeriesConfig(
                series=f"{target.name}/{connection}",
                target=target.name,
                url=target.url,
                connection=connection,
                rate=rate,
                slow_ms=slow_ms,
                timeout_s=timeout_s,
                expected=target.expected,
                body=target.body,
                insecure=target.insecure,
            )
            for target in targets
            for connection in target.connections
        ]
        self._connections = sorted({config.connection for config in self._configs})
        self._control: Child | None = None
        self._sampler: Child | None = None
        self._watcher: Child | None = None
        self._stopped = False

    @property
    def series(self) -> list[str]:
        """Return the names of the product's series."""
        return [config.series for config in self._configs]

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except EnvironmentFailedError as failure:
            if error is None:
                raise
            error.add_note(str(failure))

    def start(self) -> None:
        """Start the processes; EnvironmentFailedError if one of them cannot."""
        offset = {"run_dir": str(self._run_dir), "offset_s": self._clock.offset_s}
        if self._cluster is not None:
            where = {"kubeconfig": str(self._cluster.kubeconfig), "context": self._cluster.context}
            config = {**offset, **where, "namespace": self._namespace}
            self._watcher = Child("watch", "probes.watch", config, self._run_dir, self._clock.now)
        series = [f"{CONTROL}/{connection}" for connection in self._connections]
        control = {**offset, "series": series}
        self._control = Child("control", "probes.control", control, self._run_dir, self._clock.now)
        # A run's recorders share its seed, and are told apart by their number: else every calibration of a
        # run would come in the same mode after the same delay.
        self._random.seed(f"{self._control.name}-{self._seed}")
        port = self._control.wait_for("the control target's port", self._port, _START_TIMEOUT_S)
        controls = [
            SeriesConfig(
                series=f"{CONTROL}/{connection}",
                target=CONTROL,
                url=f"http://127.0.0.1:{port}/",
                connection=connection,
                rate=self._rate,
                timeout_s=self._timeout_s,
            )
            for connection in self._connections
        ]
        config = {**offset, "series": [one.as_json() for one in [*controls, *self._configs]]}
        self._sampler = Child("sampler", "probes.sampler", config, self._run_dir, self._clock.now)

    def ready(self, timeout_s: float = 30.0, samples: int = 20) -> None:
        """Wait until each series has this many outcomes, good or bad, and the watcher has its first lists.

        A target that does not answer is no error here: its failures are the finding. Raises
        WaitTimeoutError, or EnvironmentFailedError if a process ended.
        """
        sampler, watcher = self._running(self._sampler), self._watcher

        def enough() -> bool:
            counts = sampler.last_said().get("series", {})
            return bool(counts) and all(one["finished"] >= samples for one in counts.values())

        sampler.wait_for(f"{samples} samples in every series", enough, timeout_s)
        if watcher is not None:
            watcher.wait_for("the watcher's first lists", watcher.said, timeout_s)

    def calibrate(self, *, length_s: float | None = None, mode: str | None = None) -> list[dict[str, Any]]:
        """Have the control target fail for a moment, and state what the sampler saw of it.

        The outage comes at a random moment within half a second, in a random mode (of refused, reset and
        503) unless given, and lasts four periods unless given. Returns the calibration.result events, one
        for each product series, which it also appends to the timeline. Raises EnvironmentFailedError if a
        process ended. An outage missed while the runner was blind (the timeline says so) is repeated,
        at most twice.
        """
        for _ in range(_CALIBRATION_ATTEMPTS):
            events, was_blind = self._calibrate_once(length_s or CALIBRATION_PERIODS / self._rate, mode)
            if not was_blind or all(event["found"] for event in events):
                break
        append_results(self._run_dir, events)
        return events

    def _calibrate_once(self, length_s: float, mode: str | None) -> tuple[list[dict[str, Any]], bool]:
        control = self._running(self._control)
        said = len(control.said())
        delay_s = self._random.uniform(0.0, 0.5)
        command = {
            "mode": mode or self._random.choice(_CALIBRATION_MODES),
            "length_s": length_s,
            "delay_s": delay_s,
        }
        control.tell(command)
        truth = control.wait_for(
            "the end of the calibration outage",
            lambda: control.said()[said:],
            length_s + delay_s + 10.0,
        )[-1]
        self.wait_recorded(truth["outer_end_s"] + 5 / self._rate + 0.1, only=CONTROL)
        return calibrate_run(self._run_dir, self._clock, self._configs, truth)

    def wait_recorded(self, until_s: float | None = None, *, only: str = "") -> None:
        """Wait until every sample scheduled before a moment (Unix seconds; by default now) is on disk."""
        sampler, moment_s = self._running(self._sampler), until_s or self._clock.now()

        def recorded() -> bool:
            series = sampler.last_said().get("series", {})
            chosen = [one for name, one in series.items() if name.startswith(only)]
            return bool(chosen) and all(one["complete_to_s"] >= moment_s for one in chosen)

        wait_s = max(0.0, moment_s - self._clock.now()) + self._timeout_s + 10.0
        sampler.wait_for("the samples to be on disk", recorded, wait_s)

    def started_s(self) -> float:
        """Return when the first probe was due (Unix seconds), once `ready` has returned."""
        events = read_lines(self._run_dir / "events.jsonl")
        return max(float(event["t"]) for event in events if event["kind"] == "probe.started")

    def check(self) -> None:
        """Raise EnvironmentFailedError if one of the processes ended of itself."""
        for child in (self._sampler, self._control, self._watcher):
            self._running(child) if child is not None else None

    def stop(self) -> None:
        """End the processes, the sampler first, and wait until everything is written. Idempotent.

        Raises EnvironmentFailedError, after all have ended, if the sampler says that it could not
        record everything.
        """
        if self._stopped:
            return
        self._stopped = True
        status = self._sampler.stop(self._timeout_s + 10.0) if self._sampler else 0
        for child in (self._control, self._watcher):
            if child is not None:
                with contextlib.suppress(OSError):
                    child.stop(3.0)
        if status and self._sampler:
            raise EnvironmentFailedError(self._sampler.obituary())

    def _port(self) -> int | None:
        assert self._control is not None
        said = self._control.said()
        return int(said[0]["port"]) if said else None

    def _running(self, child: Child | None) -> Child:
        if child is None:
            raise EnvironmentFailedError("the recorder is not started")
        child.check()
        return child
