"""Whom a request speaks for: ES256 tokens, checked with the public keys that auth-service publishes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import httpx
import jwt
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from ecochain_kit.problems import Problem

ALGORITHM, ISSUER = "ES256", "ecochain"
Role = Literal["citizen", "collector", "admin"]
KEPT_S, REFETCH_S, FETCH_TIMEOUT_S = 60.0, 5.0, 1.0


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whom a token speaks for, and until when (Unix seconds)."""

    user_id: str
    email: str
    tenant: str
    role: Role
    expires_s: int

    @classmethod
    def of(cls, claims: dict[str, Any]) -> Identity:
        """Return the identity of checked claims."""
        return cls(
            user_id=str(claims["sub"]),
            email=str(claims["email"]),
            tenant=str(claims["tenant"]),
            role=claims["role"],
            expires_s=int(claims["exp"]),
        )


KeyOf = Callable[[str], Awaitable[Any]]


class PublishedKeys:
    """The public keys of auth-service. While it is away, those that were fetched go on being used."""

    def __init__(self, auth_url: str) -> None:
        self._client = httpx.AsyncClient(base_url=auth_url, timeout=FETCH_TIMEOUT_S, trust_env=False)
        self._fetching = asyncio.Lock()
        self._keys: dict[str, Any] = {}
        self._fetched_s = self._tried_s = float("-inf")

    async def __call__(self, kid: str) -> Any:
        """Return the key of that id, or None; raises Problem 503 when no keys were ever had."""
        if self._wanting(kid):
            async with self._fetching:  # Whoever comes meanwhile waits for the keys, and is not refused.
                if self._wanting(kid):
                    self._tried_s = time.monotonic()
                    await self._fetch()
        if not self._keys:
            raise Problem(503, "keys-unavailable", "the keys that tokens are checked with cannot be had now")
        return self._keys.get(kid)

    def _wanting(self, kid: str) -> bool:
        now_s = time.monotonic()
        stale = now_s - self._fetched_s > KEPT_S
        return (stale or kid not in self._keys) and (now_s - self._tried_s > REFETCH_S or not self._keys)

    async def _fetch(self) -> None:
        try:
            answer = await self._client.get("/auth/keys")
            answer.raise_for_status()
            keys = jwt.PyJWKSet.from_dict(answer.json()).keys
        except (httpx.HTTPError, ValueError, jwt.PyJWTError):
            return
        self._keys = {str(one.key_id): one.key for one in keys}
        self._fetched_s = time.monotonic()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def identify(token: str, key_of: KeyOf) -> Identity:
    """Return whom the token speaks for; raises Problem 401 if it is forged, expired or none."""
    try:
        kid = str(jwt.get_unverified_header(token).get("kid", ""))
        key = await key_of(kid)
        if key is None:
            raise refused("not a token that auth-service issued")
        required = ["exp", "iat", "sub", "email", "tenant", "role"]
        # Not iat: the clock of another node may be ahead of ours.
        options: Any = {"require": required, "verify_iat": False}
        claims = jwt.decode(token, key, [ALGORITHM], issuer=ISSUER, options=options)
        return Identity.of(claims)
    except jwt.ExpiredSignatureError as error:
        raise refused("the token has expired") from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise refused("not a token that auth-service issued") from error


def refused(detail: str) -> Problem:
    """Return the 401 that tells how to come back."""
    return Problem(401, "invalid-token", detail, headers={"www-authenticate": 'Bearer realm="ecochain"'})


_BEARER = HTTPBearer(auto_error=False, bearerFormat="JWT")


async def _caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
) -> Identity:
    if credentials is None:
        raise refused("expected the header Authorization: Bearer TOKEN")
    return await identify(credentials.credentials, request.app.state.key_of)


Caller = Annotated[Identity, Depends(_caller)]


def allowed(*roles: Role) -> Any:
    """Return the dependency that answers 403 to callers of another role."""

    async def check(caller: Caller) -> Identity:
        if caller.role not in roles:
            raise Problem(
                403, "forbidden", f"this is for the role {' or '.join(roles)}, not for {caller.role}"
            )
        return caller

    return Depends(check)


Admin = Annotated[Identity, allowed("admin")]
