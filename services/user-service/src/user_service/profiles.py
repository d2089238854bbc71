"""Profiles in MongoDB, and for a while in Redis: without Redis every reader asks MongoDB."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from ecochain_kit.stores import Cache, Index, Mongo
from ecochain_kit.tokens import Identity
from pydantic import BaseModel, ConfigDict, StringConstraints
from pymongo.errors import DuplicateKeyError
from redis.exceptions import RedisError

INDEXES = (Index(collection="profiles", keys=[("tenant", 1)]),)
CACHED_S = 30

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Phone = Annotated[str, StringConstraints(pattern=r"^\+?[0-9 ()-]{3,30}$")]
Address = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class NewProfile(BaseModel):
    """A profile as its owner states it."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    phone: Phone | None = None
    address: Address | None = None


class Change(BaseModel):
    """What of a profile changes; what is left out stays, null removes."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    phone: Phone | None = None
    address: Address | None = None


class Profile(BaseModel):
    """A profile."""

    user_id: str
    name: str
    phone: str | None
    address: str | None
    updated: datetime


class Profiles:
    """Every user's own profile. A profile of another tenant is none."""

    def __init__(self, mongo: Mongo, cache: Cache | None) -> None:
        self._profiles = mongo.database["profiles"]
        self._redis = cache.redis if cache else None

    async def put(self, owner: Identity, profile: NewProfile) -> Profile:
        """Store a whole profile."""
        fields = {**profile.model_dump(), "tenant": owner.tenant, "updated": datetime.now(UTC)}
        try:
            await self._profiles.replace_one({"_id": owner.user_id}, fields, upsert=True)
        except DuplicateKeyError:  # Two first ones at once: the other has made it, so this one replaces.
            await self._profiles.replace_one({"_id": owner.user_id}, fields, upsert=True)
        stored = _profile({"_id": owner.user_id, **fields})
        await self._remember(stored, owner.tenant)
        return stored

    async def change(self, owner: Identity, fields: dict[str, Any]) -> Profile | None:
        """Change some fields; return the profile, or None where there is none."""
        found = await self._profiles.find_one_and_update(
            {"_id": owner.user_id}, {"$set": {**fields, "updated": datetime.now(UTC)}}, return_document=True
        )
        if not found:
            return None
        stored = _profile(found)
        await self._remember(stored, owner.tenant)
        return stored

    async def get(self, tenant: str, user_id: str) -> tuple[Profile | None, bool]:
        """Return the profile or None, and whether it was had without Redis that should be there."""
        key, lost = f"profile:{tenant}:{user_id}", False
        if self._redis is not None:
            try:
                kept = await self._redis.get(key)
            except (RedisError, OSError):
                kept, lost = None, True
            if kept:
                return Profile.model_validate_json(kept), False
        found = await self._profiles.find_one({"_id": user_id, "tenant": tenant})
        profile = _profile(found) if found else None
        if profile and self._redis is not None and not lost:
            try:
                # Only where there is none: what was read may have been replaced since, and then is there.
                await self._redis.set(key, profile.model_dump_json(), ex=CACHED_S, nx=True)
            except (RedisError, OSError):
                lost = True
        return profile, lost

    async def remove(self, owner: Identity) -> None:
        """Remove a profile; one that is gone is removed already."""
        await self._profiles.delete_one({"_id": owner.user_id})
        await self._forget(owner.user_id, owner.tenant)

    async def remove_tenant(self, tenant: str) -> int:
        """Remove every profile of a tenant; return how many there were."""
        users = [one["_id"] async for one in self._profiles.find({"tenant": tenant}, {"_id": 1})]
        removed = await self._profiles.delete_many({"tenant": tenant})
        for user_id in users:
            await self._forget(user_id, tenant)
        return int(removed.deleted_count)

    async def _remember(self, profile: Profile, tenant: str) -> None:
        if self._redis is not None:
            try:
                await self._redis.set(
                    f"profile:{tenant}:{profile.user_id}", profile.model_dump_json(), ex=CACHED_S
                )
            except (RedisError, OSError):
                return

    async def _forget(self, user_id: str, tenant: str) -> None:
        if self._redis is not None:
            try:
                await self._redis.delete(f"profile:{tenant}:{user_id}")
            except (RedisError, OSError):
                return  # A cache that cannot be reached serves nobody; what it has expires soon.


def _profile(found: dict[str, Any]) -> Profile:
    return Profile(
        user_id=found["_id"], **{name: found[name] for name in ("name", "phone", "address", "updated")}
    )
