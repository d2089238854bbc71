"""Tokens, and credential records sealed by the service's secret.

This version has no store, and a replica's memory would be one that its siblings cannot see: a user
registered on one would be unknown to the next. So the service keeps nothing. `register` returns, beside
the token, the user's credential record, signed; `login` takes it back together with the password, and
any replica that holds the secret can check both. The record holds a keyed hash of the password: without
the secret it cannot be guessed against. What follows: no list of users, and no refusal of an address
registered twice (each registration is a user of its own).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
import uuid
from dataclasses import dataclass
from typing import Any

import jwt

ALGORITHM = "HS256"
ISSUER = "ecochain/auth-service"
TOKEN_AUDIENCE = "ecochain"  # noqa: S105 -- an audience, not a secret
RECORD_AUDIENCE = "ecochain/auth-service/credential"


class RefusedError(Exception):
    """A token, a record or a password is not accepted; the message is safe to show."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whom a token speaks for, and until when (Unix seconds)."""

    user_id: str
    email: str
    expires_s: int


class Signer:
    """Issues and checks tokens and credential records with one secret; keeps nothing else."""

    def __init__(self, secret: bytes, *, ttl_s: int, scrypt_log2_n: int) -> None:
        self._secret = secret
        self._pepper = hmac.digest(secret, b"ecochain/auth-service/pepper", "sha256")
        self._ttl_s, self._log2_n = ttl_s, scrypt_log2_n

    @property
    def ttl_s(self) -> int:
        """Return how long a new token is valid, in seconds."""
        return self._ttl_s

    def token(self, user_id: str, email: str) -> str:
        """Issue a token."""
        now = int(time.time())
        claims = {"sub": user_id, "email": email, "iat": now, "exp": now + self._ttl_s}
        return self._signed({**claims, "jti": secrets.token_hex(8)}, TOKEN_AUDIENCE)

    def check(self, token: str) -> Identity:
        """Return whom the token speaks for; raises RefusedError if it is forged, expired or none."""
        claims = self._opened(token, TOKEN_AUDIENCE, ["exp", "iat", "sub"])
        return Identity(user_id=claims["sub"], email=claims["email"], expires_s=claims["exp"])

    def register(self, email: str, password: str) -> tuple[str, str]:
        """Return a new user's id and credential record. Slow on purpose: call it off the event loop."""
        user_id, salt = str(uuid.uuid4()), secrets.token_bytes(16)
        record = {
            "sub": user_id,
            "email": email,
            "salt": base64.b64encode(salt).decode(),
            "log2_n": self._log2_n,
            "hash": self._hash(password, salt, self._log2_n),
        }
        return user_id, self._signed(record, RECORD_AUDIENCE)

    def login(self, email: str, password: str, record: str) -> str:
        """Return the user's id. Slow on purpose: call it off the event loop. Raises RefusedError."""
        kept = self._opened(record, RECORD_AUDIENCE, ["sub"])
        given = self._hash(password, base64.b64decode(kept["salt"]), kept["log2_n"])
        same_user = hmac.compare_digest(kept["email"].encode(), email.encode())
        if not hmac.compare_digest(kept["hash"], given) or not same_user:
            raise RefusedError("the address, the password and the credential do not belong together")
        return str(kept["sub"])

    def _hash(self, password: str, salt: bytes, log2_n: int) -> str:
        slow = hashlib.scrypt(password.encode(), salt=salt, n=1 << log2_n, r=8, p=1, maxmem=1 << 28)
        return hmac.digest(self._pepper, slow, "sha256").hex()

    def _signed(self, claims: dict[str, object], audience: str) -> str:
        return jwt.encode({**claims, "iss": ISSUER, "aud": audience}, self._secret, ALGORITHM)

    def _opened(self, text: str, audience: str, required: list[str]) -> dict[str, Any]:
        try:
            claims: dict[str, Any] = jwt.decode(
                text,
                self._secret,
                [ALGORITHM],
                audience=audience,
                issuer=ISSUER,
                options={"require": required},
            )
        except jwt.ExpiredSignatureError as error:
            raise RefusedError("the token has expired") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise RefusedError("not a token or record that this service issued") from error
        return claims
