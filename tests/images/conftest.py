"""Images are built once per session, from the machine's own cache of layers."""

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.places import cache
from lab.images import Image, build_image


class Layout:
    """What an image's folder holds."""

    def __init__(self, image: Image) -> None:
        found = [path for path in image.layout.rglob("*") if path.is_file()]
        self.files = {str(path.relative_to(image.layout)): path.read_bytes() for path in found}
        self.index: dict[str, Any] = json.loads(self.files["index.json"])
        self.manifest: dict[str, Any] = json.loads(self.blob(self.index["manifests"][0]["digest"]))
        self.config: dict[str, Any] = json.loads(self.blob(self.manifest["config"]["digest"]))
        self.layers: list[str] = [layer["digest"] for layer in self.manifest["layers"]]

    def blob(self, digest: str) -> bytes:
        """Return a blob after checking that its name is its digest."""
        data = self.files["blobs/sha256/" + digest.removeprefix("sha256:")]
        assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
        return data

    def members(self) -> list[tarfile.TarInfo]:
        """Return every entry of every layer."""
        found = []
        for digest in self.layers:
            with tarfile.open(fileobj=io.BytesIO(self.blob(digest))) as tar:
                found += tar.getmembers()
        return found

    def unpack(self, root: Path) -> Path:
        """Lay the layers over each other, as a runtime does."""
        for digest in self.layers:
            with tarfile.open(fileobj=io.BytesIO(self.blob(digest))) as tar:
                tar.extractall(root, filter="fully_trusted")
        return root


@pytest.fixture(scope="session")
def layout() -> Callable[[Image], Layout]:
    """Return a reader of an image's layout."""
    return Layout


@pytest.fixture(scope="session")
def image() -> Image:
    """Return the shipped service's image."""
    return build_image("auth-service", "1.2.3")


@pytest.fixture
def other_cache(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in another cache folder, which has the slow base layer and nothing else."""
    assert image.layout.exists()
    fresh = tmp_path / "cache"
    shutil.copytree(cache() / "images/layers/debian", fresh / "images/layers/debian")
    monkeypatch.setenv("ECOCHAIN_VERIFY_CACHE", str(fresh))
    return fresh
