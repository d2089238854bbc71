"""The sampler in a pod: it looks from inside the cluster, and hands over what it saw by an outbox.

`python -m probes.inside_agent SETTINGS.json`, with {token}. Its command `start` {id, series:
[SeriesConfig…]} probes these and a control target of its own on loopback, in place of what it probed
before; `stop` ends that with a record `inside.stopped`. `resolve` {host} answers with its addresses. It also
stops when the harness has not been heard of for half a minute.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import uvloop

from core.clock import RunClock
from core.errors import MisuseError
from probes.blind import CLUSTER, CONTROL, BlindWatch, Span
from probes.control import ControlTarget
from probes.inside_pod import Pod, complain, settings_of
from probes.priority import go_first
from probes.sample import Sample
from probes.sampler import Sampler, raise_file_limit
from probes.series import SeriesConfig
from probes.sink import Batch

_UNHEARD_S = 30.0


class OutboxSink:
    """Passes samples, blind spans and status on to the outbox."""

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._blind = BlindWatch(None)

    @property
    def error(self) -> str:
        """Return why nothing can be passed on any more, else nothing."""
        return self._pod.error

    def put(self, batch: Batch) -> None:
        """Pack the batch in the packer's thread."""
        self._pod.tell_later(lambda: self._records(batch))

    def event(self, record: Mapping[str, Any]) -> None:
        """Pass on an event."""
        self._pod.tell(record)

    def close(self, now_s: float) -> None:
        """Pass on the blind spans that are still open."""
        self._pod.tell_later(lambda: self._spans(self._blind.decided(now_s, final=True), now_s))

    def _records(self, batch: Batch) -> list[dict[str, Any]]:
        samples = sorted(batch.samples, key=lambda sample: sample.scheduled_s)
        self._blind.feed(samples)
        spans = self._spans([*batch.spans, *self._blind.decided(batch.now_s)], batch.now_s)
        status = {"kind": "inside.status", "t": batch.now_s, "series": batch.status}
        return [*({"s": _row(sample)} for sample in samples), *spans, status]

    @staticmethod
    def _spans(spans: Sequence[Span], now_s: float) -> list[dict[str, Any]]:
        return [span.as_event(now_s, CLUSTER) for span in spans]


def _row(sample: Sample) -> list[Any]:
    return [
        sample.series,
        sample.scheduled_s,
        sample.sent_s,
        sample.finished_s,
        sample.outcome,
        sample.phase,
        sample.status,
        sample.instance,
        sample.version,
        sample.error,
        sample.retry,
    ]


class Agent:
    """Starts and stops the sampler on command."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self.pod = Pod(
            settings, {"start": self._on_start, "stop": self._on_stop, "resolve": self._on_resolve}
        )
        self._control = ControlTarget(self._loop, self.pod.clock.run, "127.0.0.1")
        self._sampler: Sampler | None = None
        self._id = ""
        self._changes: asyncio.Queue[tuple[str, list[SeriesConfig]]] = asyncio.Queue()

    async def run(self) -> None:
        """Do what is commanded until Kubernetes asks for the end."""
        tasks = [asyncio.ensure_future(one) for one in (self._obey(), self._listen(), self.pod.serve())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await self._change("", [])
        await self._loop.run_in_executor(None, self.pod.close)
        self._control.close()
        for task in done:
            task.result()

    def _on_start(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        configs = [SeriesConfig.from_json(record) for record in body["series"]]
        if not configs:
            raise MisuseError("series: expected at least one, got none")
        first = configs[0]
        controls = [
            SeriesConfig(
                series=f"{CONTROL}/{connection}@{CLUSTER}",
                target=CONTROL,
                url=f"http://127.0.0.1:{self._control.port}/",
                connection=connection,
                rate=first.rate,
                timeout_s=first.timeout_s,
            )
            for connection in sorted({config.connection for config in configs})
        ]
        self._loop.call_soon_threadsafe(self._changes.put_nowait, (str(body["id"]), [*controls, *configs]))
        return {}

    def _on_stop(self, _: Mapping[str, Any]) -> Mapping[str, Any]:
        self._loop.call_soon_threadsafe(self._changes.put_nowait, ("", []))
        return {}

    @staticmethod
    def _on_resolve(body: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            found = socket.getaddrinfo(str(body["host"]), None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            return {"addresses": [], "error": str(error)}
        return {"addresses": sorted({str(one[4][0]) for one in found})}

    async def _obey(self) -> None:
        while True:
            await self._change(*await self._changes.get())

    async def _listen(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if self._sampler and self._sampler.stopped.is_set():
                complain(f"the sampler failed: {self._sampler.error}")
                await self._change("", [])
            elif self._sampler and time.monotonic() - self.pod.outbox.asked_s > _UNHEARD_S:
                complain(f"nothing heard of the harness for {_UNHEARD_S:g} s: stopping")
                self._changes.put_nowait(("", []))

    async def _change(self, started: str, configs: list[SeriesConfig]) -> None:
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            await sampler.stop()
            stopped = {"kind": "inside.stopped", "id": self._id, "error": sampler.error or None}
            self.pod.tell({"t": self.pod.clock.run.now(), **stopped})
        self._id = started
        if configs:
            clock: RunClock = self.pod.clock.run
            sampler = Sampler(configs, clock, self._loop, OutboxSink(self.pod))
            self._loop.set_exception_handler(sampler.failed)
            await sampler.start()
            self._sampler = sampler


async def _main(settings: Mapping[str, Any]) -> None:
    await Agent(settings).run()


if __name__ == "__main__":
    raise_file_limit()
    go_first()
    # The packer's thread must not keep the ticks waiting for Python's lock.
    sys.setswitchinterval(0.0005)
    uvloop.run(_main(settings_of(sys.argv[1])))
