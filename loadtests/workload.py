"""Workload files: journeys with their weights and the stages of a load, as data.

`python -m loadtests.workload` writes docs/schemas/workload.schema.json anew.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import SettingsError
from core.files import write_atomic
from core.places import checkout
from loadtests.journeys import JOURNEYS
from loadtests.plan import Plan, Stage
from loadtests.settings import LoadSettings

SCHEMA_FILE = Path("docs/schemas/workload.schema.json")
FOLDER = Path("loadtests/workloads")
MAX_RATE = 1_000_000.0


class Section(BaseModel):
    """Base of every table: unknown keys, wrong types, nan and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class StageModel(Section):
    """A span of the load."""

    name: str = Field(default="", description="what people call it")
    duration_s: Annotated[float, Field(gt=0, le=7 * 86_400)] = Field(description="how long it lasts")
    rate: Annotated[float, Field(ge=0, le=MAX_RATE)] = Field(description="requests/s at its start")
    to_rate: Annotated[float, Field(ge=0, le=MAX_RATE)] | None = Field(
        default=None, description="requests/s at its end, reached evenly; without, the rate stays"
    )


class Workload(Section):
    """One workload, as in loadtests/workloads/<name>.yaml."""

    description: str = Field(default="", description="what it is for")
    journeys: dict[str, Annotated[int, Field(gt=0, le=1000)]] = Field(
        min_length=1, description="the journeys and the weight of each"
    )
    users: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=20, description="how many requests may be under way at once"
    )
    stages: tuple[StageModel, ...] = Field(
        min_length=1, strict=False, description="the load's shape, one stage after the other"
    )
    request_timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        default=2.0, description="s until a request is given up"
    )
    max_requests: Annotated[int, Field(gt=0, le=100_000_000)] = Field(
        default=1_000_000, description="the load ends after so many requests"
    )
    thresholds: tuple[str, ...] = Field(
        default=("error_ratio<1%",),
        min_length=1,
        strict=False,
        description="what fails the run, such as p95<250ms or error_ratio<1%",
    )

    @classmethod
    def read(cls, name: str) -> Self:
        """Read the workload of this name, or the file of this path.

        Raises SettingsError naming the file, the key, what was expected and what was got.
        """
        path = find(name)
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise SettingsError(path, "(whole file)", "a readable YAML file", reason) from None
        if not isinstance(data, dict):
            raise SettingsError(path, "(whole file)", "a mapping with journeys and stages", data)
        try:
            made = cls.model_validate(data)
        except ValidationError as error:
            raise _refusal(path, error) from None
        unknown = sorted(set(made.journeys) - JOURNEYS.keys())
        if unknown:
            raise SettingsError(path, "journeys", f"some of {sorted(JOURNEYS)}", unknown[0])
        plan_stages = made.plan_stages()
        if sum(stage.arrivals(stage.duration_s) for stage in plan_stages) < 1:
            raise SettingsError(path, "stages", "at least one request in all", "rates of zero or too low")
        return made

    def plan_stages(self, *, rate: float | None = None, duration_s: float | None = None) -> tuple[Stage, ...]:
        """Return the stages, stretched to `duration_s` in all and scaled to `rate` at the peak if given."""
        whole_s = sum(stage.duration_s for stage in self.stages)
        peak = max(max(stage.rate, stage.to_rate or 0.0) for stage in self.stages)
        stretch = 1.0 if duration_s is None else duration_s / whole_s
        scale = 1.0 if rate is None or not peak else rate / peak
        return tuple(
            Stage(
                duration_s=stage.duration_s * stretch,
                rate=stage.rate * scale,
                to_rate=None if stage.to_rate is None else stage.to_rate * scale,
            )
            for stage in self.stages
        )

    def settings(
        self,
        *,
        workers: int = 1,
        users: int | None = None,
        rate: float | None = None,
        duration_s: float | None = None,
        seed: int = 0,
    ) -> LoadSettings:
        """Return the load's settings; raises MisuseError when nothing would be sent."""
        stages = self.plan_stages(rate=rate, duration_s=duration_s)
        Plan(stages)
        return LoadSettings(
            stages=stages,
            users=self.users if users is None else users,
            journeys=dict(self.journeys),
            workers=workers,
            max_requests=self.max_requests,
            request_timeout_s=self.request_timeout_s,
            seed=seed,
        )


def _refusal(path: Path, error: ValidationError) -> SettingsError:
    """Return one error; an unknown key comes first, since it is why another one is missing."""
    problems = error.errors(include_url=False)
    problem = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    where = [str(part) for part in problem["loc"] if part != "[key]"]
    expected, got = problem["msg"].removeprefix("Input should be "), problem["input"]
    table = StageModel if where[0] == "stages" and len(where) > 1 else Workload
    if problem["type"] == "extra_forbidden":
        expected, got = f"one of the keys {', '.join(table.model_fields)}", where[-1]
    elif problem["type"] == "missing":
        expected, got = str(table.model_fields[where[-1]].description), None
    return SettingsError(path, ".".join(where), expected, got)


def find(name: str) -> Path:
    """Return the file of a workload; SettingsError names the ones there are."""
    folder = checkout() / FOLDER
    for path in (Path(name), folder / f"{name}.yaml"):
        if path.is_file():
            return path
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    raise SettingsError(name, "--workload", f"a file, or one of {', '.join(known)}", "no such file")


def schema() -> dict[str, Any]:
    """Return the JSON schema of a workload file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Workload.model_json_schema()}


def write_schema(file: Path | None = None) -> Path:
    """Write the schema to `file` (default: docs/schemas/ of the checkout) and return the path."""
    file = file if file is not None else checkout() / SCHEMA_FILE
    write_atomic(file, json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
    return file


if __name__ == "__main__":
    write_schema()
