"""A server that fails as it is told, run in a pod by Python alone: see tests/live/test_causes.py.

$MODE says how it fails for so many seconds after GET /break?seconds=S: error (500), reused (a second
request on a connection is reset), slow (one request at a time, 20 ms each), unready (/ready is 503).
SIGTERM ends it at once; GET /hook?seconds=S answers after S seconds, for a preStop hook.
"""

import asyncio
import os
import signal
import socket
import struct
import time
from urllib.parse import parse_qs, urlsplit

MODE = os.environ.get("MODE", "")
RESET = struct.pack("ii", 1, 0)
broken = {"until": 0.0}


def answer(status, body=b"ok"):
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nx-pod-name: {os.environ['POD_NAME']}\r\n\r\n"
    return head.encode() + body


async def reply(target, requests):
    """Return the answer to the n-th request of a connection; None resets it."""
    url = urlsplit(target)
    seconds = float(parse_qs(url.query).get("seconds", ["0"])[0])
    failing = time.monotonic() < broken["until"]
    if url.path == "/break":
        broken["until"] = time.monotonic() + seconds
    elif url.path == "/hook":
        await asyncio.sleep(seconds)
    elif url.path == "/ready":
        return answer("503 No" if failing and MODE == "unready" else "200 OK")
    elif failing and MODE == "error":
        return answer("500 Broken", b"broken")
    elif failing and MODE == "reused" and requests > 1:
        return None
    elif failing and MODE == "slow":
        time.sleep(0.02)  # on purpose: everybody waits
    return answer("200 OK")


async def serve(reader, writer):
    requests = 0
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            requests += 1
            body = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if body:
                await reader.readexactly(int(body[0].partition(b":")[2]))
            said = await reply(head.split(b" ")[1].decode(), requests)
            if said is None:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                return
            writer.write(said)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    # The first process of a container gets no default handler: without one SIGTERM would do nothing.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    async with await asyncio.start_server(serve, "0.0.0.0", 8080, backlog=1024) as server:
        await server.serve_forever()


asyncio.run(main())
