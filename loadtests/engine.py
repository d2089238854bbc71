"""The engines: Locust as a library, alone, as the master of workers, or as a worker. Patches sockets."""

from __future__ import annotations

from loadtests.traffic import Traffic  # isort: skip - patches ssl before others import it

import os
import time
from collections.abc import Callable
from typing import Any

import gevent
import gevent.event
from gevent.socket import wait_read
from locust.env import Environment
from locust.runners import MasterRunner

from core.clock import RunClock
from loadtests.collector import Collector, Sink
from loadtests.settings import Assignment

# The plan starts so long after all users are there, so that every process has heard of it.
LEAD_S = 0.3
# Locust advises against more than 100 new users a second and worker.
SPAWN_PER_S = 100


class Engine:
    """Runs one load to its end; `LocalEngine` sends it itself, `MasterEngine` has workers for that."""

    def __init__(self, assignment: Assignment, sink: Sink, clock: RunClock) -> None:
        self.assignment, self.settings = assignment, assignment.settings
        self.clock, self.sink = clock, sink
        self.collector = Collector(assignment, sink)
        self.reason: str | None = None
        self.start_s = 0.0
        self._ticked, self._cpu_s = time.monotonic(), time.process_time()

    def run(self) -> int:
        """Send load until told to stop or a bound is reached; return the exit status."""
        self.collector.announce(self.clock.now())
        if self.assignment.supervised:
            gevent.spawn(self._await_parent)
        error = self.prepare()
        if error is None and self.reason is None:
            self.start_s = self.clock.now() + LEAD_S
            self.collector.begin(self.start_s)
            self.begin()
            plan = self.settings.plan
            bounded_s = plan.due_s(self.settings.max_requests)
            over_s = self.start_s + (plan.duration_s if bounded_s is None else bounded_s)
            while self.reason is None:
                gevent.sleep(0.05)
                now_s = self.clock.now()
                self.collector.flush(now_s, self.own_cpu())
                if now_s >= over_s:
                    self.reason = "duration" if bounded_s is None else "requests"
                self.reason = self.reason or self.interruption()
            end_s = min(self.clock.now(), over_s)
            self.collector.end(end_s)
            self.finish(end_s)
        reason = self.reason or "failed"
        if reason == "parent died":
            error = reason
        fields = self.collector.conclude(self.clock.now(), reason, error)
        self.sink.close()
        self.sink.note({"ended": fields})
        self.close()
        return int(fields["exit_code"])

    def prepare(self) -> str | None:
        """Start the users, and return what makes that impossible."""
        raise NotImplementedError

    def begin(self) -> None:
        """Start the plan at `start_s`."""
        raise NotImplementedError

    def finish(self, end_s: float) -> None:
        """Stop the users and gather the workers' last words."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what is left."""

    def interruption(self) -> str | None:
        """Return why the load cannot go on."""
        return getattr(self.sink, "broken", None) or None

    def own_cpu(self) -> float:
        """Return the share of a core that this process takes, if it is not measured as a worker."""
        return 0.0

    def _await_parent(self) -> None:
        """Read the parent's word: `stop`, or the end of the pipe when it died."""
        wait_read(0)
        self.reason = "stopped" if os.read(0, 16).startswith(b"stop") else "parent died"


class LocalEngine(Engine):
    """Master and only worker in one process."""

    def __init__(self, assignment: Assignment, sink: Sink, clock: RunClock) -> None:
        super().__init__(assignment, sink, clock)
        self._traffic = Traffic(
            assignment, clock, 0, sink.samples, lambda second: self.collector.add(0, second)
        )
        self._runner = self._traffic.environment.create_local_runner()

    def prepare(self) -> str | None:
        """Start the users, who wait for the plan's start."""
        users = self.settings.all_users
        self._runner.start(users, spawn_rate=min(users, SPAWN_PER_S))
        while self._runner.user_count < users and self.reason is None and not self._traffic.error:
            gevent.sleep(0.02)
        return self._traffic.error

    def begin(self) -> None:
        """Start the plan."""
        self._traffic.begin(self.start_s)

    def finish(self, end_s: float) -> None:
        """Stop the users."""
        self.collector.done(0, self._traffic.finish(end_s, self._runner.stop))

    def close(self) -> None:
        """End Locust's greenlets."""
        self._traffic.release()
        self._runner.quit()


