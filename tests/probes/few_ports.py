"""Probes in a network namespace of their own that has few local ports; run by test_runner_failures.py.

`unshare --net python few_ports.py PORTS PROBES new|reused HELD reset|fin` prints the outcomes as JSON:
{"outcome phase error": count}. HELD of the ports are held by other connections meanwhile; `fin` is the
sabotage: connections end without a reset.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import uvloop

from probes import http
from probes.series import Series, SeriesConfig

_FIRST = 40000
_AT_ONCE = 20
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class _Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        if data.endswith(b"\r\n\r\n"):
            self.transport.write(_ANSWER)


async def main(ports, probes, connection, held):
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(f"{_FIRST} {_FIRST + ports - 1}")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Server, "127.0.0.1", 30000)
    holders = [socket.create_connection(("127.0.0.1", 30000)) for _ in range(held)]
    outcomes: Counter[str] = Counter()
    config = SeriesConfig(
        series=f"p/{connection}", target="p", url="http://127.0.0.1:30000/", connection=connection, rate=1000
    )
    offset_s = time.time() - time.monotonic()
    series = Series(
        config,
        offset_s,
        loop,
        lambda one: outcomes.update([f"{one.outcome} {one.phase} {one.error}".strip()]),
    )
    series.aim(series.endpoint.resolve())
    for _ in range(probes):
        while series.in_flight >= _AT_ONCE:
            await asyncio.sleep(0)
        now_s = time.monotonic() + offset_s
        series.tick(now_s, now_s)
    while series.in_flight:
        await asyncio.sleep(0.001)
    series.close()
    for one in holders:
        one.close()
    server.close()
    return outcomes


if __name__ == "__main__":
    if sys.argv[5] == "fin":
        http._LINGER_RESET = struct.pack("ii", 0, 0)
    counts = uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
    sys.stdout.write(json.dumps(counts))
