"""What the environment variables say, checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SHORTEST_SECRET_BYTES = 32  # RFC 7518, 3.2: an HS256 key has at least the size of its hash.
PASSED_THROUGH = ("ENVIRONMENT", "AWS_REGION", "STORAGE_BUCKET", "EKS_CLUSTER")


class BadSettingError(Exception):
    """An environment variable is wrong; the message names it, and never a secret's value."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The service's configuration; `platform` is what provisioning passes through to GET /info."""

    port: int
    metrics_port: int
    version: str
    pod_name: str
    jwt_secret: bytes
    token_ttl_s: int
    scrypt_log2_n: int
    dependencies: tuple[tuple[str, int], ...]
    platform: Mapping[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the variables; raises BadSettingError that names the variable, expected and got."""
        secret = environment.get("JWT_SECRET", "").encode(errors="surrogateescape")
        if len(secret) < SHORTEST_SECRET_BYTES:
            raise BadSettingError(
                f"JWT_SECRET: expected at least {SHORTEST_SECRET_BYTES} bytes, got {len(secret)}"
            )
        return cls(
            port=_whole(environment, "PORT", 3000, 0, 65535),
            metrics_port=_whole(environment, "METRICS_PORT", 9090, 0, 65535),
            version=_header_safe(environment, "VERSION", "unversioned"),
            pod_name=_header_safe(environment, "POD_NAME", "unknown"),
            jwt_secret=secret,
            token_ttl_s=_whole(environment, "TOKEN_TTL_S", 3600, 1, 7 * 24 * 3600),
            scrypt_log2_n=_whole(environment, "SCRYPT_LOG2_N", 14, 10, 17),
            dependencies=_addresses(environment, "REQUIRED_DEPENDENCIES"),
            platform={name: environment[name] for name in PASSED_THROUGH if environment.get(name)},
        )


def _whole(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    given = environment.get(name) or str(default)
    if not given.isascii() or not given.isdigit() or not low <= int(given) <= high:
        raise BadSettingError(f"{name}: expected a whole number from {low} to {high}, got {given!r}")
    return int(given)


def _header_safe(environment: Mapping[str, str], name: str, default: str) -> str:
    given = environment.get(name) or default
    if len(given) > 253 or not given.isascii() or not given.isprintable():
        raise BadSettingError(f"{name}: expected at most 253 printable ASCII characters, got {given!r}")
    return given


def _addresses(environment: Mapping[str, str], name: str) -> tuple[tuple[str, int], ...]:
    """Read "host:port,host:port": what must accept a connection before the service is ready."""
    found = []
    for part in filter(None, (part.strip() for part in environment.get(name, "").split(","))):
        host, _, port = part.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise BadSettingError(f"{name}: expected host:port, got {part!r}")
        found.append((host, int(port)))
    return tuple(found)
