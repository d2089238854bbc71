"""The packages of an image are those of their wheels, whatever this machine's package cache holds."""

from pathlib import Path

import pytest

from core.errors import RefusedError
from lab import packages


@pytest.fixture
def certifi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the locked requirement of one small package, and a package cache in which its file was changed."""
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    (pin,) = (block for block in packages.pins("service-kit") if block.startswith("certifi=="))
    file = tmp_path / "requirements.txt"
    file.write_text(pin)
    packages._install(file, tmp_path / "first")
    (cached,) = (tmp_path / "uv").rglob("cacert.pem")
    with cached.open("a") as bundle:
        bundle.write("# somebody's certificate\n")
    return file


def test_a_file_that_somebody_changed_in_the_cache_is_not_installed(certifi: Path, tmp_path: Path) -> None:
    """By itself uv installs the changed file; the image gets what the wheel holds."""
    packages._install(certifi, tmp_path / "as-cached")
    assert packages.altered(tmp_path / "as-cached") == ["certifi/cacert.pem"]
    packages._install_as_published(certifi, tmp_path / "target")
    assert packages.altered(tmp_path / "target") == []


def test_what_differs_after_a_download_is_refused(
    certifi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No image is made of files that nobody published."""
    install = packages._install
    monkeypatch.setattr(packages, "_install", lambda file, target, *_: install(file, target))
    with pytest.raises(RefusedError, match=r"found others: \['certifi/cacert.pem'\]"):
        packages._install_as_published(certifi, tmp_path / "target")
