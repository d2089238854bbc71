"""What goes in and out, checked at the edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from collection_service.steps import Status

WasteType = Literal["plastic", "paper", "glass", "metal", "organic"]
Kilograms = Annotated[float, Field(gt=0, le=10_000, allow_inf_nan=False)]
Address = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Note = Annotated[str, StringConstraints(max_length=1000)]


def _storable(moment: datetime) -> datetime:
    """Refuse what no calendar of the store holds, and the past; a minute's grace for clocks that differ."""
    try:
        utc = moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("expected a time within the years 1 to 9999") from error
    if utc < datetime.now(UTC) - timedelta(minutes=1):
        raise ValueError("expected a time that is not past")
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)


Coming = Annotated[AwareDatetime, AfterValidator(_storable)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPickup(_Body):
    """A request; without an address the profile's is taken."""

    waste_type: WasteType
    weight_kg: Kilograms
    address: Address | None = None
    note: Note | None = None


class Schedule(_Body):
    """When it is to be collected."""

    at: Coming


class Completion(_Body):
    """How much was collected."""

    collected_kg: Kilograms


class Passed(BaseModel):
    """A state that a pickup came into, when, and by whom."""

    status: Status
    at: datetime
    by: str


class Pickup(BaseModel):
    """A pickup. Its address is null while profiles could not be had; it has one from its scheduling on."""

    id: str
    status: Status
    owner: str
    collector: str | None
    waste_type: WasteType
    weight_kg: float
    address: str | None
    note: str | None
    scheduled_for: datetime | None
    collected_kg: float | None
    created: datetime
    history: list[Passed]


class Page(BaseModel):
    """A page of pickups, newest first; `next` is the cursor of the next one."""

    items: list[Pickup]
    next: str | None


class RemovedPickups(BaseModel):
    """How many there were."""

    pickups: int


class Removal(BaseModel):
    """What was removed."""

    removed: RemovedPickups
