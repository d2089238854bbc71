"""What run.json says about a run (schema 1)."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import SettingsError

SCHEMA = 1


class RunInfo(BaseModel):
    """Who ran what, when, from which commit, and how it ended; later versions may add keys."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, serialize_by_alias=True)

    schema_number: int = Field(alias="schema")
    id: str
    environment: str
    commit: str | None
    dirty: bool | None
    versions: dict[str, str]
    images: dict[str, str]
    seed: int
    arguments: tuple[str, ...]
    clock_offset_s: float
    pid: int
    start_ticks: int
    started: str
    ended: str | None = None
    exit: int | None = None


def read_info(folder: Path) -> RunInfo:
    """Read a run folder's run.json.

    Raises SettingsError if there is none, or it is truncated, foreign or of another schema.
    """
    file = folder / "run.json"
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(folder, "run.json", "the folder of a run", "none there") from None
    except (OSError, ValueError) as error:
        raise SettingsError(file, "the file", "whole JSON", str(error)) from None
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise SettingsError(file, "schema", f"{SCHEMA}, the one this version reads", found)
    try:
        return RunInfo.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = ".".join(map(str, problem["loc"]))
        got = "nothing" if problem["type"] == "missing" else problem["input"]
        raise SettingsError(file, key, problem["msg"].removeprefix("Input should be "), got) from None
