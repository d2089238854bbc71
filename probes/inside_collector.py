"""The collector process: fetches what the harness's pods saw, and puts it on the run's clock.

`python -m probes.inside_collector CONFIG.json`, with {run_dir, offset_s, kubeconfig, context, namespace,
agent, target, secret, series: [SeriesConfig…], calibrated: [series…]}. It has the agent start, and
takes commands as JSON lines on stdin: {"id", "mode", "length_s", "delay_s"} has the control target fail,
answered by a line {"outage": truth}. It ends with its stdin, after the agent has stopped and everything is
fetched. Its lines {"t", "series"} are like the sampler's; {"lost": reason} says that the pod is gone.
"""

from __future__ import annotations

import base64
import json
import queue
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from clients.kubernetes import ApiError, Cluster
from clients.outbox import OutboxClient, OutboxRestartedError, Proxy, Received
from core.clock import RunClock
from core.errors import EnvironmentFailedError
from core.files import append_line
from core.offset import ClockOffset, Step
from probes.blind import CLUSTER, Span
from probes.inside import CALIBRATION
from probes.inside_pod import OUTBOX_PORT, convert
from probes.lifeline import watch_stdin_lines
from probes.sample import Sample
from slas.samples import SegmentWriter

POLL_S = 0.3
# A sample is at most so old when it is put on our clock: the agent's flush and our poll.
_AGE_S = 1.0
_FIRST_EXCHANGES = 12
_CLOCK_EVERY_S = 5.0
# A pod that does not answer for so long will not be waited for; what it holds may still come.
_LOST_AFTER_S = 10.0
_STOP_S = 8.0


