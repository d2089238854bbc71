"""What goes in and out, checked at the edge."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

WasteType = Literal["plastic", "paper", "glass", "metal", "organic"]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Cents = Annotated[int, Field(ge=0, le=1_000_000_000)]
Pieces = Annotated[int, Field(ge=0, le=1_000_000)]
Base64 = Annotated[str, StringConstraints(min_length=1, max_length=1024 * 1024)]


class _Body(BaseModel):
    # Strict, so that neither "3" nor 3.0 nor true is three pieces.
    model_config = ConfigDict(extra="forbid", strict=True)


class NewListing(_Body):
    """An offer; of a picture vision-service says which kind of waste it is."""

    title: Title
    price_cents: Cents
    stock: Pieces
    waste_type: WasteType | None = None
    picture: Base64 | None = None


class Change(_Body):
    """What of a listing changes; what is left out or null stays."""

    title: Title | None = None
    price_cents: Cents | None = None
    stock: Pieces | None = None


class NewOrder(_Body):
    """How many of what."""

    listing_id: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class Listing(BaseModel):
    """An offer; `classified` says that its kind of waste was seen in a picture."""

    id: str
    seller: str
    title: str
    price_cents: int
    stock: Pieces
    waste_type: WasteType
    classified: bool
    created: datetime


class Order(BaseModel):
    """An order; its total is at the price of its moment."""

    id: str
    listing_id: str
    buyer: str
    quantity: int
    total_cents: int
    status: Literal["placed", "cancelled"]
    created: datetime


class Listings(BaseModel):
    """A page of listings, newest first; `next` is the cursor of the next one."""

    items: list[Listing]
    next: str | None


class Orders(BaseModel):
    """A page of orders, newest first; `next` is the cursor of the next one."""

    items: list[Order]
    next: str | None


class RemovedThings(BaseModel):
    """How many there were."""

    listings: int
    orders: int


class Removal(BaseModel):
    """What was removed."""

    removed: RemovedThings
