"""An HTTP proxy in front of the double of AWS that answers as a cloud on a bad day does."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_HOP = {"connection", "transfer-encoding", "content-length", "host"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request: its service, its operation (an action, or method and path), and its parameters as text.

    `terraform` tells Terraform's from the harness's own.
    """

    service: str
    operation: str
    body: str
    terraform: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is answered in the double's place."""

    status: int
    code: str
    message: str = "injected by the test"

    def text(self, service: str) -> str:
        error = f"<Code>{self.code}</Code><Message>{self.message}</Message>"
        if service == "ec2":
            return f"<Response><Errors><Error>{error}</Error></Errors><RequestID>1</RequestID></Response>"
        if service == "s3":
            return f"<Error>{error}</Error>"
        return f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"


# The cloud does what it was asked, and who asked never hears of it.
LOST = Answer(status=0, code="LostAnswer")

Fault = Callable[[Call], Answer | None]


def first(times: int, operation: str, answer: Answer) -> Fault:
    """Return a fault that the first `times` calls of an operation (a pattern) meet."""
    left = [times]
    lock = threading.Lock()

    def fault(call: Call) -> Answer | None:
        with lock:
            if left[0] > 0 and re.fullmatch(operation, call.operation):
                left[0] -= 1
                return answer
        return None

    return fault


def after(calls: int, operation: str, answer: Answer) -> Fault:
    """Return a fault that every call of an operation meets once it has been let through `calls` times."""
    seen = [0]
    lock = threading.Lock()

    def fault(call: Call) -> Answer | None:
        with lock:
            if re.fullmatch(operation, call.operation):
                seen[0] += 1
                return answer if seen[0] > calls else None
        return None

    return fault


class FaultProxy:
    """The proxy: its address, its faults, what it has seen, and what is called at each of Terraform's calls.

    `added` are headers that it sends on with each request, as a load balancer does.
    """

    def __init__(self, upstream: str, *, added: Mapping[str, str] | None = None) -> None:
        self._upstream = urlsplit(upstream)
        self._added = dict(added or {})
        self._lock = threading.Lock()
        self.faults: list[Fault] = []
        self.calls: list[Call] = []
        self.met: list[str] = []
        self.on_call: Callable[[int], None] = lambda _count: None
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                proxy._handle(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _any  # noqa: N815 - their names

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def clear(self) -> None:
        """Be a good cloud again, and forget what was seen."""
        with self._lock:
            self.faults, self.calls, self.met = [], [], []
            self.on_call = lambda _count: None

    @contextmanager
    def running(self) -> Iterator[FaultProxy]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        call = _call_of(request, body)
        with self._lock:
            self.calls.append(call)
            count = sum(one.terraform for one in self.calls)
            on_call, faults = self.on_call, list(self.faults)
        if call.terraform:
            on_call(count)
        answer = next((found for fault in faults if (found := fault(call)) is not None), None)
        try:
            if answer is not None:
                self.met.append(f"{call.operation}: {answer.code}")
            if answer is LOST:
                self._forward(request, body)
                request.close_connection = True
            elif answer is not None:
                given = [("Content-Type", "text/xml")]
                _send(request, answer.status, given, answer.text(call.service).encode())
            else:
                _send(request, *self._forward(request, body))
        except (BrokenPipeError, ConnectionResetError):
            request.close_connection = True  # who asked was killed

    def _forward(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Ask the double; return its status, headers and body."""
        host, port = self._upstream.hostname, self._upstream.port
        assert host is not None
        connection = http.client.HTTPConnection(host, port, timeout=30)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        headers |= {"Host": request.headers["Host"], **self._added}
        try:
            connection.request(request.command, request.path, body=body, headers=headers)
            answer = connection.getresponse()
            given = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP]
            return answer.status, given, answer.read()
        finally:
            connection.close()


def _send(request: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
    request.send_response(status)
    for name, value in headers:
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body)


def _call_of(request: BaseHTTPRequestHandler, body: bytes) -> Call:
    scope = re.search(r"Credential=[^/]*/\d+/[^/]*/([\w-]+)/", request.headers.get("Authorization") or "")
    text = body.decode(errors="replace")
    action = re.search(r"(?:^|&)Action=(\w+)", text)
    target = request.headers.get("X-Amz-Target")
    if action:
        operation = action[1]
    elif target:
        operation = target.rpartition(".")[2]
    else:
        operation = f"{request.command} {request.path.partition('?')[0]}"
    return Call(
        service=scope[1] if scope else "",
        operation=operation,
        body=text,
        terraform="Terraform/" in (request.headers.get("User-Agent") or ""),
    )
