"""Everybody who watches the same server at the same time, and what each of them saw."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.peers import vegeta
from benchmarks.peers.answers import Answer
from core.clock import RunClock
from core.errors import CommandError, EnvironmentFailedError
from core.files import read_lines
from probes.children import Child

VEGETA_NEW = "vegeta, open loop, 200/s, new connections"
VEGETA_KEPT = "vegeta, open loop, 200/s, keep-alive"
LOCUST = "Locust, 10 users x 20/s"
POLLS = {"a sequential poll, 1 s": 1.0, "a sequential poll, 2 s": 2.0}
NAMES = (VEGETA_NEW, VEGETA_KEPT, LOCUST, *POLLS)
_RATE, _USERS = 200, 10
TIMEOUT_S = 2.0
_END_S = 30.0


class Bystanders:
    """The peers, started together; after `finish`, `answers` has what each saw and `absent` who could not."""

    def __init__(self, folder: Path, clock: RunClock, url: str, span_s: float) -> None:
        self._folder, self._clock, self._url, self._span_s = folder, clock, url, span_s
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._polls: dict[str, Child] = {}
        self._vegeta: Path | None = None
        self.answers: dict[str, list[Answer]] = {}
        self.absent: dict[str, str] = {}

    def start(self) -> None:
        """Start all; one that cannot be had is named in `absent`, with the reason."""
        try:
            self._vegeta = vegeta.ensure()
        except CommandError as error:
            self.absent |= dict.fromkeys((VEGETA_NEW, VEGETA_KEPT), str(error))
        else:
            for name, keep in ((VEGETA_NEW, False), (VEGETA_KEPT, True)):
                self._processes[name] = vegeta.attack(
                    self._vegeta,
                    self._url,
                    self._output(name),
                    rate=_RATE,
                    span_s=self._span_s,
                    timeout_s=TIMEOUT_S,
                    keep_alive=keep,
                )
        self._processes[LOCUST] = self._locust()
        for name, pause_s in POLLS.items():
            config = {"url": self._url, "pause_s": pause_s, "timeout_s": TIMEOUT_S}
            child = Child("poll", "benchmarks.peers.poll", config, self._folder, self._clock.now)
            self._polls[name] = child
        for name, child in self._polls.items():
            child.wait_for(f"the first request of {name}", child.said, _END_S)

    def finish(self) -> None:
        """Wait until all have ended and read what they saw."""
        for name, child in self._polls.items():
            child.stop(TIMEOUT_S + 5)
            self.answers[name] = [Answer(sent_s=one["sent_s"], ok=one["ok"]) for one in child.said()]
        readers: Mapping[str, Callable[[], Iterator[Answer]]] = {
            LOCUST: lambda: (
                Answer(sent_s=one["sent_s"], ok=one["ok"]) for one in read_lines(self._output(LOCUST))
            ),
            **{name: lambda name=name: self._attacked(name) for name in (VEGETA_NEW, VEGETA_KEPT)},  # type: ignore[misc]
        }
        for name, process in self._processes.items():
            try:
                process.wait(_END_S)
                self.answers[name] = list(readers[name]())
            except (subprocess.TimeoutExpired, CommandError, EnvironmentFailedError) as error:
                self.absent[name] = str(error)
                continue
            if not self.answers[name]:
                self.absent[name] = f"it left no result (exit status {process.returncode})"
                del self.answers[name]

    def close(self) -> None:
        """End whoever still runs. Idempotent."""
        for child in self._polls.values():
            child.stop(1.0)
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(5)
                process.kill()
                process.wait()

    def _output(self, name: str) -> Path:
        return self._folder / f"{''.join(c if c.isalnum() else '-' for c in name)}.out"

    def _attacked(self, name: str) -> Iterator[Answer]:
        assert self._vegeta is not None
        return vegeta.answers(self._vegeta, self._output(name))

    def _locust(self) -> subprocess.Popen[bytes]:
        options = {
            "locustfile": str(Path(__file__).with_name("locustfile.py")),
            "host": self._url.rstrip("/"),
            "users": str(_USERS),
            "spawn-rate": str(_USERS),
            "run-time": f"{self._span_s:.0f}s",
            "loglevel": "WARNING",
            # A failed request is what it is here for, not a failed run.
            "exit-code-on-error": "0",
        }
        argv = [sys.executable, "-m", "locust", "--headless", "--only-summary"]
        argv += [word for name, value in options.items() for word in (f"--{name}", value)]
        environment = {
            **os.environ,
            "VERIFY_BENCH_LOCUST": str(self._output(LOCUST)),
            "VERIFY_BENCH_TIMEOUT_S": str(TIMEOUT_S),
        }
        with (self._folder / "locust.err").open("wb") as log:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
