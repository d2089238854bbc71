"""The routes of user-service, and its start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from ecochain_kit import server
from ecochain_kit.application import degraded
from ecochain_kit.bodies import Removed
from ecochain_kit.problems import Problem, declared
from ecochain_kit.settings import Settings
from ecochain_kit.tokens import Admin, Caller, Identity
from fastapi import APIRouter, Path, Response
from starlette.types import ASGIApp

from user_service.profiles import INDEXES, Change, NewProfile, Profile, Profiles

UserId = Annotated[str, Path(pattern=r"^[0-9A-Za-z-]{1,64}$")]


def _assemble(parts: server.Parts[Settings]) -> Sequence[APIRouter]:
    profiles = Profiles(parts.mongo(*INDEXES), parts.cache())
    changes = parts.metrics.counter("ecochain_profile_changes_total", "Profiles stored or changed.", "kind")
    router = APIRouter(prefix="/users", tags=["users"])

    async def had(owner: Identity, user_id: str, response: Response) -> Profile:
        profile, without_cache = await profiles.get(owner.tenant, user_id)
        if without_cache:
            degraded(response, "redis")
        if profile is None:
            raise Problem(404, "no-profile", "there is no such profile")
        return profile

    @router.put("/me")
    async def put(caller: Caller, body: NewProfile) -> Profile:
        changes.labels("put").inc()
        return await profiles.put(caller, body)

    @router.patch("/me", responses=declared(404))
    async def patch(caller: Caller, body: Change) -> Profile:
        fields = body.model_dump(exclude_unset=True)
        if "name" in fields and fields["name"] is None:
            wrong = {"field": "name", "detail": "a profile has a name"}
            raise Problem(422, "invalid-fields", "wrong fields: name", errors=[wrong])
        profile = await profiles.change(caller, fields)
        if profile is None:
            raise Problem(404, "no-profile", "there is no such profile")
        changes.labels("patch").inc()
        return profile

    @router.get("/me", responses=declared(404))
    async def mine(caller: Caller, response: Response) -> Profile:
        return await had(caller, caller.user_id, response)

    @router.get("/{user_id}")
    async def get(caller: Caller, user_id: UserId, response: Response) -> Profile:
        if user_id != caller.user_id and caller.role != "admin":
            raise Problem(403, "forbidden", "this is another user's profile")
        return await had(caller, user_id, response)

    @router.delete("/me", status_code=204)
    async def remove(caller: Caller) -> None:
        await profiles.remove(caller)

    @router.delete("/tenant")
    async def remove_tenant(caller: Admin) -> Removed:
        return Removed(removed={"profiles": await profiles.remove_tenant(caller.tenant)})

    return [router]


def main(wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until told to stop; return the exit status."""
    return server.serve("user-service", Settings, _assemble, wrap)
