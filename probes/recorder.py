"""The recorder: what a fixture or a command holds while a run is being watched.

It starts up to four processes, each of which dies with its parent: the control target, the sampler, with a
cluster the Kubernetes watcher, and with the harness's pods in it the collector of what they see. They write
into the run's folder; nothing passes through the parent.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clients.kubernetes import Cluster
from core.clock import RunClock
from core.errors import EnvironmentFailedError, MisuseError
from core.files import read_lines
from probes.blind import CLUSTER, CONTROL
from probes.calibration import append_results, calibrate_run, failed_run
from probes.children import Child
from probes.inside import CALIBRATION, Inside
from probes.series import NEW, REUSED, SeriesConfig

# The calibration outage lasts this many periods: the next tick always falls into it.
CALIBRATION_PERIODS = 3.0
_CALIBRATION_MODES = ("refused", "reset", "503")
_CALIBRATION_ATTEMPTS = 3
_START_TIMEOUT_S = 20.0


@dataclass(frozen=True, kw_only=True)
class ProbeTarget:
    """Something to probe. `expected` lists the good statuses (none: 200 to 399), `body` must occur.

    `inside_url` is where a pod in the cluster reaches it; without, it is probed by the runner alone.
    """

    name: str
    url: str
    inside_url: str = ""
    connections: tuple[str, ...] = (NEW, REUSED)
    expected: tuple[int, ...] = ()
    body: str = ""
    insecure: bool = False


class Recorder:
    """Watches targets, and a namespace where a cluster is given, from entry to exit.

    Raises MisuseError for a bad URL, rate or name before anything is started. `rate` is per series. With
    `inside` it also watches from within the cluster, and the calibration goes the way of the product.
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
        inside: Inside | None = None,
    ) -> None:
        self._inside = inside
        self._run_dir, self._clock, self._cluster, self._namespace = run_dir, clock, cluster, namespace
        self._timeout_s, self._rate = timeout_s, rate
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - reproducible, not secret
        names = [target.name for target in targets]
        taken = {CONTROL, CALIBRATION}
        if len(set(names)) < len(names) or taken & set(names) or not all(names):
            raise MisuseError(
                f"target names: expected distinct ones, none of {', '.join(sorted(taken))}, got {names}"
            )
        if not targets:
            raise MisuseError("targets: expected at least one, got none")
        self._configs = [
            self._config(target, connection, target.url, slow_ms)
            for target in targets
            for connection in target.connections
        ]
        self._inside_configs = [
            self._config(target, f"{connection}@{CLUSTER}", target.inside_url, slow_ms)
            for target in targets
            if inside and target.inside_url
            for connection in target.connections
        ]
        self._connections = sorted({config.connection for config in self._configs})
        self._control: Child | None = None
        self._sampler: Child | None = None
        self._watcher: Child | None = None
        self._collector: Child | None = None
        self._stopped = False

    def _config(self, target: ProbeTarget, look: str, url: str, slow_ms: float) -> SeriesConfig:
        return SeriesConfig(
            series=f"{target.name}/{look}",
            target=target.name,
            url=url,
            connection=look.partition("@")[0],
            rate=self._rate,
            slow_ms=slow_ms,
            timeout_s=self._timeout_s,
            expected=target.expected,
            body=target.body,
            insecure=target.insecure,
        )

    @property
    def series(self) -> list[str]:
        """Return the names of the product's series, those seen from inside last."""
        return [config.series for config in [*self._configs, *self._inside_configs]]

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
        if self._inside is not None:
            self._collector = self._start_collector(self._inside, offset)
        port = self._control.wait_for("the control target's port", self._port, _START_TIMEOUT_S)
        controls = self._own(CONTROL, f"http://127.0.0.1:{port}/")
        if self._inside is not None:
            controls += self._own(CALIBRATION, self._inside.url)
        config = {**offset, "series": [one.as_json() for one in [*controls, *self._configs]]}
        self._sampler = Child("sampler", "probes.sampler", config, self._run_dir, self._clock.now)

    def _own(self, name: str, url: str, vantage: str = "") -> list[SeriesConfig]:
        """Return the series of a target of the harness's own, one for each kind of connection in use."""
        target = ProbeTarget(name=name, url=url)
        return [self._config(target, f"{kind}{vantage}", url, 250.0) for kind in self._connections]

    def _start_collector(self, inside: Inside, offset: Mapping[str, Any]) -> Child:
        assert self._cluster is not None
        series = self._own(CALIBRATION, inside.inside_url, f"@{CLUSTER}")
        config = {
            **offset,
            "kubeconfig": str(self._cluster.kubeconfig),
            "context": self._cluster.context,
            "namespace": inside.namespace,
            "agent": inside.agent,
            "target": inside.target,
            "secret": inside.secret,
            "series": [one.as_json() for one in [*series, *self._inside_configs]],
            "calibrated": [one.series for one in [*self._own(CALIBRATION, inside.url), *series]],
        }
        return Child("collector", "probes.inside_collector", config, self._run_dir, self._clock.now)

    def ready(self, timeout_s: float = 30.0, samples: int = 20) -> None:
        """Wait until each series has this many outcomes, good or bad, and the watcher has its first lists.

        A target that does not answer is no error here: its failures are the finding. Raises
        WaitTimeoutError, or EnvironmentFailedError if a process ended.
        """
        watcher = self._watcher

        def enough(child: Child) -> bool:
            said = child.last_said()
            counts = said.get("series", {})
            return "lost" in said or (
                bool(counts) and all(one["finished"] >= samples for one in counts.values())
            )

        def so_far(child: Child) -> dict[str, int]:
            return {name: one["finished"] for name, one in child.last_said().get("series", {}).items()}

        for child in self._samplers():
            what = f"{samples} samples in every series"
            child.wait_for(what, partial(enough, child), timeout_s, last=partial(so_far, child))
        if watcher is not None:
            watcher.wait_for("the watcher's first lists", watcher.said, timeout_s)

    def calibrate(self, *, length_s: float | None = None, mode: str | None = None) -> list[dict[str, Any]]:
        """Have a control target fail for a moment, and state what each sampler saw of it.

        That is the one in the cluster, reached like the product, or without it the one on loopback.

        The outage comes at a random moment within half a second, in a random mode (of refused, reset and
        503) unless given, and lasts three periods unless given. Returns the calibration.result events, one
        for each product series, which it also appends to the timeline. Raises EnvironmentFailedError if a
        process ended. An outage missed while the runner was blind (the timeline says so) is repeated,
        at most twice.
        """
        for _ in range(_CALIBRATION_ATTEMPTS):
            events, was_blind = self._calibrate_once(length_s or CALIBRATION_PERIODS / self._rate, mode)
            if not was_blind or all(event["found"] for event in events):
                break
        append_results(self._run_dir, self._clock, events)
        return events

    def _calibrate_once(self, length_s: float, mode: str | None) -> tuple[list[dict[str, Any]], bool]:
        delay_s = self._random.uniform(0.0, 0.5)
        mode = mode or self._random.choice(_CALIBRATION_MODES)
        command = {"mode": mode, "length_s": length_s, "delay_s": delay_s}
        truth = self._outage(command, length_s + delay_s + 10.0)
        configs = [*self._configs, *self._inside_configs]
        if truth.get("error"):
            reason = f"no calibration outage could be had: {truth['error']}"
            return failed_run(self._clock, configs, mode, reason, self._witness), False
        only = CALIBRATION if self._inside else CONTROL
        self.wait_recorded(truth["outer_end_s"] + 5 / self._rate + 0.1, only=only)
        return calibrate_run(self._run_dir, self._clock, configs, truth, self._witness)

    def _outage(self, command: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """Have the target fail and return the truth, or an `error`."""
        if self._collector is None:
            control = self._running(self._control)
            said = len(control.said())
            control.tell(command)
            done = control.wait_for(
                "the end of the calibration outage", lambda: control.said()[said:], timeout_s
            )
            return dict(done[-1])
        collector, number = self._running(self._collector), f"{self._random.getrandbits(32):08x}"
        collector.tell({**command, "id": number})

        def ended() -> list[dict[str, Any]]:
            outages = (one["outage"] for one in collector.said() if "outage" in one)
            return [one for one in outages if one["id"] == number]

        return dict(
            collector.wait_for("the end of the calibration outage in the cluster", ended, timeout_s)[-1]
        )

    def _witness(self, config: SeriesConfig) -> str:
        """Return the series by which a product series is proved."""
        look = config.series.rpartition("/")[2]
        return f"{CALIBRATION if self._inside else CONTROL}/{look}"

    def wait_recorded(self, until_s: float | None = None, *, only: str = "") -> None:
        """Wait until every sample scheduled before a moment (Unix seconds; by default now) is on disk.

        Nothing is awaited from a pod that is lost: its samples are missing, and the verdicts say so.
        """
        moment_s = until_s or self._clock.now()

        def recorded(child: Child) -> bool:
            said = child.last_said()
            chosen = [one for name, one in said.get("series", {}).items() if name.startswith(only)]
            return "lost" in said or (
                bool(chosen) and all(one["complete_to_s"] >= moment_s for one in chosen)
            )

        for child in self._samplers():
            wait_s = max(0.0, moment_s - self._clock.now()) + self._timeout_s + 10.0
            child.wait_for("the samples to be on disk", partial(recorded, child), wait_s)

    def _samplers(self) -> list[Child]:
        """Return what writes samples, alive."""
        return [
            self._running(self._sampler),
            *([self._running(self._collector)] if self._inside else []),
        ]

    def status_age_s(self) -> float:
        """Return how long ago the sampler last said how far it is, which it does twice a second."""
        return self._clock.now() - float(self._running(self._sampler).last_said().get("t", 0.0))

    def started_s(self) -> float:
        """Return when the first probe was due (Unix seconds), once `ready` has returned."""
        events = read_lines(self._run_dir / "events.jsonl")
        return max(float(event["t"]) for event in events if event["kind"] == "probe.started")

    def check(self) -> None:
        """Raise EnvironmentFailedError if one of the processes ended of itself."""
        for child in (self._sampler, self._control, self._watcher, self._collector):
            self._running(child) if child is not None else None

    def stop(self) -> None:
        """End the processes, the sampler first, and wait until everything is written. Idempotent.

        Raises EnvironmentFailedError, after all have ended, if a sampler or the collector says that it could
        not record everything.
        """
        if self._stopped:
            return
        self._stopped = True
        failed = [
            child.obituary()
            for child in (self._sampler, self._collector)
            if child is not None and child.stop(self._timeout_s + 12.0)
        ]
        for child in (self._control, self._watcher):
            if child is not None:
                with contextlib.suppress(OSError):
                    child.stop(3.0)
        if failed:
            raise EnvironmentFailedError("\n".join(failed))

    def _port(self) -> int | None:
        assert self._control is not None
        said = self._control.said()
        return int(said[0]["port"]) if said else None

    def _running(self, child: Child | None) -> Child:
        if child is None:
            raise EnvironmentFailedError("the recorder is not started")
        child.check()
        return child
