"""Tenants and users in MongoDB. An address belongs to one user of a tenant, which an index ensures."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from ecochain_kit.problems import Problem
from ecochain_kit.stores import Document, Index, Mongo
from ecochain_kit.tokens import Role
from pymongo.errors import DuplicateKeyError

from auth_service.bodies import PUBLIC

INDEXES = (Index(collection="users", keys=[("tenant", 1), ("email", 1)], unique=True),)


class Users:
    """Who may log in."""

    def __init__(self, mongo: Mongo) -> None:
        self._tenants = mongo.database["tenants"]
        self._users = mongo.database["users"]

    async def new_tenant(self, name: str) -> str:
        """Make a tenant; return its id."""
        tenant = uuid.uuid4().hex
        await self._tenants.insert_one({"_id": tenant, "name": name, "created": datetime.now(UTC)})
        return tenant

    async def tenant_exists(self, tenant: str) -> bool:
        """Tell whether there is such a tenant; the public one always is."""
        return tenant == PUBLIC or await self._tenants.find_one({"_id": tenant}) is not None

    async def add(self, tenant: str, email: str, role: Role, password: dict[str, Any]) -> Document:
        """Add a user; raises Problem 409 if the address is taken."""
        user = {
            "_id": str(uuid.uuid4()),
            "tenant": tenant,
            "email": email,
            "role": role,
            "password": password,
            "created": datetime.now(UTC),
        }
        try:
            await self._users.insert_one(user)
        except DuplicateKeyError as error:
            raise Problem(409, "email-taken", "a user with this address is registered already") from error
        return user

    async def by_email(self, tenant: str, email: str) -> Document | None:
        """Return the user of that address, or None."""
        return await self._users.find_one({"tenant": tenant, "email": email})

    async def by_id(self, user_id: str) -> Document | None:
        """Return the user of that id, or None."""
        return await self._users.find_one({"_id": user_id})

    async def remove_tenant(self, tenant: str) -> int:
        """Remove a tenant, then its users, since nobody can join it any more; return how many there were."""
        await self._tenants.delete_one({"_id": tenant})
        removed = await self._users.delete_many({"tenant": tenant})
        return int(removed.deleted_count)
