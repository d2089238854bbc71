"""Container images without a container engine or a registry.

An image is three cached layers: a Debian root with Python, the service's locked packages, and the
service itself. The first two are shared by every version, so a new version costs a second.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from core.errors import RefusedError
from core.places import cache, checkout
from core.processes import run
from core.uv import uv_command
from lab import debian_root, oci

REGISTRY = "docker.io/ecochain"
_SITE, _APP = "opt/site-packages", "opt/app"
_KEPT_IMAGES, _KEPT_LAYERS_OF_A_KIND = 16, 3
_PLATFORMS = {"amd64": "x86_64-unknown-linux-gnu", "arm64": "aarch64-unknown-linux-gnu"}


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image in a tar that `ctr images import` reads, under its tag and under its digest."""

    reference: str
    tag: str
    digest: str
    config_digest: str
    tar: Path

    @property
    def tagged(self) -> str:
        """Return `name:tag`."""
        return f"{self.reference}:{self.tag}"

    @property
    def pinned(self) -> str:
        """Return `name@sha256:…`."""
        return f"{self.reference}@{self.digest}"


def build_image(
    service: str,
    version: str,
    *,
    overlay: Path | None = None,
    progress: Callable[[str], None] = lambda _line: None,
) -> Image:
    """Build services/<service> at `version`, which the container gets as $VERSION.

    The files of `overlay` are laid over the service's sources: a variant build. Equal inputs give an
    equal digest. What is slow is cached, builds on one machine take turns, and an interrupted one
    leaves only a scratch folder that the next one removes. Raises RefusedError before anything is
    built, CommandError when a step fails.
    """
    sources = checkout() / "services" / service / "src"
    if not sources.is_dir():
        raise RefusedError(f"{sources}: expected a service's sources, found no such folder")
    if overlay is not None and not overlay.is_dir():
        raise RefusedError(f"{overlay}: expected a folder to lay over {service}, found none")
    _check_tag(version)
    with _workshop() as shop:
        base = shop.layer("debian", _base_key(), lambda root: _make_base(root, shop, progress))
        packages = shop.layer(
            service, (pins := _pins(service)), lambda root: _make_packages(root, pins, shop, base, progress)
        )
        trees = [sources] + ([overlay] if overlay else [])
        key = base.digest + "".join(_content(tree) for tree in trees)
        app = shop.layer(f"{service}-app", key, lambda root: _make_app(root, trees, shop, base, progress))
        environment = {
            "PATH": "/usr/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"/{_APP}:/{_SITE}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "VERSION": version,
        }
        image = oci.manifest(
            [base, packages, app],
            entrypoint=[debian_root.PYTHON, "-m", service.replace("-", "_")],
            user=f"{debian_root.USER}:{debian_root.USER}",
            environment=environment,
            labels={
                "org.opencontainers.image.title": f"ecochain/{service}",
                "org.opencontainers.image.version": version,
            },
        )
        return shop.image(f"{REGISTRY}/{service}", version, image)


def static_image(
    name: str,
    tag: str,
    *,
    files: Mapping[str, Path],
    entrypoint: Sequence[str],
    user: str = "65535:65535",
    environment: Mapping[str, str] | None = None,
) -> Image:
    """Make an image of nothing but `files` (absolute path in the image → file here), all executable.

    `name` is the full reference without the tag, such as registry.k8s.io/pause.
    """
    _check_tag(tag)
    for inside, path in files.items():
        if not inside.startswith("/") or not path.is_file():
            raise RefusedError(f"{name}: expected a file for /path in the image, got {inside} from {path}")
    key = "".join(f"{inside}={oci.file_digest(path)};" for inside, path in sorted(files.items()))
    with _workshop() as shop:

        def place(root: Path) -> None:
            for inside, path in files.items():
                target = root / inside.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
                target.chmod(0o755)

        layer = shop.layer(f"static-{name.rpartition('/')[2]}", key, place)
        image = oci.manifest(
            [layer], entrypoint=entrypoint, user=user, environment=environment or {}, labels={}
        )
        return shop.image(name, tag, image)


class _Workshop:
    """The cache folder of images, held by one process at a time, and one scratch folder in it."""

    def __init__(self, home: Path, scratch: Path) -> None:
        self._home, self.scratch = home, scratch

    def folder(self, name: str) -> Path:
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
            _remove_tree(root)
        os.utime(kept)
        _prune(kept.parent, _KEPT_LAYERS_OF_A_KIND)
        return oci.layer_of(kept)

    def image(self, reference: str, tag: str, manifest: oci.Manifest) -> Image:
        """Write the image's tar, unless it is there already."""
        slug = re.sub(r"[^a-z0-9.]+", "-", reference)
        kept = self._home / "tars" / f"{slug}-{tag}-{manifest.digest.removeprefix('sha256:')[:16]}.tar"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            fresh = self.scratch / kept.name
            oci.write_layout(manifest, [f"{reference}:{tag}", f"{reference}@{manifest.digest}"], fresh)
            fresh.replace(kept)
        os.utime(kept)
        _prune(kept.parent, _KEPT_IMAGES)
        return Image(
            reference=reference,
            tag=tag,
            digest=manifest.digest,
            config_digest=manifest.config_digest,
            tar=kept,
        )


