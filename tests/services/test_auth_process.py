"""How the real process starts, drains and ends."""

import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.places import checkout
from core.waiting import wait_until

SECRET = "a-secret-of-this-test-and-nothing-else"


@dataclass(kw_only=True)
class Service:
    """A running replica."""

    process: subprocess.Popen[str]
    port: int
    metrics_port: int

    def get(self, path: str, *, port: int | None = None, timeout_s: float = 5) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready(self) -> bool:
        try:
            return self.get("/ready")[0] == 200
        except OSError:
            return False


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(**more: str) -> dict[str, str]:
    sources = checkout() / "services/auth-service/src"
    return {**os.environ, "PYTHONPATH": str(sources), "SCRYPT_LOG2_N": "10", "JWT_SECRET": SECRET, **more}


@contextmanager
def running(name: str = "auth-0") -> Iterator[Service]:
    port, metrics_port = free_port(), free_port()
    variables = environment(PORT=str(port), METRICS_PORT=str(metrics_port), VERSION="1.2.3", POD_NAME=name)
    process = subprocess.Popen(
        [sys.executable, "-m", "auth_service"], env=variables, stdout=subprocess.PIPE, text=True
    )
    service = Service(process=process, port=port, metrics_port=metrics_port)
    drain = threading.Thread(target=lambda: list(process.stdout or []), daemon=True)
    try:
        drain.start()
        wait_until("the service to be ready", service.ready, 20)
        yield service
    finally:
        process.kill()
        process.wait()
        drain.join()
        if process.stdout:
            process.stdout.close()


@dataclass(kw_only=True)
class Clients:
    """Half of them keep their connections, half use fresh ones; a new one goes to one of `endpoints`."""

    endpoints: list[int]
    failures: list[str] = field(default_factory=list)
    answered: int = 0

    @contextmanager
    def at_work(self, count: int = 6) -> Iterator[None]:
        stop = threading.Event()
        threads = [threading.Thread(target=self._work, args=(stop, start)) for start in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    def _work(self, stop: threading.Event, start: int) -> None:
        connection: http.client.HTTPConnection | None = None
        fresh = start % 2 == 1
        for turn in itertools.count(start):
            if stop.is_set():
                break
            if connection is None:
                port = self.endpoints[turn % len(self.endpoints)]
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
            try:
                connection.request("GET", "/health")
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
                connection = None
            else:
                self.answered += 1
                if answer.status != 200:
                    self.failures.append(f"status {answer.status}")
                if answer.will_close or fresh:
                    connection.close()
                    connection = None
            time.sleep(0.002)
        if connection:
            connection.close()


def test_leaving_by_its_hook_fails_no_request() -> None:
    """As in a rolling update: one of two replicas leaves under load, its endpoint going during the hook."""
    with running("auth-0") as leaving, running("auth-1") as staying:
        clients = Clients(endpoints=[leaving.port, staying.port])
        with clients.at_work():
            wait_until("load on both replicas", lambda: clients.answered > 200, 10)
            endpoint_goes = threading.Timer(0.3, lambda: setattr(clients, "endpoints", [staying.port]))
            endpoint_goes.start()
            assert leaving.get("/drain?seconds=1", port=leaving.metrics_port)[0] == 200
            leaving.process.send_signal(signal.SIGTERM)
            assert leaving.process.wait(10) == 0
            time.sleep(0.3)
    assert clients.failures == []


def test_leaving_without_the_hook_fails_requests() -> None:
    """The clients of these tests do see what goes wrong when the process ends before its endpoint."""
    with running("auth-0") as leaving, running("auth-1") as staying:
        clients = Clients(endpoints=[leaving.port, staying.port])
        with clients.at_work():
            wait_until("load on both replicas", lambda: clients.answered > 200, 10)
            leaving.process.send_signal(signal.SIGTERM)
            assert leaving.process.wait(10) == 0
            wait_until("a refused client", lambda: "Refused" in " ".join(clients.failures), 5)


def test_a_request_in_flight_at_sigterm_is_answered_and_its_connection_closed() -> None:
    """SIGTERM waits for a request whose body is still coming."""
    with running() as service, socket.create_connection(("127.0.0.1", service.port), 5) as slow:
        body = json.dumps({"email": "a@b.c", "password": "long enough"}).encode()
        head = "POST /auth/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
        slow.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
        wait_until(
            "the request to be in flight",
            lambda: "http_requests_in_flight 1.0" in service.get("/metrics", port=service.metrics_port)[1],
            5,
        )
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert service.process.poll() is None
        slow.sendall(body[5:])
        answer = b"".join(iter(lambda: slow.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 201 ")
        assert b"connection: close" in answer.lower()
        assert service.process.wait(5) == 0


def test_what_is_not_http_gets_the_same_headers_as_every_answer() -> None:
    """Even a malformed request is answered by a problem document that names version and pod."""
    with running() as service, socket.create_connection(("127.0.0.1", service.port), 5) as client:
        client.sendall(b"NOT HTTP AT ALL\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"x-version: 1.2.3" in answer
    assert b"x-pod-name: auth-0" in answer
    assert b"application/problem+json" in answer


def test_a_bad_setting_ends_the_start_with_one_line() -> None:
    """Misuse is exit 2 and one JSON line that names the variable."""
    done = subprocess.run(
        [sys.executable, "-m", "auth_service"],
        env=environment(JWT_SECRET="short"),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert "JWT_SECRET" in json.loads(done.stdout)["message"]
    assert done.stderr == ""
