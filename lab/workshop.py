"""The cache of images and their layers, worked in by one process at a time."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as remembered
from pathlib import Path

from filelock import FileLock

from core.places import cache
from core.processes import run
from lab import debian_root, oci

# Where an image has its packages, its own code, and what its build made of that.
SITE, APP, MODEL = "opt/site-packages", "opt/app", "opt/app/model"
_KEPT_IMAGES, _KEPT_LAYERS_OF_A_KIND = 48, 4


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image in an OCI layout, a folder that crane pushes and containerd imports."""

    reference: str
    tag: str
    digest: str
    config_digest: str
    layout: Path

    @property
    def tagged(self) -> str:
        """Return `name:tag`."""
        return f"{self.reference}:{self.tag}"

    @property
    def pinned(self) -> str:
        """Return `name@sha256:…`."""
        return f"{self.reference}@{self.digest}"


class Workshop:
    """The cache folder of images, held by one process at a time, and one scratch folder in it."""

    def __init__(self, home: Path, scratch: Path) -> None:
        self._home, self.scratch = home, scratch

    def folder(self, name: str) -> Path:
        """Make an empty folder that lasts as long as the workshop is held."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch))

    def layer(self, kind: str, key: str, make: Callable[[Path], None]) -> oci.Layer:
        """Return the cached layer of that kind and key, after making it in an empty root if need be."""
        name = f"{kind}-{hashlib.sha256(key.encode()).hexdigest()[:20]}.tar"
        kept = self._home / "layers" / kind / name
        if not kept.exists():
            root = self.folder(kind)
            root.chmod(0o755)
            make(root)
            fresh = oci.pack(root, self.scratch / name)
            kept.parent.mkdir(parents=True, exist_ok=True)
            fresh.path.replace(kept)
            _remove(root)
        os.utime(kept)
        _prune(kept.parent, _KEPT_LAYERS_OF_A_KIND)
        status = kept.stat()
        return oci.Layer(path=kept, digest=_digest(kept, status.st_ino, status.st_size), size=status.st_size)

    def image(self, reference: str, tag: str, manifest: oci.Manifest) -> Image:
        """Write the image's layout, unless it is there already."""
        slug = re.sub(r"[^a-z0-9.]+", "-", reference)
        kept = self._home / "layouts" / f"{slug}-{tag}-{manifest.digest.removeprefix('sha256:')[:16]}"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.scratch / kept.name
            oci.write_layout(manifest, f"{reference}:{tag}", fresh)
            fresh.replace(kept)
        os.utime(kept)
        _prune(kept.parent, _KEPT_IMAGES)
        return Image(
            reference=reference,
            tag=tag,
            digest=manifest.digest,
            config_digest=manifest.config_digest,
            layout=kept,
        )

    def entered(self, layers: Sequence[oci.Layer]) -> Path:
        """Lay layers over each other in a folder, whose programs can then be run with chroot."""
        root = self.folder("entered")
        for layer in layers:
            run(["tar", "--extract", "--file", layer.path, "--directory", root], timeout_s=60)
        return root

    def move_compiled(self, whole: Path, inside: str, root: Path, base: oci.Layer) -> None:
        """Move the folder `inside` of `whole` into `root`, with byte code by the base layer's Python."""
        entered = self.entered([base])
        (entered / inside).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(whole / inside, entered / inside)
        open_to_all(entered / inside)
        debian_root.compile_python(entered, f"/{inside}")
        move(entered, inside, root)


def open_to_all(folder: Path) -> None:
    """Make what is in a folder readable by every user, whatever umask it was made with."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def move(origin: Path, inside: str, root: Path) -> None:
    """Move the folder `inside` of one root into another one."""
    parent = (root / inside).parent
    parent.mkdir(parents=True, exist_ok=True)
    for folder in (parent, *parent.relative_to(root).parents):
        (root / folder).chmod(0o755)
    shutil.move(origin / inside, root / inside)


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Hold the cache of images; builds on one machine take turns."""
    home = cache() / "images"
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        for leftover in home.glob("scratch-*"):  # Only a killed build leaves one: the lock is ours.
            _remove(leftover)
        scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=home))
        try:
            yield Workshop(home, scratch)
        finally:
            _remove(scratch)


@remembered
def _digest(kept: Path, inode: int, size: int) -> str:  # noqa: ARG001 - they tell one file of a name from the next
    return oci.file_digest(kept)


def _prune(folder: Path, keep: int) -> None:
    newest_first = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[keep:]:
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
