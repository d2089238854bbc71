"""The commit that a kept measurement is of."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import origin
from core.processes import run


def commit(folder: Path, path: str) -> None:
    """Write a file anew and commit it."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{file.read_text() if file.exists() else ''}changed\n")
    git(folder, "add", path)
    git(folder, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "-m", path)


def git(folder: Path, *args: str) -> None:
    run(["git", "-C", folder, *args], timeout_s=20)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a checkout with one commit."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "core/clock.py")
    monkeypatch.setattr(origin, "checkout", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "path",
    [
        "core/clock.py",
        "helm/charts/api/values.yaml",
        "lab/toolchain/dns/main.go",
        "suites/chaos/scenarios/pod-kill.yaml",
        "terraform/environments/lab/.terraform.lock.hcl",
        "terraform/modules/s3/main.tf",
        "uv.lock",
    ],
)
def test_what_was_measured_before_a_change_of_what_runs_no_longer_counts(folder: Path, path: str) -> None:
    """Committed or not, in whatever language it is."""
    before = origin.revision()
    commit(folder, path)
    after = origin.revision()
    assert after != before
    assert "-" not in after
    (folder / path).write_text("not committed\n")
    assert origin.revision().startswith(f"{after}-")


@pytest.mark.parametrize(
    "path", ["docs/terraform.md", "CHANGELOG.md", "services/api/README.md", "tests/test_x.py"]
)
def test_what_was_measured_before_a_change_of_documents_and_tests_still_counts(
    folder: Path, path: str
) -> None:
    """Else the commit that writes a figure down would say that it is of other code."""
    before = origin.revision()
    commit(folder, path)
    (folder / path).write_text("not committed\n")
    assert origin.revision() == before
