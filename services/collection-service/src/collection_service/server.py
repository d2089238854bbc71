"""The service's routes and settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from ecochain_kit.application import degraded
from ecochain_kit.idempotency import Key, id_of, replayed
from ecochain_kit.metrics import Metrics
from ecochain_kit.outgoing import Upstream, UpstreamLostError
from ecochain_kit.paging import Cursor, Limit
from ecochain_kit.problems import Problem, declared
from ecochain_kit.server import Parts, serve
from ecochain_kit.settings import Settings, Url
from ecochain_kit.stores import Document
from ecochain_kit.tokens import Admin, Caller, Identity, allowed
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.types import ASGIApp

from collection_service.bodies import (
    Address,
    Completion,
    NewPickup,
    Page,
    Pickup,
    Removal,
    RemovedPickups,
    Schedule,
)
from collection_service.pickups import INDEXES, Pickups, shown
from collection_service.steps import ASSIGN, CANCEL, COMPLETE, SCHEDULE, STEPS, Step

_REPLAYED: dict[int | str, dict[str, Any]] = {200: {"model": Pickup, "description": "Replayed"}}
Collector = Annotated[Identity, allowed("collector")]


class CollectionSettings(Settings):
    """What only this service reads."""

    user_url: Url = Field("http://user-service:3000", alias="USER_URL")


class Profile(BaseModel):
    """What of a profile is of use here."""

    address: Address | None = None


class Counted:
    """The business series: what is asked for, which steps are taken, how much is collected."""

    def __init__(self, metrics: Metrics) -> None:
        self.requested = metrics.counter(
            "ecochain_pickups_requested_total", "Pickups asked for.", "waste_type"
        )
        self.steps = metrics.counter("ecochain_pickup_steps_total", "Steps of pickups taken.", "step")
        self.kilograms = metrics.counter(
            "ecochain_collected_kilograms_total", "Waste collected.", "waste_type"
        )
        self.addressless = metrics.counter(
            "ecochain_pickups_without_address_total", "Pickups accepted while profiles could not be had."
        )
        for step in STEPS:
            self.steps.labels(step.name)


def assemble(parts: Parts[CollectionSettings]) -> Sequence[APIRouter]:
    """Return the routes."""
    users = parts.upstream("user-service", parts.settings.user_url)
    return [_routes(Pickups(parts.mongo(*INDEXES)), users, Counted(parts.metrics))]


async def _address(request: Request, users: Upstream) -> str | None:
    """Return the address of the caller's profile; raises Problem 422 without one, UpstreamLostError."""
    answer = await users.call(request, "GET", "/users/me")
    if answer.status_code == 200:
        try:
            address = Profile.model_validate_json(answer.content).address
        except ValidationError as error:
            raise UpstreamLostError("user-service: an answer that is no profile") from error
        if address is not None:
            return address
    if answer.status_code in (200, 404):
        wrong = [{"field": "address", "detail": "expected an address here or in the profile"}]
        raise Problem(422, "invalid-fields", "wrong fields: address", errors=wrong)
    raise UpstreamLostError(f"user-service: status {answer.status_code}")


def _routes(pickups: Pickups, users: Upstream, counted: Counted) -> APIRouter:
    router = APIRouter(tags=["pickups"], prefix="/pickups")

    @router.post("", status_code=201, responses=_REPLAYED)
    async def ask_for(
        body: NewPickup, caller: Caller, request: Request, response: Response, key: Key = None
    ) -> Pickup:
        """Ask for a pickup. While profiles are away, one without an address gets it at its scheduling."""
        number = id_of(caller, key)
        found = await pickups.kept(number) if key is not None else None
        if found is None:
            address = body.address
            if address is None:
                try:
                    address = await _address(request, users)
                except UpstreamLostError:
                    counted.addressless.inc()
                    degraded(response, "user-service")
            found, fresh = await pickups.make(number, caller, body, address)
            if fresh:
                counted.requested.labels(body.waste_type).inc()
                return shown(found)
        replayed(found, body, response)
        return shown(found)

    @router.get("")
    async def mine(caller: Caller, limit: Limit = 20, cursor: Cursor = None) -> Page:
        """List what the caller asked for or, as a collector, took."""
        return await pickups.mine(caller, limit, cursor)

    @router.get("/open")
    async def waiting(caller: Collector, limit: Limit = 20, cursor: Cursor = None) -> Page:
        """List what waits for a collector."""
        return await pickups.open(caller, limit, cursor)

    @router.delete("/tenant")
    async def remove_tenant(caller: Admin) -> Removal:
        """Remove all pickups of the tenant."""
        return Removal(removed=RemovedPickups(pickups=await pickups.remove_tenant(caller.tenant)))

    @router.get("/{pickup_id}")
    async def one(pickup_id: str, caller: Caller) -> Pickup:
        """Return a pickup."""
        return shown(await pickups.seen(caller, pickup_id))

    def taken(step: Step, changed: Document) -> Pickup:
        counted.steps.labels(step.name).inc()
        return shown(changed)

    @router.post("/{pickup_id}/schedule", responses=declared(409))
    async def schedule(pickup_id: str, body: Schedule, caller: Caller, request: Request) -> Pickup:
        """Set when it is to be collected (its owner)."""
        found = await pickups.permitted(SCHEDULE, caller, pickup_id)
        fields: Document = {"scheduled_for": body.at}
        if found["address"] is None and found["status"] in SCHEDULE.before:
            try:
                fields["address"] = await _address(request, users)
            except UpstreamLostError as error:
                detail = "no address was given, and profiles cannot be had now"
                raise Problem(503, "user-service", detail, headers={"retry-after": "2"}) from error
        return taken(SCHEDULE, await pickups.take(SCHEDULE, caller, pickup_id, **fields))

    @router.post("/{pickup_id}/assign", responses=declared(409))
    async def assign(pickup_id: str, caller: Collector) -> Pickup:
        """Take it (a collector)."""
        return taken(ASSIGN, await pickups.take(ASSIGN, caller, pickup_id, collector=caller.user_id))

    @router.post("/{pickup_id}/complete", responses=declared(409))
    async def complete(pickup_id: str, body: Completion, caller: Collector) -> Pickup:
        """Say how much was collected (its collector)."""
        changed = await pickups.take(COMPLETE, caller, pickup_id, collected_kg=body.collected_kg)
        counted.kilograms.labels(changed["waste_type"]).inc(body.collected_kg)
        return taken(COMPLETE, changed)

    @router.post("/{pickup_id}/cancel", responses=declared(409))
    async def cancel(pickup_id: str, caller: Caller) -> Pickup:
        """Give it up (its owner)."""
        return taken(CANCEL, await pickups.take(CANCEL, caller, pickup_id))

    return router


def main(wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until SIGTERM; returns the exit status."""
    return serve("collection-service", CollectionSettings, assemble, wrap)
