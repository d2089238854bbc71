"""The service's routes and settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from ecochain_kit.problems import Problem, declared
from ecochain_kit.server import Parts, serve
from ecochain_kit.settings import Settings
from ecochain_kit.tokens import Caller
from fastapi import APIRouter, Request
from prometheus_client import Histogram
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.types import ASGIApp

from vision_service.decoding import UndecodableError, from_base64
from vision_service.inference import Inference
from vision_service.model import Model

LARGEST_BODY_BYTES = 4 * 1024 * 1024
LARGEST_BATCH = 16
PICTURES = ("image/png", "image/jpeg")
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_PICTURE_BODY = {"requestBody": {"required": True, "content": dict.fromkeys(PICTURES, _BINARY)}}

Label = Literal["glass", "metal", "organic", "paper", "plastic"]
Share = Annotated[float, Field(ge=0, le=1)]
Base64 = Annotated[str, StringConstraints(max_length=LARGEST_BODY_BYTES)]


class VisionSettings(Settings):
    """What only this service reads."""

    model_dir: Path = Field(Path("/opt/app/model"), alias="MODEL_DIR")
    threads: int = Field(2, ge=1, le=64, alias="INFERENCE_THREADS")


class Classification(BaseModel):
    """What a picture shows, how sure the model is, and which model it is."""

    label: Label
    confidence: Share
    probabilities: dict[Label, Share]
    model: str


class Refusal(BaseModel):
    """Why one picture of a batch was not classified."""

    type: str
    title: str
    status: int
    detail: str


class Refused(BaseModel):
    """A picture of a batch that was not classified; the others are not hurt by it."""

    problem: Refusal


class Batch(BaseModel):
    """Pictures in base64."""

    model_config = ConfigDict(extra="forbid")

    images: Annotated[list[Base64], Field(min_length=1, max_length=LARGEST_BATCH)]


class Results(BaseModel):
    """A result for each picture of a batch, in its order."""

    results: list[Classification | Refused]


class ModelCard(BaseModel):
    """The model that serves: `accuracy` is the ratio right of `held_out` pictures it was not taught."""

    version: str
    classes: list[Label]
    accuracy: Share
    held_out: int


def assemble(parts: Parts[VisionSettings]) -> Sequence[APIRouter]:
    """Read the model and return the routes; raises BadSettingError when there is none."""
    parts.largest_body_bytes = LARGEST_BODY_BYTES
    model = Model.read(parts.settings.model_dir)
    inference = Inference(model, parts.settings.threads, parts.metrics)
    sizes = Histogram(
        "ecochain_inference_batch_size",
        "Pictures in a request.",
        buckets=(1, 2, 4, 8, 12, 16),
        registry=parts.metrics.registry,
    )
    return [_routes(inference, sizes)]


def _routes(inference: Inference, sizes: Histogram) -> APIRouter:
    router = APIRouter(tags=["vision"], prefix="/vision")

    async def classified(data: bytes, request: Request) -> Classification:
        try:
            seen = await inference.classify(data, request.state.deadline_s)
        except UndecodableError as error:
            raise Problem(422, "undecodable", str(error)) from error
        return Classification(
            label=seen.label,  # type: ignore[arg-type]  # checked here against the classes
            confidence=seen.confidence,
            probabilities=seen.probabilities,  # type: ignore[arg-type]
            model=inference.model.version,
        )

    @router.post("/classifications", responses=declared(413, 415, 422, 503), openapi_extra=_PICTURE_BODY)
    async def classify(request: Request, _caller: Caller) -> Classification:
        """Tell the kind of waste in a PNG or JPEG."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type not in PICTURES:
            raise Problem(415, "media-type", f"expected {' or '.join(PICTURES)}, got {media_type[:100]!r}")
        sizes.observe(1)
        return await classified(await request.body(), request)

    @router.post("/batches", responses=declared(503))
    async def batch(body: Batch, request: Request, _caller: Caller) -> Results:
        """Tell the kind of waste in up to sixteen pictures; one that cannot be read spoils no other."""
        sizes.observe(len(body.images))

        async def one(text: str) -> Classification | Refused:
            try:
                return await classified(from_base64(text), request)
            except UndecodableError as error:
                problem = Problem(422, "undecodable", str(error))
            except Problem as error:
                problem = error
            return Refused(problem=Refusal.model_validate_json(problem.body()))

        return Results(results=await asyncio.gather(*(one(text) for text in body.images)))

    @router.get("/model")
    async def model(_caller: Caller) -> ModelCard:
        """Tell which model serves, and how well it did on pictures that it was not taught."""
        return ModelCard.model_validate(inference.model.model_dump(include=set(ModelCard.model_fields)))

    return router


def main(wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until SIGTERM; returns the exit status."""
    return serve("vision-service", VisionSettings, assemble, wrap)
