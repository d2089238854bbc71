"""Defects inside: where the services talk to MongoDB, and where they verify tokens."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode
from collections.abc import Callable
from json import loads
from typing import Any

import jwt
from defective_app import MEMORY, active
from jwt.exceptions import ExpiredSignatureError, PyJWTError

# How long a broken check lets others pass between reading and writing.
_GAP_S = 0.05
# How the condition begins that each of these leaves out of the write, because it has looked before.
_LOOKS_BEFORE = {
    "looks-before-it-sells": "stock",
    "looks-before-it-assigns": "status",
    "looks-before-it-cancels": "returned.",
}
_WRITES = ("find_one_and_update", "update_one", "find_one_and_replace", "replace_one")


def _careless(write: Callable[..., Any]) -> Callable[..., Any]:
    """Return a conditional write with the active defect: its condition and its change come apart."""

    async def written(self: Any, filter: Any, *arguments: Any, **options: Any) -> Any:  # noqa: A002
        name = active()
        condition = _LOOKS_BEFORE.get(name, "nothing")
        left = {k: v for k, v in filter.items() if not k.startswith(condition)}
        if left != filter and await self.find_one(filter) is not None:
            await asyncio.sleep(_GAP_S)
            filter = left  # noqa: A001
        if name == "sells-what-is-not-there" and "stock" in filter:
            filter = {**filter, "stock": {"$gte": 1}}  # noqa: A001
        return await write(self, filter, *arguments, **options)

    return written


def _lenient(verify: Callable[..., Any]) -> Callable[..., Any]:
    """Return a verification with the active defect: it takes what it must refuse."""

    def verified(self: Any, token: Any, *arguments: Any, **options: Any) -> Any:
        text = token.decode() if isinstance(token, bytes) else token
        name = active()
        signed, _, signature = text.rpartition(".")
        try:
            claims = verify(self, token, *arguments, **options)
        except ExpiredSignatureError:
            if name == "takes-expired-tokens":
                return _read(text)
            raise
        except PyJWTError:
            taken = {
                "takes-unsigned-tokens": not signature,
                # a cache of good tokens whose key leaves out the signature, or has nothing else
                "remembers-claims-without-signature": bool(signature) and ("signed", signed) in MEMORY,
                "remembers-signature-without-claims": bool(signature) and ("signature", signature) in MEMORY,
            }
            if taken.get(name):
                return _read(text)
            raise
        MEMORY["signed", signed] = MEMORY["signature", signature] = True
        return claims

    return verified


def _read(token: str) -> dict[str, Any]:
    header, claims, _ = (part + "=" * (-len(part) % 4) for part in token.split("."))
    return {
        "header": loads(urlsafe_b64decode(header)),
        "payload": loads(urlsafe_b64decode(claims)),
        "signature": b"",
    }


def install() -> None:
    """Put the defects in; each does something only while it is the active one."""
    jwt.PyJWT.decode_complete = _lenient(jwt.PyJWT.decode_complete)  # type: ignore[method-assign]
    try:
        from pymongo.asynchronous.collection import AsyncCollection  # noqa: PLC0415
    except ImportError:  # a service without MongoDB
        return
    for name in _WRITES:
        setattr(AsyncCollection, name, _careless(getattr(AsyncCollection, name)))