class MasterEngine(Engine):
    """Sends nothing itself: has workers send, by Locust's own messages, and gathers what they report."""

    def __init__(self, assignment: Assignment, sink: Sink, clock: RunClock) -> None:
        super().__init__(assignment, sink, clock)
        # The master needs the classes' names and weights only, to divide the users.
        self._traffic = Traffic(assignment, clock, 0, sink.samples, lambda _: None)
        self._environment: Environment = self._traffic.environment
        self._runner: MasterRunner = self._environment.create_master_runner(
            assignment.master_host, assignment.master_port
        )
        self._present: set[int] = set()
        for kind, act in (
            ("verify-here", self._on_here),
            ("verify-samples", self._on_samples),
            ("verify-second", self._on_second),
            ("verify-done", self._on_done),
            ("verify-ping", self._on_ping),
        ):
            self._runner.register_message(kind, _listener(act, assignment.load_id))
        sink.note({"port": self._runner.server.port})

    def prepare(self) -> str | None:
        """Wait for all workers, and have them start the users."""
        workers, users = self.settings.workers, self.settings.all_users
        deadline = time.monotonic() + self.assignment.connect_timeout_s
        while len(self._present) < workers and self.reason is None:
            if time.monotonic() > deadline:
                missing = sorted(set(range(workers)) - self._present)
                return f"{len(missing)} of {workers} workers never connected: {missing}"
            gevent.sleep(0.05)
        if self.reason is not None:
            return None
        self._runner.start(users, spawn_rate=min(users, SPAWN_PER_S * workers))
        deadline = time.monotonic() + 30 + users / SPAWN_PER_S
        while self._runner.user_count < users and self.reason is None:
            if time.monotonic() > deadline:
                return f"{self._runner.user_count} of {users} users were started in time"
            gevent.sleep(0.02)
        return None

    def begin(self) -> None:
        """Tell all workers when the plan starts."""
        self._runner.send_message("verify-go", {"start_s": self.start_s})

    def finish(self, end_s: float) -> None:
        """Have the workers stop, and wait for their last words."""
        self._runner.send_message("verify-finish", {"end_s": end_s})
        # The workers drain for one time-out, then wait for answers for another.
        deadline = time.monotonic() + 2 * self.settings.request_timeout_s + 4
        while not self.collector.all_done and time.monotonic() < deadline:
            gevent.sleep(0.02)

    def close(self) -> None:
        """Have the workers end."""
        self._runner.quit()

    def interruption(self) -> str | None:
        """Return why the load cannot go on: no worker is left, or the harness or the writer has gone."""
        gone = not (
            self._runner.clients.running or self._runner.clients.spawning or self._runner.clients.ready
        )
        return super().interruption() or ("no worker is left" if gone else None)

    def own_cpu(self) -> float:
        """Return the master's share of a core since it was last asked a second ago."""
        moment, used_s = time.monotonic(), time.process_time()
        if moment - self._ticked >= 1:
            self._cpu = (used_s - self._cpu_s) / (moment - self._ticked)
            self._ticked, self._cpu_s = moment, used_s
        return self._cpu

    _cpu = 0.0

    def _on_here(self, data: dict[str, Any]) -> None:
        self._present.add(int(data["worker"]))

    def _on_samples(self, data: dict[str, Any]) -> None:
        self.sink.samples(data["lines"])

    def _on_second(self, data: dict[str, Any]) -> None:
        self.collector.add(int(data["worker"]), data["second"])

    def _on_done(self, data: dict[str, Any]) -> None:
        self.collector.done(int(data["worker"]), data["final"])

    def _on_ping(self, data: dict[str, Any]) -> None:
        answer = {"sent_s": data["sent_s"], "now_s": self.clock.now(), "worker": data["worker"]}
        self._runner.send_message("verify-pong", answer, client_id=data["client"])


class WorkerEngine:
    """Sends its share of the load as its master says."""

    def __init__(self, assignment: Assignment, clock: RunClock) -> None:
        self._assignment, self._index = assignment, assignment.worker_index
        self._over = gevent.event.Event()
        self._pongs: list[tuple[float, float]] = []
        self._traffic = Traffic(assignment, clock, self._index, self._deliver, self._tell)
        if assignment.supervised:
            gevent.spawn(self._await_parent)
        self._runner = self._traffic.environment.create_worker_runner(
            assignment.master_host, assignment.master_port
        )
        for kind, act, concurrent in (
            ("verify-go", self._on_go, False),
            # Stopping takes a while, and heartbeats must go on meanwhile.
            ("verify-finish", self._on_finish, True),
            ("verify-pong", self._on_pong, False),
        ):
            self._runner.register_message(kind, _plain(act), concurrent=concurrent)

    def run(self) -> int:
        """Serve the master until it ends the load; return the exit status."""
        error = None
        if self._assignment.clock_offset_s is None:
            error = self._synchronise()
        if error is None:
            self._send("verify-here", {})
            self._over.wait(
                self._assignment.connect_timeout_s + self._assignment.settings.plan.duration_s + 600
            )
        self._runner.greenlet.kill(block=True)
        self._runner.client.socket.close(linger=3000)
        return 0 if error is None else 3

    def _synchronise(self) -> str | None:
        """Set this process' clock to the master's, by the quickest of some exchanges."""
        for _ in range(20):
            sent_s = self._traffic.clock.now()
            self._send("verify-ping", {"sent_s": sent_s, "client": self._runner.client_id})
            gevent.sleep(0.05)
        if not self._pongs:
            return "the master did not answer"
        round_trip_s, offset_s = min(self._pongs)
        clock = self._traffic.clock
        self._traffic.clock = RunClock(offset_s=clock.offset_s + offset_s)
        self._traffic.clock_bound_s = round_trip_s / 2
        return None

    def _on_pong(self, data: dict[str, Any]) -> None:
        now_s = self._traffic.clock.now()
        self._pongs.append((now_s - data["sent_s"], data["now_s"] - (now_s + data["sent_s"]) / 2))

    def _on_go(self, data: dict[str, Any]) -> None:
        self._traffic.begin(float(data["start_s"]))

    def _on_finish(self, data: dict[str, Any]) -> None:
        final = self._traffic.finish(float(data["end_s"]), self._runner.stop)
        self._send("verify-done", {"final": final})
        self._over.set()

    def _deliver(self, lines: bytes) -> None:
        self._send("verify-samples", {"lines": lines})

    def _tell(self, second: dict[str, Any]) -> None:
        self._send("verify-second", {"second": second})

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self._runner.send_message(kind, {"load_id": self._assignment.load_id, "worker": self._index, **data})

    def _await_parent(self) -> None:
        """End at once with the parent; the master is told of a stop, not the workers."""
        wait_read(0)
        os._exit(1)


def _listener(act: Callable[[dict[str, Any]], None], load_id: str) -> Callable[..., None]:
    """Take a worker's message, unless it belongs to another load."""

    def listen(msg: Any, **_: object) -> None:
        if msg.data.get("load_id") == load_id:
            act(msg.data)

    return listen


def _plain(act: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
    def listen(msg: Any, **_: object) -> None:
        act(msg.data)

    return listen
