"""Sessions in Redis: a refresh token is good once, and one that comes back twice ends its whole family.

A stolen refresh token is used by the thief and by the owner. Whoever comes second shows the theft.
"""

from __future__ import annotations

import hashlib
import secrets

from ecochain_kit.problems import Problem
from ecochain_kit.stores import Cache
from redis.asyncio import Redis
from redis.exceptions import RedisError

# Atomic: of two that bring the same token at once, one gets the new one and the other ends the family.
_ROTATE = """
local kept = redis.call('HGET', KEYS[1], 'token')
if not kept then return false end
if kept ~= ARGV[1] then redis.call('DEL', KEYS[1]); return false end
redis.call('HSET', KEYS[1], 'token', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[3])
return redis.call('HGET', KEYS[1], 'user')
"""


class Sessions:
    """Refresh tokens. Without Redis none is issued (`begin` returns None), and none is accepted (503)."""

    def __init__(self, cache: Cache | None, ttl_s: int) -> None:
        self._redis = cache.redis if cache else None
        self._ttl_s = ttl_s

    async def begin(self, tenant: str, user_id: str) -> str | None:
        """Open a session; return its first refresh token, or None while Redis is lost."""
        if self._redis is None:
            return None
        family, secret = secrets.token_hex(12), secrets.token_urlsafe(24)
        try:
            async with self._redis.pipeline(transaction=True) as together:
                together.hset(_key(family), mapping={"token": _digest(secret), "user": user_id})
                together.expire(_key(family), self._ttl_s)
                together.sadd(_families(tenant), family)
                together.expire(_families(tenant), self._ttl_s)
                await together.execute()
        except (RedisError, OSError):
            return None
        return f"{family}.{secret}"

    async def user_of(self, token: str) -> str:
        """Return the id of a session's user; raises Problem 401 or 503."""
        try:
            user = await self._needed().hget(_key(token.partition(".")[0]), "user")
        except (RedisError, OSError) as error:
            raise _lost() from error
        if not user:
            raise unknown()
        return str(user)

    async def rotate(self, token: str) -> str:
        """Return the next refresh token; raises Problem 401 or 503. The given one is used up."""
        family, _, secret = token.partition(".")
        fresh = secrets.token_urlsafe(24)
        redis = self._needed()
        try:
            user = await redis.eval(
                _ROTATE, 1, _key(family), _digest(secret), _digest(fresh), str(self._ttl_s)
            )
        except (RedisError, OSError) as error:
            raise _lost() from error
        if not user:
            raise unknown()
        return f"{family}.{fresh}"

    async def end(self, token: str) -> None:
        """Close the session of a refresh token; an unknown one is closed already."""
        redis = self._needed()
        try:
            await redis.delete(_key(token.partition(".")[0]))
        except (RedisError, OSError) as error:
            raise _lost() from error

    async def end_tenant(self, tenant: str) -> int:
        """Close every session of a tenant; return how many there were."""
        redis = self._needed()
        try:
            families = await redis.smembers(_families(tenant))
            ended = await redis.delete(*(_key(str(family)) for family in families)) if families else 0
            await redis.delete(_families(tenant))
        except (RedisError, OSError) as error:
            raise _lost() from error
        return int(ended)

    def _needed(self) -> Redis:
        if self._redis is None:
            raise _lost()
        return self._redis


def unknown() -> Problem:
    """Return the 401 of a refresh token that is not good."""
    return Problem(401, "invalid-refresh-token", "the refresh token is unknown, used up or expired")


def _lost() -> Problem:
    return Problem(503, "sessions-unavailable", "sessions cannot be kept or read now; log in again later")


def _key(family: str) -> str:
    return f"session:{family[:64]}"


def _families(tenant: str) -> str:
    return f"sessions-of:{tenant}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
