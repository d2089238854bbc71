"""Programs beside Kubernetes: each from a Go module of its own, built once for the inputs it has.

A change of one rebuilds nothing else, the toolchain of Kubernetes least of all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from core.errors import RefusedError
from core.places import cache
from core.processes import run
from lab import toolchain

SOURCE = toolchain.SOURCE / toolchain.EXTRA
# program → the package that it is built from, and the build tags
PROGRAMS = {
    "registry": (".", ""),
    "ferretdb": ("github.com/FerretDB/FerretDB/cmd/ferretdb", "ferretdb_no_postgresql"),
    "local-path-provisioner": ("github.com/rancher/local-path-provisioner", ""),
    "volume-folder": (".", ""),
    "crane": ("github.com/google/go-containerregistry/cmd/crane", ""),
    "kubeconform": ("github.com/yannh/kubeconform/cmd/kubeconform", ""),
}
# FerretDB reads its version from a file that its own build generates and its module lacks, and its updates
# of a document are not atomic, as MongoDB's are: it is built from a copy of its module with the patches that
# lie beside its pins.
_PATCHED = {"ferretdb": "github.com/FerretDB/FerretDB"}
_FLAGS = ("-trimpath", "-ldflags=-s -w")
_BUILD_TIMEOUT_S = 900.0


def key(name: str) -> str:
    """Return the key of one program's pinned inputs; RefusedError when there is no such program."""
    if name not in PROGRAMS:
        raise RefusedError(f"program: expected one of {', '.join(PROGRAMS)}, got {name!r}")
    digest = hashlib.sha256()
    for path in sorted(found for found in (SOURCE / name).rglob("*") if found.is_file()):
        digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(repr((_FLAGS, PROGRAMS[name], _PATCHED.get(name), toolchain.go_version()[:2])).encode())
    return digest.hexdigest()[:16]


def ensure(name: str, progress: Callable[[str], None] = lambda _line: None) -> Path:
    """Return the path of a program, building it first if it is not in the cache (up to a minute).

    Raises CommandError when the build fails; what is compiled by then is kept for the next one.
    """
    program = cache() / f"{name}-{key(name)}" / name
    if program.exists():
        return program
    cache().mkdir(parents=True, exist_ok=True)
    with FileLock(cache() / "programs.lock"):
        if not program.exists():
            _build(name, program, progress)
    return program


def _build(name: str, program: Path, progress: Callable[[str], None]) -> None:
    progress(f"toolchain: building {name}")
    started = time.monotonic()
    package, tags = PROGRAMS[name]
    unfinished = program.with_suffix(".unfinished")
    program.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false -mod=readonly",
        "GOCACHE": str(cache() / "go-build"),
        "GOTOOLCHAIN": "local",
    }
    argv = ["go", "build", *_FLAGS, f"-tags={tags}", "-o", str(unfinished), package]
    with tempfile.TemporaryDirectory(dir=cache()) as scratch:
        folder = _patched(name, Path(scratch), environment)
        run(argv, timeout_s=_BUILD_TIMEOUT_S, env=environment, cwd=folder)
    unfinished.replace(program)
    progress(f"toolchain: {name} built in {time.monotonic() - started:.0f} s")


def _patched(name: str, scratch: Path, environment: dict[str, str]) -> Path:
    """Return the folder to build in: this program's own, or a patched copy of its module."""
    if name not in _PATCHED:
        return SOURCE / name
    argv = ["go", "mod", "download", "-json", _PATCHED[name]]
    found = json.loads(run(argv, timeout_s=300, env=environment, cwd=SOURCE / name).stdout)
    copy = scratch / "module"
    shutil.copytree(found["Dir"], copy, copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    # Not as a part of a checkout that the cache may lie in: git would apply nothing, without a word.
    alone = {**environment, "GIT_CEILING_DIRECTORIES": str(scratch.resolve())}
    for patch in sorted((SOURCE / name).glob("*.patch")):
        run(["git", "apply", patch], timeout_s=60, env=alone, cwd=copy)
    return copy
