"""What the environment variables say, checked once at the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
)

PASSED_THROUGH = ("ENVIRONMENT", "AWS_REGION", "STORAGE_BUCKET", "EKS_CLUSTER")


class BadSettingError(Exception):
    """An environment variable is wrong; the message names it, and never its value: it may be a secret."""


def _addresses(given: str | tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    if not isinstance(given, str):
        return given
    found = []
    for part in filter(None, (part.strip() for part in given.split(","))):
        host, _, port = part.rpartition(":")
        if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError("expected host:port,host:port")
        found.append((host, int(port)))
    return tuple(found)


HeaderSafe = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]{1,253}$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+$")]
Addresses = Annotated[tuple[tuple[str, int], ...], BeforeValidator(_addresses)]


class Settings(BaseModel):
    """What every service reads; each adds its own. A field's alias is the variable's name."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=False)

    port: Port = Field(3000, alias="PORT")
    metrics_port: Port = Field(9090, alias="METRICS_PORT")
    version: HeaderSafe = Field("unversioned", alias="VERSION")
    digest: HeaderSafe = Field("unknown", alias="IMAGE_DIGEST")
    pod_name: HeaderSafe = Field("unknown", alias="POD_NAME")
    auth_url: Url = Field("http://auth-service:3000", alias="AUTH_URL")
    mongodb_uri: SecretStr | None = Field(None, alias="MONGODB_URI")
    redis_url: SecretStr | None = Field(None, alias="REDIS_URL")
    required_dependencies: Addresses = Field((), alias="REQUIRED_DEPENDENCIES")
    platform: Mapping[str, str] = {}

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables, an empty one as unset; raises BadSettingError that names each wrong one."""
        given = {name: value for name, value in environment.items() if value and name.isupper()}
        passed = {name: given[name] for name in PASSED_THROUGH if name in given}
        try:
            return cls.model_validate({**given, "platform": passed})
        except ValidationError as error:
            told = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise BadSettingError(told) from None
