"""The reader of one HTTP/1.1 answer, fed as bytes arrive."""

from __future__ import annotations

MAX_HEAD_BYTES = 64 * 1024
_BODYLESS = frozenset({204, 304})


class MalformedAnswerError(ValueError):
    """What came is not HTTP/1.1; the message says where it went wrong."""


class ResponseReader:
    """One answer: its status, who gave it, and whether it is whole.

    `keep_body` keeps the body's text for a later comparison; otherwise it is only counted.
    """

    __slots__ = (
        "_buffer",
        "_chunked",
        "_keep_body",
        "_left",
        "body",
        "done",
        "headed",
        "instance",
        "keep_alive",
        "started",
        "status",
        "version",
    )

    def __init__(self, *, keep_body: bool = False) -> None:
        self._buffer = b""
        self._keep_body = keep_body
        self._left: int | None = 0  # bytes of body (or of this chunk) to come; None reads to the end
        self._chunked = False
        self.body = b""
        self.status = 0
        self.instance = ""
        self.version = ""
        self.keep_alive = True
        self.started = False
        self.headed = False
        self.done = False

    def feed(self, data: bytes) -> bool:
        """Take the bytes that arrived; True when the answer is whole. Raises MalformedAnswerError."""
        self.started = True
        if self.headed:
            self._body(data)
            return self.done
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise MalformedAnswerError(f"no end of the head within {MAX_HEAD_BYTES} bytes")
            return False
        head, rest = self._buffer[:end], self._buffer[end + 4 :]
        self._buffer = b""
        self._head(head)
        if 100 <= self.status < 200:
            return self.feed(rest) if rest else False
        self.headed = True
        self._body(rest)
        return self.done

    def end(self) -> bool:
        """Take the end of the stream; True when that makes the answer whole, False when it is cut off."""
        if self.headed and self._left is None:
            self.done = True
        return self.done

    def _head(self, head: bytes) -> None:
        lines = head.split(b"\r\n")
        status = lines[0].split(b" ", 2)
        if len(status) < 2 or not status[0].startswith(b"HTTP/1.") or not status[1].isdigit():
            raise MalformedAnswerError(f"status line {lines[0][:60]!r}")
        self.status = int(status[1])
        self.keep_alive = status[0] != b"HTTP/1.0"
        length: int | None = None
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            name = name.lower()
            if name == b"content-length":
                length = _length(value)
            elif name == b"transfer-encoding":
                self._chunked = value.strip().lower().endswith(b"chunked")
            elif name == b"connection":
                wishes = [wish.strip() for wish in value.lower().split(b",")]
                self.keep_alive = b"close" not in wishes and (self.keep_alive or b"keep-alive" in wishes)
            elif name == b"x-pod-name":
                self.instance = value.strip().decode("latin-1")
            elif name == b"x-version":
                self.version = value.strip().decode("latin-1")
        if self.status in _BODYLESS:
            length, self._chunked = 0, False
        self._left = 0 if self._chunked else length
        if self._left is None:
            self.keep_alive = False

    def _body(self, data: bytes) -> None:
        if self._chunked:
            self._chunks(data)
            return
        if self._left is None:
            self._take(data)
            return
        self._take(data[: self._left])
        if len(data) > self._left:
            self.keep_alive = False  # bytes after the answer: whatever they are, not ours
        self._left = max(0, self._left - len(data))
        self.done = self._left == 0

    def _chunks(self, data: bytes) -> None:
        self._buffer += data
        while not self.done:
            if self._left:
                part = self._buffer[: self._left]
                if not part:
                    return
                # The last two bytes of a chunk's span are its line end, not body.
                body_part = part if len(part) <= self._left - 2 else part[: max(0, self._left - 2)]
                self._take(body_part)
                self._buffer = self._buffer[len(part) :]
                self._left -= len(part)
                continue
            line, found, rest = self._buffer.partition(b"\r\n")
            if not found:
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise MalformedAnswerError("no end of a chunk's size")
                return
            try:
                size = int(line.partition(b";")[0], 16)
            except ValueError:
                raise MalformedAnswerError(f"chunk size {line[:40]!r}") from None
            if size:
                self._buffer, self._left = rest, size + 2
                continue
            trailer_end = 2 if rest.startswith(b"\r\n") else rest.find(b"\r\n\r\n") + 4
            if trailer_end < 4 and not rest.startswith(b"\r\n"):
                return  # the trailer is not whole yet; the "0" line stays in the buffer
            if len(rest) > trailer_end:
                self.keep_alive = False
            self._buffer = b""
            self.done = True

    def _take(self, data: bytes) -> None:
        if self._keep_body:
            self.body += data


def _length(value: bytes) -> int:
    if not value.strip().isdigit():
        raise MalformedAnswerError(f"content-length {value[:40]!r}")
    return int(value)
