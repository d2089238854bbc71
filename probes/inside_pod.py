"""What the harness's pods have in common: their settings, their clock, and the outbox by which they speak."""

from __future__ import annotations

import asyncio
import json
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.clock import RunClock
from core.outbox import Command, Outbox

OUTBOX_PORT = 8081
TARGET_PORT = 8080
_TOLD_BEFORE_END_S = 5.0
TIMES = ("t", "start_s", "end_s", "outer_start_s", "outer_end_s", "complete_to_s")


@dataclass(frozen=True, kw_only=True)
class PodClock:
    """This pod's clock. Tests put in a skew (seconds) and a drift (a ratio) to see them found out."""

    run: RunClock
    skew_s: float = 0.0
    drift: float = 0.0

    def now(self) -> float:
        """Return the present on this pod's clock, Unix seconds."""
        return self.stamp(self.run.now())

    def stamp(self, moment_s: float) -> float:
        """Return what this pod's clock shows at a moment of the machine's."""
        return moment_s + self.skew_s + self.drift * (moment_s - self.run.offset_s)


class Pod:
    """A process in a pod: its clock and outbox, and an end when Kubernetes asks for it."""

    def __init__(self, settings: Mapping[str, Any], commands: Mapping[str, Command]) -> None:
        self.clock = PodClock(
            run=RunClock.start(), skew_s=settings.get("skew_s", 0.0), drift=settings.get("drift", 0.0)
        )
        self.outbox = Outbox(
            settings["token"],
            self.clock.now,
            port=settings.get("outbox_port", OUTBOX_PORT),
            commands=commands,
        )
        self._queue: queue.SimpleQueue[Callable[[], list[dict[str, Any]]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="packer", daemon=True)
        self.error = ""

    def start(self) -> None:
        """Speak from now on."""
        self._thread.start()
        self.outbox.start()

    def tell(self, *records: Mapping[str, Any]) -> None:
        """Put records into the outbox, with their times on this pod's clock; returns at once."""
        self.tell_later(lambda: [dict(record) for record in records])

    def tell_later(self, records: Callable[[], list[dict[str, Any]]]) -> None:
        """Like `tell`, with the records made in the packer's thread so that no tick has to wait for it."""
        self._queue.put(records)

    async def serve(self) -> None:
        """Return when Kubernetes asks for the end."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ended.set)
        self.start()
        await ended.wait()

    def close(self) -> None:
        """Give the harness a moment to fetch what is left, then end."""
        self._queue.put(None)
        self._thread.join()
        self.outbox.wait_fetched(_TOLD_BEFORE_END_S)
        self.outbox.close()

    def _work(self) -> None:
        try:
            while (make := self._queue.get()) is not None:
                self.outbox.put(self._stamped(make()))
        except Exception as error:  # noqa: BLE001 - whatever it is, what follows must not look like silence
            traceback.print_exc()
            self.error = f"the outbox: {error!r}"

    def _stamped(self, records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        if not self.clock.skew_s and not self.clock.drift:
            return list(records)
        return [convert(record, self.clock.stamp) for record in records]


def convert(record: Mapping[str, Any], moment: Callable[[float], float]) -> dict[str, Any]:
    """Return a record with every time in it converted; zero stands for a time that there was not."""
    if "s" in record:
        sample = list(record["s"])
        sample[1:4] = [moment(value) if value else value for value in sample[1:4]]
        return {"s": sample}
    made: dict[str, Any] = {
        name: moment(value) if name in TIMES and isinstance(value, float) else value
        for name, value in record.items()
    }
    if isinstance(made.get("series"), Mapping):
        made["series"] = {name: convert(one, moment) for name, one in made["series"].items()}
    return made


def settings_of(path: str) -> dict[str, Any]:
    """Read a pod's settings from a mounted Secret."""
    return dict(json.loads(Path(path).read_text()))


def complain(text: str) -> None:
    """Write a line into the pod's log."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201
