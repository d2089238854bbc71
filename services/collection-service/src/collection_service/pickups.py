"""Pickups in MongoDB: a step is one conditional update of one document, so of two at once one is taken."""

from __future__ import annotations

from typing import Any

from ecochain_kit.idempotency import fingerprint, is_id
from ecochain_kit.paging import now, page
from ecochain_kit.problems import Problem
from ecochain_kit.stores import Document, Index, Mongo
from ecochain_kit.tokens import Identity
from pymongo.errors import DuplicateKeyError

from collection_service.bodies import NewPickup, Page, Pickup
from collection_service.steps import OPEN, Step

INDEXES = (
    Index(collection="pickups", keys=[("tenant", 1), ("owner", 1), ("created", -1)]),
    Index(collection="pickups", keys=[("tenant", 1), ("status", 1), ("created", -1)]),
)


class Pickups:
    """Every tenant's pickups. Those of another tenant are not there."""

    def __init__(self, mongo: Mongo) -> None:
        self._pickups = mongo.database["pickups"]

    async def kept(self, number: str) -> Document | None:
        """Return the document of that id, or None."""
        return await self._pickups.find_one({"_id": number}) if is_id(number) else None

    async def make(
        self, number: str, owner: Identity, asked: NewPickup, address: str | None
    ) -> tuple[Document, bool]:
        """Keep a new pickup; return it, or the one that has its id already, and whether it is new."""
        created = now()
        document: Document = {
            "_id": number,
            "tenant": owner.tenant,
            "fingerprint": fingerprint(asked),
            "status": "requested",
            "owner": owner.user_id,
            "collector": None,
            **asked.model_dump(),
            "address": address,
            "scheduled_for": None,
            "collected_kg": None,
            "created": created,
            "history": [{"status": "requested", "at": created, "by": owner.user_id}],
        }
        try:
            await self._pickups.insert_one(document)
        except DuplicateKeyError:
            found = await self.kept(number)
            if found is None:  # Removed with its tenant in between.
                raise Problem(409, "removed", "this pickup was removed at this moment") from None
            return found, False
        return document, True

    async def seen(self, caller: Identity, number: str) -> Document:
        """Return a pickup that the caller may see; raises Problem 404 or 403.

        Its owner, its collector and the tenant's administrator may, and every collector while it is open.
        """
        found = await self._of_tenant(caller, number)
        open_to_collectors = caller.role == "collector" and found["status"] == OPEN
        if caller.user_id in (found["owner"], found["collector"]) or caller.role == "admin":
            return found
        if open_to_collectors:
            return found
        raise Problem(403, "forbidden", "this pickup is somebody else's")

    async def mine(self, owner: Identity, limit: int, cursor: str | None) -> Page:
        """Return what the caller asked for or, as a collector, took."""
        field = "collector" if owner.role == "collector" else "owner"
        return await self._page({"tenant": owner.tenant, field: owner.user_id}, limit, cursor)

    async def open(self, collector: Identity, limit: int, cursor: str | None) -> Page:
        """Return what waits for a collector in the tenant."""
        return await self._page({"tenant": collector.tenant, "status": OPEN}, limit, cursor)

    async def take(self, step: Step, caller: Identity, number: str, **fields: Any) -> Document:
        """Take the step and set the fields; raises Problem 404, 403, or 409 from another state."""
        found = await self.permitted(step, caller, number)
        passed = {"status": step.after, "at": now(), "by": caller.user_id}
        allowed = {"_id": number, "tenant": caller.tenant, "status": {"$in": sorted(step.before)}}
        if step.whose is not None:
            allowed[step.whose] = caller.user_id
        changed = await self._pickups.find_one_and_update(
            allowed,
            {"$set": {"status": step.after, **fields}, "$push": {"history": passed}},
            return_document=True,
        )
        if changed is None:
            found = await self._of_tenant(caller, number)
            raise Problem(409, "wrong-state", f"cannot {step.name} a pickup that is {found['status']}")
        return changed

    async def permitted(self, step: Step, caller: Identity, number: str) -> Document:
        """Return the pickup if the step is the caller's to take; raises Problem 404, or 403."""
        found = await self._of_tenant(caller, number)
        if step.whose is not None and found[step.whose] != caller.user_id:
            # Before anybody took it there is no collector whose it could be: that is a matter of state.
            if found[step.whose] is None and caller.role == "collector":
                raise Problem(409, "wrong-state", f"cannot {step.name} a pickup that is {found['status']}")
            raise Problem(403, "forbidden", f"only its {step.whose} may {step.name} this pickup")
        return found

    async def remove_tenant(self, tenant: str) -> int:
        """Remove every pickup of a tenant; return how many there were."""
        return int((await self._pickups.delete_many({"tenant": tenant})).deleted_count)

    async def _of_tenant(self, caller: Identity, number: str) -> Document:
        found = await self.kept(number)
        if found is None or found["tenant"] != caller.tenant:
            raise Problem(404, "not-found", "there is no such pickup")
        return found

    async def _page(self, wanted: Document, limit: int, cursor: str | None) -> Page:
        found, following = await page(self._pickups, wanted, limit, cursor)
        return Page(items=[shown(one) for one in found], next=following)


def shown(document: Document) -> Pickup:
    """Return a pickup as clients see it."""
    return Pickup.model_validate({**document, "id": document["_id"]})
