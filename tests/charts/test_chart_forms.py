"""Helm's linter and kubeconform find nothing in what ships, and would have found a defect."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import kubernetes_schemas
import pytest
from chart_schemas import CHARTS
from rendered import PINNED, SHIPPED, Rendered, Sabotage, values_file

from clients.helm import Helm
from core.errors import CommandError
from core.places import checkout
from lab import programs


@dataclass(frozen=True, kw_only=True)
class Kubeconform:
    """The program, and where Kubernetes' schemas lie."""

    program: Path
    schemas: str

    def complaints(self, folder: Path, *texts: str) -> str:
        """Return what it says against these manifests; nothing if all are right."""
        folder.mkdir()
        for number, text in enumerate(texts):
            (folder / f"{number}.yaml").write_text(text)
        ended = subprocess.run(
            [str(self.program), "-strict", "-schema-location", self.schemas, str(folder)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert bool(ended.returncode) == bool(ended.stdout), ended.stderr
        return ended.stdout


@pytest.fixture(scope="module")
def kubeconform(tmp_path_factory: pytest.TempPathFactory) -> Kubeconform:
    """Return kubeconform with the schemas of the lab's Kubernetes."""
    folder = tmp_path_factory.mktemp("schemas")
    return Kubeconform(
        program=programs.ensure("kubeconform"),
        schemas=kubernetes_schemas.write(kubernetes_schemas.swagger(), folder),
    )


def test_every_object_is_of_the_clusters_form(
    kubeconform: Kubeconform, shipped: dict[tuple[str, str], Rendered], helm: Helm, tmp_path: Path
) -> None:
    """With everything that is optional switched on too."""
    everything = {
        "autoscaling": {"enabled": True},
        "temporarySpace": "16Mi",
        "vault": {"enabled": True, "secrets": {"database": "database/creds/user-service"}},
    }
    full = Rendered.of(helm, "user-service", "production", **everything)
    assert full.every("HorizontalPodAutoscaler")
    texts = [found.text for found in shipped.values()]
    assert kubeconform.complaints(tmp_path / "manifests", full.text, *texts) == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (("terminationGracePeriodSeconds:", "terminationGracePeriod:"), "terminationGracePeriod"),
        (("containerPort: {{ .Values.service.port }}", "containerPort: http"), "containerPort"),
        (("apiVersion: apps/v1", "apiVersion: extensions/v1beta1"), "could not find schema"),
    ],
)
def test_an_object_of_another_form_is_named(
    kubeconform: Kubeconform, helm: Helm, tmp_path: Path, change: tuple[str, str], named: str
) -> None:
    """A field that does not exist, a wrong type, and a kind that the cluster does not have."""
    file = "charts/service-library/templates/_deployment.tpl"
    broken = Sabotage(chart="api", file=file, old=change[0], new=change[1]).rendered(helm, tmp_path)
    assert named in kubeconform.complaints(tmp_path / "manifests", broken.text)


@pytest.mark.parametrize(("chart", "environment"), SHIPPED)
def test_helms_strict_linter_is_content(helm: Helm, chart: str, environment: str) -> None:
    """No finding in any environment."""
    helm.lint(CHARTS / chart, values_files=[values_file(chart, environment)], values=PINNED)


def test_helms_linter_would_complain(helm: Helm, tmp_path: Path) -> None:
    """A chart without a version is found."""
    shutil.copytree(CHARTS, tmp_path / "charts", symlinks=True)
    file = tmp_path / "charts/api/Chart.yaml"
    file.write_text(file.read_text().replace("\nversion: 0.1.0", ""))
    with pytest.raises(CommandError, match="version"):
        helm.lint(tmp_path / "charts/api", values_files=[values_file("api", "lab")], values=PINNED)


def test_what_git_tracks_is_all_that_a_chart_needs(helm: Helm, tmp_path: Path) -> None:
    """From a clean checkout every chart renders, without a download and without leaving a file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "helm"], cwd=checkout(), capture_output=True, check=True, text=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(checkout() / name, tmp_path / name, follow_symlinks=False)
    before = sorted(tmp_path.rglob("*"))
    for chart, environment in SHIPPED:
        if environment == "lab":
            Rendered.of(helm, chart, environment, tmp_path / "helm/charts")
    assert sorted(tmp_path.rglob("*")) == before
