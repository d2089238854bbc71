"""Images of the data stores that the lab deploys: FerretDB for MongoDB, Valkey for Redis.

FerretDB is one static program. Valkey comes from Debian: its two programs, the shell and the two tools by
which its chart configures and probes it, the libraries of all these, and nothing else.
"""

from __future__ import annotations

import hashlib
import inspect
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from core.errors import RefusedError
from core.places import cache
from lab import debian_programs, debian_root, oci, programs
from lab.images import REGISTRY, Image, static_image

FERRETDB, VALKEY = "ferretdb", "valkey"
_USER = f"{debian_root.USER}:{debian_root.USER}"
_FERRETDB_VERSION = "1.24.2"
# The first Debian that has it; the services' own is older.
_SUITE = "trixie"
_PACKAGES = ("base-files", "coreutils", "dash", "grep", "valkey-server", "valkey-tools")
_PROGRAMS = {
    "/bin/sh": "usr/bin/dash",
    "/bin/cat": "usr/bin/cat",
    "/bin/grep": "usr/bin/grep",
    "/bin/valkey-server": "usr/bin/valkey-server",
    "/bin/valkey-cli": "usr/bin/valkey-cli",
}


def build(name: str, progress: Callable[[str], None] = lambda _line: None) -> Image:
    """Build the image of a store, or take it from the cache; RefusedError for a name that is none."""
    if name == FERRETDB:
        program = programs.ensure("ferretdb", progress)
        return static_image(
            f"{REGISTRY}/{name}",
            _FERRETDB_VERSION,
            files={"/ferretdb": program},
            entrypoint=["/ferretdb"],
            user=_USER,
        )
    if name != VALKEY:
        raise RefusedError(f"store: expected {FERRETDB} or {VALKEY}, got {name!r}")
    files = _valkey_files(progress)
    content = "".join(f"{path}={oci.file_digest(file)};" for path, file in sorted(files.items()))
    return static_image(
        f"{REGISTRY}/{name}",
        f"{_SUITE}-{hashlib.sha256(content.encode()).hexdigest()[:12]}",
        files=files,
        entrypoint=["/bin/valkey-server"],
        user=_USER,
        environment={"PATH": "/bin", "LC_ALL": "C"},
    )


def _valkey_files(progress: Callable[[str], None]) -> dict[str, Path]:
    """Return the file in the cache for each path in the image."""
    recipe = f"{inspect.getsource(debian_root)}{_SUITE}{_PACKAGES}{_PROGRAMS}{oci.architecture()}"
    kept = cache() / f"valkey-{hashlib.sha256(recipe.encode()).hexdigest()[:16]}"
    with FileLock(cache() / "valkey.lock"):
        if not kept.exists():
            progress(f"image valkey: Debian {_SUITE}'s package (once, about 15 s)")
            with tempfile.TemporaryDirectory(prefix="valkey-", dir=cache()) as made:
                _extract(Path(made)).replace(kept)
    return {f"/{path.relative_to(kept)}": path for path in sorted(kept.rglob("*")) if path.is_file()}


def _extract(scratch: Path) -> Path:
    root, chosen = scratch / "root", scratch / "chosen"
    debian_root.extract(root, scratch / "mmdebstrap", _SUITE, _PACKAGES)
    loader = debian_programs.LOADERS[oci.architecture()]
    wanted = dict(_PROGRAMS) | {loader: loader.lstrip("/")}
    wanted |= {path: path.lstrip("/") for path in debian_programs.libraries(root, _PROGRAMS.values())}
    for inside, source in wanted.items():
        target = chosen / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile((root / source).resolve(), target)
    return chosen
