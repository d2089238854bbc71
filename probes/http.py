"""One HTTP/1.1 connection on a bare non-blocking socket, carrying one request at a time.

Bare because a probe must know which phase failed, must close without leaving a port in TIME_WAIT, and
must cost microseconds; an HTTP client hides the first and spends the last.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
import time
from collections.abc import Callable

from probes.request import Request
from probes.response import MalformedAnswerError, ResponseReader
from probes.sample import Sample, outcome_of

_LINGER_RESET = struct.pack("ii", 1, 0)
_READ_BYTES = 65536
_WAIT = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Connection:
    """A connection: `open` it with a first sample, then `send` further ones while it is idle.

    `on_done(connection, sample)` is called once per sample; `on_lost(connection)` when an idle
    connection was closed from the other side. `uses` counts the answers it has carried.
    """

    __slots__ = (
        "_answer",
        "_expiry",
        "_fd",
        "_loop",
        "_on_done",
        "_on_lost",
        "_pending",
        "_reading",
        "_sample",
        "_socket",
        "_writing",
        "request",
        "uses",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        request: Request,
        on_done: Callable[[Connection, Sample], None],
        on_lost: Callable[[Connection], None],
    ) -> None:
        self._loop, self.request, self._on_done, self._on_lost = loop, request, on_done, on_lost
        self._socket: socket.socket | None = None
        self._fd = -1
        self._sample: Sample | None = None
        self._answer = ResponseReader()
        self._expiry: asyncio.TimerHandle | None = None
        self._pending = b""
        self._reading = self._writing = False
        self.uses = 0

    @property
    def is_open(self) -> bool:
        """Tell whether the connection can carry another request."""
        return self._socket is not None

    def open(self, sample: Sample) -> None:
        """Connect and send the request for `sample`."""
        request = self.request
        self._begin(sample)
        family, address = request.address
        try:
            sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            self._fail(*outcome_of(error, local=True))
            return
        self._socket, self._fd = sock, sock.fileno()
        if self._fd >= request.handles:
            self._fail("runner", "EMFILE")
            return
        sample.phase = "connect"
        # Closing with a reset leaves no TIME_WAIT, so thousands a second never run out of ports.
        # It happens only after the outcome is known, so it cannot change a measurement.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        status = sock.connect_ex(address)
        if status not in (0, errno.EINPROGRESS):
            self._fail(*outcome_of(OSError(status, ""), local=True))
            return
        if request.tls is None and status == 0:
            self._connected()
        else:
            self._want_write(self._on_connect)

    def send(self, sample: Sample) -> None:
        """Send the request for `sample` on this idle connection."""
        self._begin(sample)
        self._write_request()

    def usable(self) -> bool:
        """Look whether the peer has closed this idle connection without us having been told yet.

        That is the keep-alive race that a client can see coming, so it is never a failure.
        """
        sock = self._socket
        if sock is None:
            return False
        try:
            # A TLS socket takes no flags; what it may hold while idle is session tickets, read silently.
            data = sock.recv(1) if self.request.tls else sock.recv(1, socket.MSG_PEEK)
        except _WAIT:
            return True
        except OSError:
            data = b""
        del data  # the end, an error, or bytes nobody asked for: not to be used again either way
        self.close()
        return False

    def close(self) -> None:
        """Close; pending samples are dropped without a call."""
        self._cancel_expiry()
        sock, self._socket = self._socket, None
        if sock is None:
            return
        if self._reading:
            self._loop.remove_reader(self._fd)
        if self._writing:
            self._loop.remove_writer(self._fd)
        self._reading = self._writing = False
        with contextlib.suppress(OSError):
            sock.close()

    def _begin(self, sample: Sample) -> None:
        self._sample = sample
        self._answer = ResponseReader(keep_body=bool(self.request.body))
        sample.sent_s = time.monotonic() + self.request.offset_s
        self._expiry = self._loop.call_later(self.request.timeout_s, self._expire)

    def _on_connect(self) -> None:
        assert self._socket is not None
        status = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if status:
            self._fail(*outcome_of(OSError(status, "")))
            return
        self._stop_writing()
        self._connected()

    def _connected(self) -> None:
        assert self._socket is not None
        assert self._sample is not None
        if self.request.tls is None:
            self._write_request()
            return
        self._sample.phase = "tls"
        try:
            self._socket = self.request.tls.wrap_socket(
                self._socket, server_hostname=self.request.server_name, do_handshake_on_connect=False
            )
        except OSError as error:
            self._fail(*outcome_of(error))
            return
        self._handshake()

    def _handshake(self) -> None:
        assert isinstance(self._socket, ssl.SSLSocket)
        try:
            self._socket.do_handshake()
        except ssl.SSLWantReadError:
            self._stop_writing()
            self._want_read(self._handshake)
        except ssl.SSLWantWriteError:
            self._want_write(self._handshake)
        except OSError as error:
            self._fail(*outcome_of(error))
        else:
            self._stop_writing()
            self._loop.remove_reader(self._fd)
            self._reading = False
            self._write_request()

    def _write_request(self) -> None:
        assert self._sample is not None
        self._sample.phase = "first_byte"
        self._pending = self.request.payload
        if not self._reading:
            self._want_read(self._on_readable)
        self._write()

    def _write(self) -> None:
        assert self._socket is not None
        try:
            self._pending = self._pending[self._socket.send(self._pending) :]
        except _WAIT:
            pass
        except OSError as error:
            self._fail(*outcome_of(error))
            return
        if self._pending:
            self._want_write(self._write)
        else:
            self._stop_writing()

    def _on_readable(self) -> None:
        while self._socket is not None:
            try:
                data = self._socket.recv(_READ_BYTES)
            except _WAIT:
                return
            except ssl.SSLEOFError:
                data = b""
            except OSError as error:
                self._broken(*outcome_of(error))
                return
            if not data:
                self._ended()
                return
            self._take(data)
            if self.request.tls is None:
                return  # level-triggered: the loop calls again; TLS may hold decrypted bytes back

    def _take(self, data: bytes) -> None:
        sample = self._sample
        if sample is None:
            self._broken("other", "bytes without a request")
            return
        try:
            whole = self._answer.feed(data)
        except MalformedAnswerError as error:
            self._fail("other", f"malformed: {error}")
            return
        sample.phase = "body" if self._answer.headed else "first_byte"
        if whole:
            self._complete()

    def _ended(self) -> None:
        if self._sample is None:
            self._broken("reset", "closed")
        elif self._answer.end():
            self._complete()
        elif self._answer.started:
            self._fail("truncated", "the stream ended inside the answer")
        else:
            self._fail("reset", "closed before an answer")

    def _broken(self, outcome: str, error: str) -> None:
        if self._sample is not None:
            self._fail(outcome, error)
            return
        self.close()
        self._on_lost(self)

    def _complete(self) -> None:
        assert self._sample is not None
        outcome, error = self.request.fault(self._answer)
        self._sample.phase = "done"
        self.uses += 1
        if self.request.single_use or not self._answer.keep_alive:
            self.close()
        self._finish(outcome, error)

    def _expire(self) -> None:
        self._fail("timeout", f"no whole answer within {self.request.timeout_s:g} s")

    def _fail(self, outcome: str, error: str) -> None:
        self.close()
        self._finish(outcome, error)

    def _finish(self, outcome: str, error: str) -> None:
        self._cancel_expiry()
        sample, answer = self._sample, self._answer
        assert sample is not None
        self._sample = None
        sample.finished_s = time.monotonic() + self.request.offset_s
        sample.outcome, sample.error = outcome, error
        if outcome == "runner":
            sample.phase = "none"  # it never began, as far as the product is concerned
        sample.status, sample.instance, sample.version = answer.status, answer.instance, answer.version
        self._on_done(self, sample)

    def _cancel_expiry(self) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None

    def _want_read(self, callback: Callable[[], None]) -> None:
        self._loop.add_reader(self._fd, callback)
        self._reading = True

    def _want_write(self, callback: Callable[[], None]) -> None:
        self._loop.add_writer(self._fd, callback)
        self._writing = True

    def _stop_writing(self) -> None:
        if self._writing:
            self._loop.remove_writer(self._fd)
            self._writing = False
