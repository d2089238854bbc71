"""Passwords, kept as salted hashes that are slow on purpose."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from typing import Any

HASHES_AT_ONCE = 2  # Each takes 128 * 8 * 2^log2_n bytes: unbounded, a burst would be an OOM kill.


class Passwords:
    """Hashes off the event loop, few at a time."""

    def __init__(self, log2_n: int) -> None:
        self._log2_n = log2_n
        self._turn = asyncio.Semaphore(HASHES_AT_ONCE)
        # Whoever tries an address that nobody has waits as long as one who tries a wrong password.
        self._nobody: dict[str, Any] = {"salt": secrets.token_bytes(16), "log2_n": log2_n, "hash": b"\0" * 64}

    async def kept(self, password: str) -> dict[str, Any]:
        """Return what is kept of a new password."""
        salt = secrets.token_bytes(16)
        return {
            "salt": salt,
            "log2_n": self._log2_n,
            "hash": await self._hash(password, salt, self._log2_n),
        }

    async def right(self, password: str, kept: dict[str, Any] | None) -> bool:
        """Tell whether it is the password of `kept`; with None it never is, and takes as long."""
        known = kept or self._nobody
        given = await self._hash(password, bytes(known["salt"]), int(known["log2_n"]))
        return hmac.compare_digest(given, bytes(known["hash"])) and kept is not None

    async def _hash(self, password: str, salt: bytes, log2_n: int) -> bytes:
        def slow() -> bytes:
            return hashlib.scrypt(password.encode(), salt=salt, n=1 << log2_n, r=8, p=1, maxmem=1 << 28)

        async with self._turn:
            return await asyncio.to_thread(slow)
