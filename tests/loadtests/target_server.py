"""A tiny auth-service on loopback, with the answers that a test asks for."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


class TargetServer:
    """Serves the journey; `behave` is `ok`, `fail` (status 500), `drop` (closes without answer) or `stall`.

    A stalled server answers nothing until `behave` is something else. Each answer takes `takes_s`.
    """

    def __init__(self, behave: str = "ok", *, takes_s: float = 0.0) -> None:
        self.behave = behave
        self.seen: list[str] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body are two small writes: without this the second waits for the client's ACK.
            disable_nagle_algorithm = True

            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                server.seen.append(f"{self.command} {self.path}")
                time.sleep(takes_s)
                while server.behave == "stall":
                    time.sleep(0.005)
                if server.behave == "drop" and self.command == "GET":
                    self.close_connection = True
                    return
                failing = server.behave == "fail"
                body = json.dumps({} if failing else {"token": "t"}).encode()
                self.send_response(500 if failing else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = _answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                return

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