class Access(Proxy, Protocol):
    """What the collector needs of a cluster: `clients.kubernetes.Cluster`."""

    def get(self, resource: str, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Return one object, or None where there is none."""


class Source:
    """One pod: its outbox, and its clock against ours. `name` is the vantage that its clock is for."""

    def __init__(self, client: OutboxClient, clock: RunClock, events: Path, name: str) -> None:
        self.client, self._clock, self._events, self._name = client, clock, events, name
        self.offset = ClockOffset()
        self._told_s = self._worst_s = 0.0
        self.heard_s = time.monotonic()
        self.lost = ""

    def begin(self) -> None:
        """Find the clock's offset; ApiError if the pod does not answer."""
        for _ in range(_FIRST_EXCHANGES):
            self.offset.take(self.client.exchange(self._clock.now))
        self.offset.settle()
        self.state_clock()

    def ask(self) -> tuple[Received, Step | None] | None:
        """Compare the clocks and fetch what there is; None if the pod does not answer now."""
        if self.lost:
            return None
        try:
            step = self.offset.take(self.client.exchange(self._clock.now))
            received = self.client.receive()
        except OutboxRestartedError as error:
            self.lost = str(error)
        except ApiError as error:
            if error.status == 404 or time.monotonic() - self.heard_s > _LOST_AFTER_S:
                self.lost = str(error)
        else:
            self.heard_s = time.monotonic()
            self._worst_s = max(self._worst_s, self.offset.bound_s(self._clock.now() - _AGE_S))
            if step or time.monotonic() - self._told_s > _CLOCK_EVERY_S:
                self.state_clock(step)
            return received, step
        return None

    def state_clock(self, step: Step | None = None) -> None:
        """Write what is known of the pod's clock, with its worst bound since the last time."""
        self._told_s, now_s = time.monotonic(), self._clock.now()
        bound_s = max(self._worst_s, self.offset.bound_s(now_s - _AGE_S))
        self._worst_s = 0.0
        append_line(
            self._events,
            {
                "t": now_s,
                "kind": "probe.clock",
                "vantage": self._name,
                "pod": self.client.pod,
                "offset_s": self.offset.offset_s,
                "bound_s": bound_s,
                "exchanges": self.offset.exchanges,
                **({"stepped": True} if step else {}),
            },
        )


class Collector:
    """Starts the agent, fetches and converts, has the target fail, and stops the agent."""

    def __init__(self, config: Mapping[str, Any], cluster: Access) -> None:
        self._run_dir = Path(config["run_dir"])
        self._events = self._run_dir / "events.jsonl"
        self._clock = RunClock(offset_s=config["offset_s"])
        self._series: Sequence[Mapping[str, Any]] = config["series"]
        self._calibrated: Sequence[str] = config["calibrated"]
        namespace = config["namespace"]
        token = token_of(cluster, namespace, config["secret"])

        def source(pod: str, name: str) -> Source:
            client = OutboxClient(cluster, namespace, pod, OUTBOX_PORT, token)
            return Source(client, self._clock, self._events, name)

        self.agent = source(config["agent"], CLUSTER)
        self.target = source(config["target"], CALIBRATION)
        self._writer = SegmentWriter(self._run_dir / "samples", "inside")
        self._ordered: dict[str, Mapping[str, Any]] = {}
        self._id = secrets.token_hex(4)  # tells our stop from that of a recorder before this one
        self._seen_s = 0.0  # up to which moment the agent's records are here
        self._stopped = self._ending = False
        self._lost_told = False
        self.commands: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()

    def begin(self) -> None:
        """Have the agent probe; EnvironmentFailedError if it cannot."""
        self.agent.begin()
        self.target.begin()
        while self.agent.client.receive().records:
            pass  # of a recorder before this one that did not live to fetch it
        self.agent.client.command("start", {"id": self._id, "series": list(self._series)})
        self._seen_s = self._clock.now()

    def run(self) -> None:
        """Fetch until the parent is gone, then stop the agent and fetch the rest."""
        while (command := self._next()) is not _END:
            if command is not None:
                self._order(command)
            self._fetch()
            if self._ordered:
                self._fetch_truths()
            elif time.monotonic() - self.target.heard_s > _CLOCK_EVERY_S:
                self.target.ask()
        self._end()

    def _next(self) -> Mapping[str, Any] | None:
        try:
            command = self.commands.get(timeout=POLL_S)
        except queue.Empty:
            return None
        return _END if command is None else command

    def _end(self) -> None:
        self._ending, deadline_s = True, time.monotonic() + _STOP_S
        try:
            if not self.agent.lost:
                self.agent.client.command("stop", {})
            while not self._stopped and not self.agent.lost and time.monotonic() < deadline_s:
                time.sleep(0.1)
                self._fetch()
            if not self.agent.lost:
                self.agent.client.receive()  # acknowledges the last batch
                self.agent.state_clock()
        except ApiError as error:
            self.agent.lost = str(error)
            self._tell_loss()
        if not self._stopped and not self.agent.lost:
            raise EnvironmentFailedError(f"pod {self.agent.client.pod}: did not stop within {_STOP_S:g} s")

    def _fetch(self) -> None:
        found = self.agent.ask()
        if found is None:
            self._tell_loss()
            return
        received, step = found
        if step is not None:
            self._blind(step.start_s, step.end_s, "the clock of the pod was set anew")
        if received.records:
            self._take(received)
        self._tell_loss()

    def _tell_loss(self) -> None:
        if self.agent.lost and not self._lost_told:
            self._lost_told = True
            lost = {"vantage": CLUSTER, "pod": self.agent.client.pod, "reason": self.agent.lost}
            append_line(self._events, {"t": self._clock.now(), "kind": "probe.lost", **lost})
            self._say({})

    def _take(self, received: Received) -> None:
        offset = self.agent.offset
        records = [convert(record, offset.ours) for record in received.records]
        if received.missed:
            first = records[0]
            until_s = float(first["s"][1] if "s" in first else first["t"])
            gap = {"vantage": CLUSTER, "pod": self.agent.client.pod, "batches": received.missed}
            append_line(self._events, {"t": self._clock.now(), "kind": "outbox.gap", **gap})
            self._blind(
                self._seen_s, until_s, f"{received.missed} batches of the pod were not fetched in time"
            )
        self._writer.write(sample_of(record["s"]) for record in records if "s" in record)
        status: Mapping[str, Any] | None = None
        for record in records:
            if "s" in record:
                continue
            if record["kind"] == "inside.status":
                status, self._seen_s = record, record["t"]
            elif record["kind"] == "inside.stopped":
                self._ended(record)
            elif record["kind"] == "control.blind":
                self._blind(record["start_s"], record["end_s"], record["reason"])
            else:
                append_line(self._events, record)
        if status is not None:
            self._say({"t": status["t"], "series": status["series"]})

    def _ended(self, record: Mapping[str, Any]) -> None:
        """Take the agent's word that a sampler of its has ended, which may be that of a recorder before."""
        if record["id"] == self._id:
            self._stopped = True
            if not self._ending:
                self.agent.lost = f"pod {self.agent.client.pod}: it was asked to end, not by this run"
        if record["error"]:
            raise EnvironmentFailedError(f"the sampler in the pod failed: {record['error']}")

    def _blind(self, start_s: float, end_s: float, reason: str) -> None:
        """Note a blind span, widened by what the conversion of its ends may be wrong."""
        bound_s = self.agent.offset.bound_s(start_s)
        span = Span(start_s=start_s - bound_s, end_s=end_s + bound_s, reason=reason)
        append_line(self._events, span.as_event(self._clock.now(), CLUSTER))

    def _order(self, command: Mapping[str, Any]) -> None:
        try:
            self.target.client.command("outage", command)
        except ApiError as error:
            self._say({"outage": {"id": command["id"], "error": str(error)}})
            return
        self._ordered[command["id"]] = command
        for series in self._calibrated:
            armed = {"series": series, "mode": command["mode"], "length_s": command["length_s"]}
            append_line(self._events, {"t": self._clock.now(), "kind": "calibration.armed", **armed})

    def _fetch_truths(self) -> None:
        found = self.target.ask()
        if self.target.lost:
            for order in self._ordered:
                self._say({"outage": {"id": order, "error": self.target.lost}})
            self._ordered.clear()
        for record in found[0].records if found else ():
            if record["kind"] != "calibration.outage" or self._ordered.pop(record["id"], None) is None:
                continue
            truth = convert(record, self.target.offset.ours)
            bound_s = self.target.offset.bound_s(truth["start_s"])
            # How long it lasted is the pod's to say; when it was, we know only within the bound.
            truth |= {
                "bound_s": bound_s,
                "outer_start_s": truth["outer_start_s"] - bound_s,
                "outer_end_s": truth["outer_end_s"] + bound_s,
            }
            for series in self._calibrated:
                append_line(self._events, {**truth, "series": series})
            self._say({"outage": truth})

    def _say(self, record: Mapping[str, Any]) -> None:
        lost = {"lost": self.agent.lost} if self.agent.lost else {}
        print(json.dumps({**record, **lost}), flush=True)  # noqa: T201 - the parent reads it


_END: Mapping[str, Any] = {}


def sample_of(row: Sequence[Any]) -> Sample:
    """Return the sample of a row in an outbox."""
    sample = Sample(row[0], row[1], retry=row[10])
    (
        sample.sent_s,
        sample.finished_s,
        sample.outcome,
        sample.phase,
        sample.status,
        sample.instance,
        sample.version,
        sample.error,
    ) = row[2:10]
    return sample


def token_of(cluster: Access, namespace: str, secret: str) -> str:
    """Return the run's token from its Secret; EnvironmentFailedError if that is gone."""
    found = cluster.get("secrets", secret, namespace)
    if found is None:
        raise EnvironmentFailedError(f"secret {namespace}/{secret}: not there")
    settings = json.loads(base64.b64decode(found["data"]["settings.json"]))
    return str(settings["token"])


def _main(config: Mapping[str, Any]) -> int:
    collector = Collector(config, Cluster(Path(config["kubeconfig"]), config["context"]))

    def line(text: bytes) -> None:
        collector.commands.put(json.loads(text))

    threading.Thread(
        target=watch_stdin_lines, args=(line, lambda: collector.commands.put(None)), daemon=True
    ).start()
    try:
        collector.begin()
        collector.run()
    except EnvironmentFailedError as error:
        print(error, file=sys.stderr, flush=True)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(json.loads(Path(sys.argv[1]).read_text())))
