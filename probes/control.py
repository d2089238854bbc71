"""The control target: a small HTTP server of the harness's own, with outages on command.

Probed by the same sampler as the product, it tells a frozen runner from a failing product, and its
planned outages, whose true times it measures itself, prove what the sampler can see.

`python -m probes.control CONFIG.json` prints `{"port": N}`, then takes commands as JSON lines on stdin:
`{"mode": "refused|reset|stall|503", "length_s": x, "delay_s": y}`. Each is written to events.jsonl as
calibration.armed and calibration.outage, and answered by a line on stdout. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
from pathlib import Path
from typing import Any

import uvloop

from core.clock import RunClock
from core.files import append_line
from probes.lifeline import watch_stdin
from probes.priority import go_first
from probes.ticker import sleep_exactly

MODES = ("refused", "reset", "stall", "503")
_LINGER_RESET = struct.pack("ii", 1, 0)


def _answer(status: str, body: bytes) -> bytes:
    who = "x-pod-name: control\r\nx-version: control"
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{who}\r\n\r\n".encode() + body


_LEAST_PORT = 10_000
_LOCAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_OK = _answer("200 OK", b"ok")
_UNAVAILABLE = _answer("503 Service Unavailable", b"planned")


def _free_server(host: str, port: int) -> socket.socket:
    """Listen on a port, by default on one that no client of this machine gets as its own.

    While the target refuses connections its port is free: a client that happened to get it as its local
    port would connect to itself, and the target could not listen again.
    """
    if port:
        return socket.create_server((host, port), backlog=4096)
    lowest, highest = _LEAST_PORT, 32767
    with contextlib.suppress(OSError, ValueError):
        highest = int(_LOCAL_PORTS.read_text().split()[0]) - 1
    for candidate in random.sample(
        range(lowest, max(highest, lowest) + 1), min(50, max(1, highest - lowest))
    ):
        with contextlib.suppress(OSError):
            return socket.create_server((host, candidate), backlog=4096)
    return socket.create_server((host, 0), backlog=4096)


class ControlTarget:
    """A server on `host` that answers 200 to everything, until told otherwise."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: RunClock, host: str, port: int = 0) -> None:
        self._loop, self._clock, self._host = loop, clock, host
        self._mode = ""
        self._held: list[socket.socket] = []
        self._open: dict[int, socket.socket] = {}
        self.port = port
        self._listener: socket.socket | None = None
        self._listen()

    async def outage(self, mode: str, length_s: float) -> dict[str, Any]:
        """Be out for `length_s` and return the truth: start_s and end_s, within the outer span.

        The service is certainly out from start_s to end_s and certainly in before outer_start_s and
        after outer_end_s: what lies between is how long this process took to switch.
        """
        outer_start_s = self._clock.now()
        if mode == "refused":
            self._unlisten()
        if mode in {"refused", "reset"}:
            self._reset_all()
        self._mode = mode
        start_s = self._clock.now()
        await sleep_exactly(self._loop, length_s)
        end_s = self._clock.now()
        self._mode = ""
        if mode == "refused":
            self._listen()
        held, self._held = self._held, []
        for connection in held:
            self._write(connection, _OK)
        outer_end_s = self._clock.now()
        return {
            "mode": mode,
            "start_s": start_s,
            "end_s": end_s,
            "outer_start_s": outer_start_s,
            "outer_end_s": outer_end_s,
        }

    def close(self) -> None:
        """Stop serving."""
        self._unlisten()
        self._reset_all()

    def _listen(self) -> None:
        listener = _free_server(self._host, self.port)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _unlisten(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            self._loop.remove_reader(listener.fileno())
            listener.close()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:  # no file handles: say so, the probes see the stall
                print(f"accept: {error}", file=sys.stderr, flush=True)  # noqa: T201
                return
            connection.setblocking(False)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            if self._mode == "reset":
                connection.close()
                continue
            descriptor = connection.fileno()
            self._open[descriptor] = connection
            self._loop.add_reader(descriptor, self._readable, connection)

    def _readable(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(65536)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""
        if not data:
            self._drop(connection)
        # A probe's request is one small write: a part of one is not awaited.
        elif data.endswith(b"\r\n\r\n"):
            if self._mode == "stall":
                self._held.append(connection)
            elif self._mode == "reset":
                self._drop(connection)
            else:
                self._write(connection, _UNAVAILABLE if self._mode == "503" else _OK)

    def _write(self, connection: socket.socket, answer: bytes) -> None:
        if connection.fileno() < 0:
            return
        try:
            connection.send(answer)
        except OSError:
            self._drop(connection)

    def _drop(self, connection: socket.socket) -> None:
        descriptor = connection.fileno()
        if self._open.pop(descriptor, None) is not None:
            self._loop.remove_reader(descriptor)
            connection.close()

    def _reset_all(self) -> None:
        for connection in list(self._open.values()):
            self._drop(connection)


class _Commands:
    """Runs the outages that stdin asks for, one after the other."""

    def __init__(
        self, target: ControlTarget, clock: RunClock, events: Path | None, series: list[str]
    ) -> None:
        self._target, self._clock, self._events, self._series = target, clock, events, series
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def serve(self) -> None:
        while True:
            command = await self.queue.get()
            mode, length_s = command["mode"], float(command["length_s"])
            if mode not in MODES:
                raise ValueError(f"mode: expected one of {', '.join(MODES)}, got {mode!r}")
            await sleep_exactly(asyncio.get_running_loop(), float(command.get("delay_s", 0)))
            self._emit({"kind": "calibration.armed", "mode": mode, "length_s": length_s})
            truth = await self._target.outage(mode, length_s)
            self._emit({"kind": "calibration.outage", **truth})
            print(json.dumps(truth), flush=True)  # noqa: T201 - the parent reads it

    def _emit(self, fields: dict[str, Any]) -> None:
        if self._events is not None:
            for series in self._series:
                append_line(self._events, {"t": self._clock.now(), "series": series, **fields})


async def _main(config: dict[str, Any]) -> None:
    loop = asyncio.get_running_loop()
    clock = RunClock(offset_s=config["offset_s"])
    target = ControlTarget(loop, clock, config.get("host", "127.0.0.1"), config.get("port", 0))
    run_dir = config.get("run_dir")
    events = Path(run_dir) / "events.jsonl" if run_dir else None
    commands = _Commands(target, clock, events, config.get("series", []))
    stopped = asyncio.Event()
    watch_stdin(loop, stopped.set, lambda line: commands.queue.put_nowait(json.loads(line)))
    print(json.dumps({"port": target.port}), flush=True)  # noqa: T201 - the parent reads it
    server, end = asyncio.ensure_future(commands.serve()), asyncio.ensure_future(stopped.wait())
    done, _ = await asyncio.wait({server, end}, return_when=asyncio.FIRST_COMPLETED)
    target.close()
    server.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await server
    assert done


if __name__ == "__main__":
    go_first()
    uvloop.run(_main(json.loads(Path(sys.argv[1]).read_text())))
