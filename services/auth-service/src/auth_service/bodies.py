"""What clients send and get."""

from __future__ import annotations

from typing import Annotated, Literal

from ecochain_kit.tokens import Role
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

PUBLIC = "public"


def _lower(email: str) -> str:
    return email.lower()


Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$"),
    AfterValidator(_lower),
]
Password = Annotated[str, StringConstraints(min_length=8, max_length=128)]
TenantId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,64}$")]
RefreshToken = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewTenant(_Body):
    """A tenant, and its administrator."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    email: Email
    password: Password


class Registration(_Body):
    """A new user."""

    email: Email
    password: Password
    role: Literal["citizen", "collector"] = "citizen"
    tenant: TenantId = PUBLIC


class Login(_Body):
    """Who comes back; `ttl_s` asks for a token of a shorter life than usual."""

    email: Email
    password: Password
    tenant: TenantId = PUBLIC
    ttl_s: Annotated[int, Field(ge=1, strict=True)] | None = None


class Refresh(_Body):
    """A refresh token, good once."""

    refresh_token: RefreshToken


class Grant(BaseModel):
    """A token and what it is for; without a session there is no refresh token."""

    user_id: str
    tenant: str
    role: Role
    token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 -- a scheme, not a secret
    expires_in: int
    refresh_token: str | None


class Checked(BaseModel):
    """Whom a token speaks for."""

    user_id: str
    email: str
    tenant: str
    role: Role
    expires_at: int


class KeySet(BaseModel):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, str]]
