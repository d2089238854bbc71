"""The control target in a pod: reached like the product, and out when it is told to be.

`python -m probes.inside_target SETTINGS.json`, with {token}. Its command `outage` {id, mode, length_s,
delay_s} answers at once; the truth follows in the outbox, a record `calibration.outage` with that id.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import uvloop

from core.errors import MisuseError
from probes.control import MODES, ControlTarget
from probes.inside_pod import TARGET_PORT, Pod, settings_of
from probes.priority import go_first
from probes.sampler import raise_file_limit

_MAX_OUTAGE_S = 60.0


class Target:
    """Serves, and fails on command, one outage after the other."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._loop = asyncio.get_running_loop()
        self.pod = Pod(settings, {"outage": self._on_outage})
        clock = self.pod.clock.run
        self._target = ControlTarget(self._loop, clock, "0.0.0.0", settings.get("port", TARGET_PORT))  # noqa: S104
        self.port = self._target.port
        self._orders: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    async def run(self) -> None:
        """Serve until Kubernetes asks for the end."""
        tasks = [asyncio.ensure_future(one) for one in (self._obey(), self.pod.serve())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        self._target.close()
        await self._loop.run_in_executor(None, self.pod.close)
        for task in done:
            task.result()

    def _on_outage(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        order = {
            "id": str(body["id"]),
            "mode": body["mode"],
            "length_s": float(body["length_s"]),
            "delay_s": float(body.get("delay_s", 0.0)),
        }
        if order["mode"] not in MODES:
            raise MisuseError(f"mode: expected one of {', '.join(MODES)}, got {order['mode']!r}")
        for name in ("length_s", "delay_s"):
            if not 0 <= order[name] <= _MAX_OUTAGE_S:
                raise MisuseError(f"{name}: expected 0 to {_MAX_OUTAGE_S:g}, got {order[name]}")
        self._loop.call_soon_threadsafe(self._orders.put_nowait, order)
        return {}

    async def _obey(self) -> None:
        while True:
            order = await self._orders.get()
            await asyncio.sleep(order["delay_s"])
            truth = await self._target.outage(order["mode"], order["length_s"])
            record = {"kind": "calibration.outage", "id": order["id"], "t": self.pod.clock.run.now(), **truth}
            self.pod.tell(record)


async def _main(settings: Mapping[str, Any]) -> None:
    await Target(settings).run()


if __name__ == "__main__":
    raise_file_limit()
    go_first()
    uvloop.run(_main(settings_of(sys.argv[1])))
