"""The outbox: how a process in a pod hands over what it has seen, without being able to reach the runner.

A small HTTP server in a thread of its own holds numbered batches of records until the harness has fetched
them. Nothing but the standard library, since it also runs beside an event loop or patched sockets.

    GET  /batches?after=N   the batches after number N; those up to N are forgotten: N acknowledges them
    GET  /clock             {"clock_s": Unix seconds of this process's clock, "boot": its identity}
    POST /<command>         a JSON object in, a JSON object out; whoever makes the outbox says which

Each request needs the header X-Verify-Token. A body of /batches is the boot identity (16 bytes of text) and
the highest number acknowledged so far (8 bytes), then per batch a frame: its number (8 bytes), its length
(4 bytes), and zlib of JSON lines.
"""

from __future__ import annotations

import hmac
import json
import secrets
import struct
import sys
import threading
import time
import traceback
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from core.errors import MisuseError

TOKEN_HEADER = "X-Verify-Token"  # noqa: S105 - the name of a header
MAX_QUEUED_BYTES = 32 * 1024 * 1024
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_COMMAND_BYTES = 1024 * 1024
_BOOT_BYTES = 16
_HEAD = struct.Struct(f"!{_BOOT_BYTES}sQ")
_FRAME = struct.Struct("!QI")
# A peer that opens a connection and says nothing must not keep the others waiting.
_PEER_TIMEOUT_S = 5.0

