"""How the real process of a service starts, drains and ends: what the kit gives to each of them."""

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
from pathlib import Path

import httpx
import pytest
from answers import PASSWORD
from platform_under_test import Platform, Replica, free_port, running, sources

from core.waiting import wait_until


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


@contextmanager
def two() -> Iterator[tuple[Replica, Replica]]:
    """Run two processes that answer /health, which is all that the clients ask."""
    with running("api", "user-service") as platform:
        yield platform.services["api"], platform.services["user-service"]


def stop(replica: Replica) -> int:
    """Send SIGTERM; return the exit status."""
    assert replica.process is not None
    replica.process.send_signal(signal.SIGTERM)
    return replica.process.wait(10)


def test_leaving_by_its_hook_fails_no_request() -> None:
    """As in a rolling update: one of two replicas leaves under load, its endpoint going during the hook."""
    with two() as (leaving, staying):
        clients = Clients(endpoints=[leaving.port, staying.port])
        with clients.at_work():
            wait_until("load on both replicas", lambda: clients.answered > 200, 10)
            endpoint_goes = threading.Timer(0.3, lambda: setattr(clients, "endpoints", [staying.port]))
            endpoint_goes.start()
            drained = httpx.get(f"http://127.0.0.1:{leaving.metrics_port}/drain?seconds=1", timeout=5)
            assert drained.status_code == 200
            assert httpx.get(f"{leaving.url}/ready").status_code == 503
            assert stop(leaving) == 0
            time.sleep(0.3)
    assert clients.failures == []


def test_leaving_without_the_hook_fails_requests() -> None:
    """The clients of these tests do see what goes wrong when the process ends before its endpoint."""
    with two() as (leaving, staying):
        clients = Clients(endpoints=[leaving.port, staying.port])
        with clients.at_work():
            wait_until("load on both replicas", lambda: clients.answered > 200, 10)
            assert stop(leaving) == 0
            wait_until("a refused client", lambda: "Refused" in " ".join(clients.failures), 5)


def test_a_request_in_flight_at_sigterm_is_answered_and_its_connection_closed() -> None:
    """SIGTERM waits for a request whose body is still coming."""
    with running("auth-service") as platform:
        service = platform.services["auth-service"]
        assert service.process is not None
        with socket.create_connection(("127.0.0.1", service.port), 5) as slow:
            body = json.dumps({"email": "a@b.c", "password": PASSWORD}).encode()
            head = "POST /auth/register HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
            slow.sendall(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
            wait_until("it to be in flight", lambda: "http_requests_in_flight 1.0" in series(service), 5)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert service.process.poll() is None
            slow.sendall(body[5:])
            answer = b"".join(iter(lambda: slow.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 201 ")
            assert b"connection: close" in answer.lower()
            assert service.process.wait(5) == 0


def series(service: Replica) -> str:
    """Return what Prometheus would scrape."""
    return httpx.get(f"http://127.0.0.1:{service.metrics_port}/metrics", timeout=5).text


def test_the_table_of_files_need_not_grow_while_it_serves(core_platform: Platform) -> None:
    """The kernel says how many fit."""
    for service in core_platform.services.values():
        status = Path(f"/proc/{service.process.pid}/status").read_text()
        (size,) = (line.split()[1] for line in status.splitlines() if line.startswith("FDSize:"))
        assert int(size) >= 1024


def test_what_is_not_http_gets_the_same_headers_as_every_answer(core_platform: Platform) -> None:
    """Even a malformed request is answered by a problem document that names version and pod."""
    with socket.create_connection(("127.0.0.1", core_platform.services["api"].port), 5) as client:
        client.sendall(b"NOT HTTP AT ALL\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"x-version: 1.2.3" in answer
    assert b"x-pod-name: api-0" in answer
    assert b"application/problem+json" in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"BREW /health HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\n\r\n", 400),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
        (b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ".ljust(64 * 1024 + 1, b"a"), 431),
        (
            b"GET /health HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 30_000 + b"\r\nConnection: close\r\n\r\n",
            200,
        ),
    ],
    ids=["an unknown method", "no host", "two hosts", "the old version", "an endless head", "a long head"],
)
def test_a_request_is_held_to_the_protocol(core_platform: Platform, request_: bytes, status: int) -> None:
    """What the parser lets pass and HTTP does not is refused, and a head has a largest size."""
    with socket.create_connection(("127.0.0.1", core_platform.services["api"].port), 5) as client:
        client.sendall(request_)
        answer = client.recv(65536)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    assert status == 200 or b"application/problem+json" in answer


def test_requests_are_counted_by_route_and_status(core_platform: Platform) -> None:
    """Labels are templates and known words, whatever a client sends."""
    auth = core_platform.services["auth-service"]
    with httpx.Client(base_url=auth.url) as client:
        client.get("/auth/keys")
        client.get(f"/nobody/{free_port()}")
        client.request("PROPFIND", "/auth/keys")
    told = series(auth)
    assert 'http_requests_total{method="GET",route="/auth/keys",status="200"}' in told
    assert 'route="unmatched",status="404"' in told
    assert 'method="OTHER",route="/auth/keys",status="405"' in told
    assert "http_request_duration_seconds_bucket" in told
    assert 'service_info{pod="auth-service-0",version="1.2.3"} 1.0' in told
    for name in ("ecochain_user_registrations_total", "ecochain_mongodb_command_seconds"):
        assert name in told


def test_the_digest_and_what_provisioning_passed_are_shown() -> None:
    """And nothing else of the environment."""
    with running("api", AWS_REGION="mars-north-1", IMAGE_DIGEST="sha256:abc") as platform:
        told = httpx.get(f"{platform.url()}/info").json()
    assert told == {
        "service": "api",
        "version": "1.2.3",
        "digest": "sha256:abc",
        "pod": "api-0",
        "platform": {"AWS_REGION": "mars-north-1"},
    }


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PORT", "many"),
        ("METRICS_PORT", "65536"),
        ("VERSION", "a\nb"),
        ("MONGODB_URI", "mongodb://user:hidden@/x y"),
        ("MONGODB_URI", ""),
        ("REDIS_URL", "http://user:hidden@x"),
        ("AUTH_URL", "auth-service"),
        ("REQUIRED_DEPENDENCIES", "redis"),
        ("JWT_KEYS_FILE", "/nowhere"),
        ("TOKEN_TTL_S", "0"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_line(
    core_platform: Platform, variable: str, value: str
) -> None:
    """Misuse is exit 2 and one JSON line that names the variable, and shows no secret."""
    good = {
        "JWT_KEYS_FILE": str(core_platform.keys_file),
        "MONGODB_URI": "mongodb://127.0.0.1:1/x",
        "PORT": str(free_port()),
        "METRICS_PORT": str(free_port()),
    }
    done = subprocess.run(
        [sys.executable, "-m", "auth_service"],
        env={**os.environ, **good, "PYTHONPATH": sources("auth-service"), variable: value},
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert variable in json.loads(done.stdout)["message"]
    assert "hidden" not in done.stdout
