"""What a chart renders to with the values of an environment, and a copy of all charts to sabotage."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chart_schemas import CHARTS, SERVICES, STORES

from clients.helm import Helm

DIGEST = "sha256:" + "ab" * 32
PINNED = {"image": {"digest": DIGEST}}
ENVIRONMENTS = ("lab", "staging", "production")
# A store outside the lab is Atlas or ElastiCache.
SHIPPED = [(chart, environment) for chart in SERVICES for environment in ENVIRONMENTS] + [
    (chart, "lab") for chart in STORES
]


def values_file(chart: str, environment: str, charts: Path = CHARTS) -> Path:
    return charts.parent / "values" / environment / f"{chart}.yaml"


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """The objects of one chart in one environment."""

    chart: str
    environment: str
    text: str
    documents: list[dict[str, Any]]

    @classmethod
    def of(cls, helm: Helm, chart: str, environment: str, charts: Path = CHARTS, **values: Any) -> Rendered:
        """Render with an image pinned by digest."""
        files = [values_file(chart, environment, charts)]
        manifest = helm.render_check(chart, charts / chart, values_files=files, values={**PINNED, **values})
        return cls(chart=chart, environment=environment, text=manifest.text, documents=manifest.documents())

    def every(self, kind: str) -> list[dict[str, Any]]:
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        (found,) = self.every(kind)
        return found

    @cached_property
    def workload(self) -> dict[str, Any]:
        return dict(self.one("StatefulSet" if self.chart in STORES else "Deployment")["spec"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.workload["template"]["metadata"]["labels"])

    @property
    def annotations(self) -> dict[str, str]:
        return dict(self.workload["template"]["metadata"].get("annotations", {}))

    @property
    def pod(self) -> dict[str, Any]:
        return dict(self.workload["template"]["spec"])

    @property
    def container(self) -> dict[str, Any]:
        (found,) = self.pod["containers"]
        return dict(found)

    @property
    def variables(self) -> dict[str, dict[str, Any]]:
        return {item["name"]: item for item in self.container.get("env", [])}


@dataclass(frozen=True, kw_only=True)
class Sabotage:
    """A change to one file under helm/, of a text that occurs exactly once."""

    chart: str
    file: str
    old: str
    new: str
    environment: str = "lab"

    def rendered(self, helm: Helm, folder: Path, **values: Any) -> Rendered:
        """Render the chart, from a copy with the change."""
        shutil.copytree(CHARTS.parent, folder / "helm", symlinks=True)
        path = folder / "helm" / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.file}: {self.old!r} occurs {text.count(self.old)} times"
        path.write_text(text.replace(self.old, self.new))
        return Rendered.of(helm, self.chart, self.environment, folder / "helm/charts", **values)