@contextmanager
def _workshop() -> Iterator[_Workshop]:
    home = cache() / "images"
    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / ".lock"):
        for leftover in home.glob("scratch-*"):  # Only a killed build leaves one: the lock is ours.
            _remove_tree(leftover)
        scratch = Path(tempfile.mkdtemp(prefix="scratch-", dir=home))
        try:
            yield _Workshop(home, scratch)
        finally:
            _remove_tree(scratch)


def _base_key() -> str:
    recipe = inspect.getsource(debian_root)
    return f"{recipe}{oci.architecture()}"


def _make_base(root: Path, shop: _Workshop, progress: Callable[[str], None]) -> None:
    progress(f"image base: Debian {debian_root.SUITE} with Python (once, about 30 s)")
    debian_root.make(root, shop.scratch / "mmdebstrap")


def _pins(service: str) -> str:
    """Return the locked requirements, with hashes, of the dependency group named like the service."""
    argv = [*uv_command(), "export", "--quiet", "--frozen", "--no-header", "--only-group", service]
    return run([*argv, "--no-emit-project"], timeout_s=60, cwd=checkout()).stdout


def _make_packages(
    root: Path, pins: str, shop: _Workshop, base: oci.Layer, progress: Callable[[str], None]
) -> None:
    progress("image packages: the service's locked requirements")
    requirements = shop.folder("pins") / "requirements.txt"
    requirements.write_text(pins)
    whole = shop.folder("packages")
    target = whole / _SITE
    _install(requirements, target)
    for name in ("bin", ".lock"):
        _remove_tree(target / name)
    for record in [*target.glob("*.dist-info/RECORD"), *target.glob("*.dist-info/INSTALLER")]:
        record.unlink()
    _compile_into(root, whole, _SITE, base, shop)


def _install(requirements: Path, target: Path) -> None:
    command: list[str | Path] = [
        *uv_command(),
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--only-binary",
        ":all:",
    ]
    command += ["--python-version", "3.11", "--python-platform", _PLATFORMS[oci.architecture()]]
    command += ["--no-compile-bytecode", "--link-mode", "copy", "--target", target, "-r", requirements]
    run(command, timeout_s=300)


def _make_app(
    root: Path, trees: Sequence[Path], shop: _Workshop, base: oci.Layer, progress: Callable[[str], None]
) -> None:
    progress("image app: the service's own code")
    whole = shop.folder("sources")
    for tree in trees:
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
        shutil.copytree(tree, whole / _APP, ignore=ignored, dirs_exist_ok=True)
    _compile_into(root, whole, _APP, base, shop)


def _compile_into(root: Path, whole: Path, inside: str, base: oci.Layer, shop: _Workshop) -> None:
    """Move the folder `inside` of `whole` into `root`, with byte code by the base layer's Python."""
    entered = shop.folder("entered")
    run(["tar", "--extract", "--file", base.path, "--directory", entered], timeout_s=60)
    (entered / inside).parent.mkdir(parents=True, exist_ok=True)
    shutil.move(whole / inside, entered / inside)
    for path in (entered / inside, *(entered / inside).rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # Whatever umask the sources were checked out with.
    debian_root.compile_python(entered, f"/{inside}")
    (root / inside).parent.mkdir(parents=True, exist_ok=True)
    (root / inside).parent.chmod(0o755)
    shutil.move(entered / inside, root / inside)


def _content(tree: Path) -> str:
    """Return a digest of the names and contents of a folder's files."""
    total = hashlib.sha256()
    for path in sorted(found for found in tree.rglob("*") if found.is_file()):
        if "__pycache__" not in path.parts and not path.name.startswith("."):
            total.update(f"{path.relative_to(tree)}={oci.file_digest(path)};".encode())
    return total.hexdigest()


def _check_tag(tag: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", tag) or tag == "latest":
        raise RefusedError(f"image tag: expected an immutable tag such as 1.2.3, got {tag!r}")


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise RefusedError(f"building images needs the program {program}, which is not on PATH")


def _prune(folder: Path, keep: int) -> None:
    newest_first = sorted(folder.glob("*.tar"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[keep:]:
        path.unlink()


def _remove_tree(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