Command = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Outbox:
    """Batches on their way to the harness, at most `max_bytes` of them; the oldest give way to new ones.

    What gave way leaves a gap in the numbers, by which the other side knows of it. `now` is the clock
    that the records are stamped with. It listens once `start` is called, on `port` (0: any free one).
    Commands are carried out one after the other, unless `concurrent`: each in a thread of its own then.
    """

    def __init__(
        self,
        token: str,
        now: Callable[[], float],
        *,
        host: str = "",
        port: int = 0,
        max_bytes: int = MAX_QUEUED_BYTES,
        commands: Mapping[str, Command] | None = None,
        concurrent: bool = False,
    ) -> None:
        if not token:
            raise MisuseError("outbox: expected a token, got none")
        self.token, self.now, self.commands = token, now, dict(commands or {})
        self.boot = secrets.token_hex(_BOOT_BYTES // 2)
        self._max_bytes = max_bytes
        self._queued: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._last = self._acknowledged = 0
        self._lock = threading.Lock()
        self.asked_s = time.monotonic()  # when the harness was last heard of
        self._server = (_ConcurrentServer if concurrent else _Server)((host, port), _Handler)
        self._server.outbox = self
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        """Return the port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def last(self) -> int:
        """Return the number of the newest batch, 0 before the first."""
        return self._last

    def put(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Queue the records as one batch; an empty one is none."""
        lines = "\n".join(json.dumps(record, separators=(",", ":"), default=str) for record in records)
        if not lines:
            return
        packed = zlib.compress(lines.encode(), 1)
        with self._lock:
            self._last += 1
            self._queued.append((self._last, packed))
            self._bytes += len(packed)
            while self._bytes > self._max_bytes and len(self._queued) > 1:
                self._drop_first()

    def after(self, number: int) -> bytes:
        """Forget the batches up to `number` and return the body with those that follow, as many as fit."""
        size = 0
        with self._lock:
            self._acknowledged = max(self._acknowledged, min(number, self._last))
            frames = [_HEAD.pack(self.boot.encode(), self._acknowledged)]
            while self._queued and self._queued[0][0] <= number:
                self._drop_first()
            for one, packed in self._queued:
                if size and size + len(packed) > _MAX_ANSWER_BYTES:
                    break
                frames += [_FRAME.pack(one, len(packed)), packed]
                size += len(packed)
        return b"".join(frames)

    def start(self) -> None:
        """Serve, in a thread that ends with the process or with `close`."""
        self._thread = threading.Thread(target=self._server.serve_forever, name="outbox", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving; what is queued is gone."""
        if self._thread is not None:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()

    def wait_fetched(self, timeout_s: float) -> bool:
        """Wait until the harness has acknowledged all that was put; tell whether it has."""
        deadline_s = time.monotonic() + timeout_s
        while self._queued and time.monotonic() < deadline_s:
            time.sleep(0.02)
        return not self._queued

    def _drop_first(self) -> None:
        _, packed = self._queued.popleft()
        self._bytes -= len(packed)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """An answer of /batches: numbered batches, and the last number before them that anybody has received."""

    boot: str
    acknowledged: int
    batches: list[tuple[int, list[dict[str, Any]]]]


def unpack(body: bytes) -> Contents:
    """Read an answer of /batches; ValueError if it is none."""
    if len(body) < _HEAD.size:
        raise ValueError(f"expected an outbox's answer, got {body[:60]!r}")
    boot, acknowledged = _HEAD.unpack_from(body)
    return Contents(boot=boot.decode(), acknowledged=acknowledged, batches=list(_frames(body[_HEAD.size :])))


def _frames(body: bytes) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    place = 0
    while place < len(body):
        if place + _FRAME.size > len(body):
            raise ValueError("the answer ends inside a frame")
        number, length = _FRAME.unpack_from(body, place)
        place += _FRAME.size
        if place + length > len(body):
            raise ValueError("the answer ends inside a batch")
        try:
            lines = zlib.decompress(body[place : place + length]).split(b"\n")
        except zlib.error as error:
            raise ValueError(f"batch {number}: {error}") from error
        place += length
        yield number, [json.loads(line) for line in lines]


class _Server(HTTPServer):
    outbox: Outbox
    request_queue_size = 16

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a peer that broke off is its own business."""


class _ConcurrentServer(ThreadingHTTPServer, _Server):
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PEER_TIMEOUT_S

    def do_GET(self) -> None:
        if not self._known():
            return
        outbox, url = self.server.outbox, urlsplit(self.path)
        if url.path == "/clock":
            self._say(200, {"clock_s": outbox.now(), "boot": outbox.boot})
        elif url.path == "/batches":
            text = parse_qs(url.query).get("after", [""])[-1]
            if text.isascii() and text.isdigit():
                self._answer(200, "application/octet-stream", outbox.after(int(text)))
            else:
                self._say(400, {"error": f"after: expected a number, got {text!r}"})
        else:
            self._say(404, {"error": f"no such path: {url.path}"})

    def do_POST(self) -> None:
        if not self._known():
            return
        command = self.server.outbox.commands.get(self.path.strip("/"))
        if command is None:
            self._say(404, {"error": f"no such command: {self.path}"})
            return
        try:
            self._say(200, command(self._body()))
        except (MisuseError, ValueError, KeyError, TypeError) as error:
            self._say(400, {"error": f"{self.path}: {error}"})
        except Exception as error:  # noqa: BLE001 - the caller is told, the server lives on
            print(traceback.format_exc(), file=sys.stderr, flush=True)  # noqa: T201
            self._say(500, {"error": f"{self.path}: {error!r}"})

    def _body(self) -> dict[str, Any]:
        length = int(self.headers.get("Content-Length") or 0)
        if not 0 <= length <= _MAX_COMMAND_BYTES:
            raise MisuseError(f"body: expected at most {_MAX_COMMAND_BYTES} bytes, got {length}")
        body = json.loads(self.rfile.read(length) or b"{}")
        if not isinstance(body, dict):
            raise MisuseError(f"body: expected a JSON object, got {type(body).__name__}")
        return body

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: two requests a second are no news."""

    def _known(self) -> bool:
        given = self.headers.get(TOKEN_HEADER) or ""
        if hmac.compare_digest(given.encode(), self.server.outbox.token.encode()):
            self.server.outbox.asked_s = time.monotonic()
            return True
        self._say(403, {"error": f"expected the run's token in {TOKEN_HEADER}"})
        return False

    def _say(self, status: int, record: Mapping[str, Any]) -> None:
        self._answer(status, "application/json", json.dumps(record).encode())

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
