"""A source tag is another one exactly when the image would be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import RefusedError
from core.places import checkout
from lab import images, packages
from lab.images import source_tag


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a copy of the services that images are built from."""
    copy = tmp_path / "services"
    shutil.copytree(checkout() / "services", copy)
    monkeypatch.setattr(images, "checkout", lambda: tmp_path)
    return copy


@pytest.mark.parametrize(
    "change", ["auth-service/src/auth_service/__main__.py", "kit/src/ecochain_kit/new.py", "pins", "recipe"]
)
def test_what_the_image_is_made_from_gives_another_tag(
    services: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service's sources, the kit's, the locked packages and the recipe all count."""
    before = source_tag("auth-service")
    if change == "pins":
        monkeypatch.setattr(packages, "pins", lambda group: [f"{group}==1.0\n"])
    elif change == "recipe":
        monkeypatch.setattr(images, "RECIPE", images.RECIPE + 1)
    else:
        (services / change).open("a").write("\n")
    assert source_tag("auth-service") != before


@pytest.mark.parametrize(
    "change", ["auth-service/README.md", "kit/README.md", "user-service/src/user_service/__main__.py"]
)
def test_what_is_no_part_of_the_image_keeps_the_tag(services: Path, change: str) -> None:
    """Neither prose nor another service's sources; nor what Python leaves beside them."""
    before = source_tag("auth-service")
    (services / change).open("a").write("\n")
    left = services / "auth-service/src/auth_service/__pycache__"
    left.mkdir(exist_ok=True)
    (left / "x.pyc").write_bytes(b"x")
    assert source_tag("auth-service") == before


def test_each_service_has_a_tag_of_its_own() -> None:
    """Services with the same packages are told apart; the kit alone is no service."""
    tags = [source_tag(service) for service in images.services()]
    assert len(set(tags)) == len(tags) > 1
    with pytest.raises(RefusedError, match="kit"):
        source_tag("kit")
