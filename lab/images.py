"""Container images without a container engine.

An image is cached layers: a Debian root with Python, the locked packages of the kit, those that a service
needs beyond it, the service itself with the kit, and what its build makes (a model). All but the last two
are shared by every version, so a new version costs a second.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import RefusedError
from core.places import checkout
from core.processes import run
from lab import debian_programs, debian_root, oci, packages
from lab.workshop import APP, MODEL, SITE, Image, Workshop, move, open_to_all, workshop

__all__ = [
    "Image",
    "build_agent_image",
    "build_chaos_image",
    "build_image",
    "services",
    "source_tag",
    "static_image",
]

REGISTRY = "docker.io/ecochain"
AGENT = "ecochain-verify-agent"
AGENT_ROOMS = ("core", "probes", "loadtests")
CHAOS = "ecochain-verify-chaos"
CHAOS_ROOMS = ("core", "clients", "chaos")
KIT = "kit"
# Raise it when the steps below change: it is part of a source tag.
RECIPE = 1
_BUILD_MODULE = "build"
_BUILD_TIMEOUT_S = 600.0
Progress = Callable[[str], None]


def _silent(_: str) -> None:
    return


@dataclass(frozen=True, kw_only=True)
class _Sources:
    """What one service is built from; the later trees are laid over the earlier ones."""

    service: str
    package: str
    trees: tuple[Path, ...]

    def content(self) -> str:
        return "".join(_content(tree) for tree in self.trees)

    @property
    def has_build(self) -> bool:
        return any((tree / self.package / f"{_BUILD_MODULE}.py").exists() for tree in self.trees)


def services() -> list[str]:
    """Return the names of the services that images can be built of."""
    found = (path.parent.name for path in (checkout() / "services").glob("*/src"))
    return sorted(name for name in found if name != KIT)


def source_tag(service: str) -> str:
    """Return a tag made from what the image is made from: another one exactly when its digest would differ.

    That is the service's and the kit's sources, the locked packages and the recipe. Raises RefusedError for
    an unknown service.
    """
    sources = _sources(service, None)
    parts = packages.shared_pins(service)
    parts += [packages.build_pins(service)] if sources.has_build else []
    requirements = "".join(block for part in parts for block in part)
    inputs = (_base_key(), RECIPE, packages.RECIPE, requirements, sources.content(), service)
    return hashlib.sha256(repr(inputs).encode()).hexdigest()[:12]


def build_image(
    service: str, version: str, *, overlay: Path | None = None, progress: Progress = _silent
) -> Image:
    """Build services/<service> at `version`, which the container gets as $VERSION.

    The files of `overlay` are laid over the service's sources: a variant build. A service with a module
    `build` has it run once, with a folder that becomes /opt/app/model. Equal inputs give an equal digest.
    What is slow is cached, builds on one machine take turns, and an interrupted one leaves only a scratch
    folder that the next one removes. Raises RefusedError before anything is built, CommandError when a
    step fails.
    """
    sources = _sources(service, overlay)
    _check_tag(version)
    with workshop() as shop:
        base = _base(shop, progress)
        kinds = ("packages", f"{service}-packages")
        layers = [base]
        for kind, pins in zip(kinds, packages.shared_pins(service), strict=False):
            layers.append(packages.layer(shop, pins, base, progress, kind=kind))
        layers.append(
            shop.layer(
                f"{service}-app",
                f"{RECIPE}{base.digest}{sources.content()}",
                lambda root: _make_app(root, sources, shop, base, progress),
            )
        )
        if sources.has_build:
            pins = packages.build_pins(service)
            tools = [packages.layer(shop, pins, base, progress, kind=f"{service}-build")] if pins else []
            layers.append(
                shop.layer(
                    f"{service}-model",
                    f"{RECIPE}{''.join(layer.digest for layer in [*layers, *tools])}",
                    lambda root: _make_model(root, sources, shop, [*layers, *tools], progress),
                )
            )
        return _python_image(shop, layers, service, version, [sources.package])


def build_agent_image(progress: Progress = _silent) -> Image:
    """Build the image of what the harness runs inside a cluster; its tag is made from its contents.

    It has the rooms AGENT_ROOMS and the locked packages of the group `agent`. Its entry point is
    `python -m`: a pod's `args` name the module. Raises as `build_image` does.
    """
    with workshop() as shop:
        base = _base(shop, progress)
        return _harness_image(shop, [base], AGENT, group="agent", rooms=AGENT_ROOMS, progress=progress)


def build_chaos_image(progress: Progress = _silent) -> Image:
    """Build the image of what breaks and heals a cluster from within: the agents on nodes, and the watchdog.

    It has the rooms CHAOS_ROOMS, the locked packages of the group `chaos`, iptables, tc and what enters
    namespaces. Otherwise as `build_agent_image`.
    """
    with workshop() as shop:
        base = _base(shop, progress)

        def lay(root: Path) -> None:
            progress("image chaos: iptables, tc and what enters namespaces (once, about 20 s)")
            debian_programs.lay_network_programs(root, shop.entered([base]), shop.folder("programs"))

        key = f"{base.digest}{inspect.getsource(debian_programs)}"
        programs = shop.layer("chaos-programs", key, lay)
        under = [base, programs]
        return _harness_image(shop, under, CHAOS, group="chaos", rooms=CHAOS_ROOMS, progress=progress)


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
    with workshop() as shop:

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


def _sources(service: str, overlay: Path | None) -> _Sources:
    own = checkout() / "services" / service / "src"
    if service == KIT or not own.is_dir():
        raise RefusedError(f"{own}: expected a service's sources, found no such folder")
    if overlay is not None and not overlay.is_dir():
        raise RefusedError(f"{overlay}: expected a folder to lay over {service}, found none")
    found = [path.parent.name for path in own.glob("*/__main__.py")]
    if len(found) != 1:
        raise RefusedError(f"{own}: expected one package with a __main__.py, found {found}")
    trees = (own.parent.parent / KIT / "src", own, *([overlay] if overlay else []))
    return _Sources(service=service, package=found[0], trees=trees)


def _python_image(
    shop: Workshop, layers: Sequence[oci.Layer], name: str, tag: str, module: Sequence[str]
) -> Image:
    environment = {
        "PATH": "/usr/bin",
        "LANG": "C.UTF-8",
        "PYTHONPATH": f"/{APP}:/{SITE}",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "VERSION": tag,
    }
    image = oci.manifest(
        layers,
        entrypoint=[debian_root.PYTHON, "-m", *module],
        user=f"{debian_root.USER}:{debian_root.USER}",
        environment=environment,
        labels={
            "org.opencontainers.image.title": f"ecochain/{name}",
            "org.opencontainers.image.version": tag,
        },
    )
    return shop.image(f"{REGISTRY}/{name}", tag, image)


def _harness_image(
    shop: Workshop,
    under: Sequence[oci.Layer],
    name: str,
    *,
    group: str,
    rooms: Sequence[str],
    progress: Progress,
) -> Image:
    base = under[0]
    pinned = packages.layer(shop, packages.pins(group), base, progress, kind=group)
    trees = [checkout() / room for room in rooms]
    key = base.digest + "".join(f"{tree.name}={_content(tree)};" for tree in trees)
    own = shop.layer(f"{group}-rooms", key, lambda root: _make_rooms(root, trees, shop, base, progress))
    layers = [*under, pinned, own]
    tag = hashlib.sha256("".join(layer.digest for layer in layers).encode()).hexdigest()[:12]
    return _python_image(shop, layers, name, tag, [])


def _base_key() -> str:
    return f"{inspect.getsource(debian_root)}{oci.architecture()}"


def _base(shop: Workshop, progress: Progress) -> oci.Layer:
    def make(root: Path) -> None:
        progress(f"image base: Debian {debian_root.SUITE} with Python (once, about 30 s)")
        debian_root.make(root, shop.scratch / "mmdebstrap")

    return shop.layer("debian", _base_key(), make)


def _make_app(root: Path, sources: _Sources, shop: Workshop, base: oci.Layer, progress: Progress) -> None:
    progress(f"image app: {sources.service}")
    whole = shop.folder("sources")
    for tree in sources.trees:
        _copy(tree, whole / APP)
    shop.move_compiled(whole, APP, root, base)


def _make_model(
    root: Path, sources: _Sources, shop: Workshop, layers: Sequence[oci.Layer], progress: Progress
) -> None:
    """Run the service's build in its image and with its tools, one thread, for an equal result each time."""
    progress(f"image model: {sources.package}.{_BUILD_MODULE}")
    entered = shop.entered(layers)
    (entered / MODEL).mkdir()
    environment = {
        "PYTHONPATH": f"/{APP}:/{SITE}",
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": "0",
        **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")},
    }
    module = f"{sources.package}.{_BUILD_MODULE}"
    run(
        ["chroot", entered, debian_root.PYTHON, "-m", module, f"/{MODEL}"],
        timeout_s=_BUILD_TIMEOUT_S,
        env=environment,
    )
    if not any((entered / MODEL).iterdir()):
        raise RefusedError(f"{module}: expected files in the folder that it was given, found none")
    open_to_all(entered / MODEL)
    move(entered, MODEL, root)


def _make_rooms(
    root: Path, rooms: Sequence[Path], shop: Workshop, base: oci.Layer, progress: Progress
) -> None:
    progress("image rooms: the harness's own code that runs inside a cluster")
    whole = shop.folder("rooms")
    for room in rooms:
        _copy(room, whole / APP / room.name)
    shop.move_compiled(whole, APP, root, base)


def _copy(tree: Path, to: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")
    shutil.copytree(tree, to, ignore=ignored, dirs_exist_ok=True)


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
