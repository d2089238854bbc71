"""The signing keys: the first of the file signs, all of them verify. A changed file needs no restart.

To rotate: add the new key as the last, wait until every replica publishes it and every service has asked
again (a minute), move it to the front, and remove the old one when its last token has expired.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from ecochain_kit.logs import LOG
from ecochain_kit.settings import BadSettingError
from ecochain_kit.tokens import ALGORITHM, ISSUER

LOOK_EVERY_S = 2.0


class Keyring:
    """Signs tokens and knows the keys that they are checked with; reads its file again when it changes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._looked_s = time.monotonic()
        self._text = ""
        self._keys: dict[str, EllipticCurvePrivateKey] = {}
        self._read()

    def token(self, user: Mapping[str, str], ttl_s: int) -> str:
        """Issue a token that lives `ttl_s` seconds for a user {_id, email, tenant, role}."""
        self._look()
        kid, key = next(iter(self._keys.items()))
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "sub": user["_id"],
            **{name: user[name] for name in ("email", "tenant", "role")},
            "iat": now,
            "exp": now + ttl_s,
            "jti": secrets.token_hex(8),
        }
        return jwt.encode(claims, key, ALGORITHM, headers={"kid": kid})

    async def __call__(self, kid: str) -> Any:
        """Return the public key of that id, or None."""
        self._look()
        key = self._keys.get(kid)
        return key.public_key() if key else None

    def published(self) -> dict[str, list[dict[str, Any]]]:
        """Return the JSON Web Key Set of the public keys."""
        self._look()
        keys = []
        for kid, key in self._keys.items():
            public = jwt.get_algorithm_by_name(ALGORITHM).to_jwk(key.public_key(), as_dict=True)
            keys.append({**public, "kid": kid, "use": "sig", "alg": ALGORITHM})
        return {"keys": keys}

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now_s
        try:
            self._read()
        except BadSettingError as error:  # The keys at hand go on being good.
            LOG.error("keys not read again: %s", error)

    def _read(self) -> None:
        try:
            text = self._file.read_text()
            if text == self._text:
                return
            keys = {str(one["kid"]): _private(str(one["private_key"])) for one in json.loads(text)["keys"]}
        except (OSError, ValueError, KeyError, TypeError) as error:
            told = f"{type(error).__name__}"  # An error's own text could show a part of the file.
            raise BadSettingError(f"JWT_KEYS_FILE: {self._file} cannot be read: {told}") from None
        if not keys:
            raise BadSettingError(f"JWT_KEYS_FILE: {self._file} has no key")
        if self._keys:
            LOG.info("keys read again", extra={"fields": {"kids": list(keys)}})
        self._text, self._keys = text, keys


def _private(pem: str) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise TypeError("not a P-256 key")
    return key
