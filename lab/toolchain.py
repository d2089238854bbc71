"""The lab's programs, built once from the Go modules that go.mod and go.sum pin."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from core.errors import CommandError, RefusedError
from core.places import cache
from core.processes import run

SOURCE = Path(__file__).parent / "toolchain"
EXTRA = "extra"  # the folder in it of modules that are no part of this one: see lab/programs.py
KUBERNETES_VERSION = "1.36.3"

# package → the name that the built program gets
PROGRAMS = {
    "./kube": "kube",
    "./dns": "coredns",
    "./pause": "pause",
    "./machine": "machine",
    "github.com/containerd/containerd/v2/cmd/containerd": "containerd",
    "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2": "containerd-shim-runc-v2",
    "github.com/containerd/containerd/v2/cmd/ctr": "ctr",
    "github.com/containernetworking/plugins/plugins/ipam/host-local": "host-local",
    "github.com/containernetworking/plugins/plugins/main/loopback": "loopback",
    "github.com/containernetworking/plugins/plugins/main/ptp": "ptp",
    "github.com/containernetworking/plugins/plugins/meta/portmap": "portmap",
    "go.etcd.io/etcd/server/v3": "etcd",
    "helm.sh/helm/v4/cmd/helm": "helm",
}
KUBE_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
_STAMP = "k8s.io/component-base/version"
_FLAGS = [
    "-trimpath",
    "-tags=no_btrfs,no_zfs,no_devmapper,no_aufs",
    "-ldflags=-s -w "
    + " ".join(
        f"-X {_STAMP}.{field}={value}"
        for field, value in zip(
            ("gitVersion", "gitMajor", "gitMinor"),
            (f"v{KUBERNETES_VERSION}", *KUBERNETES_VERSION.split(".")[:2]),
            strict=True,
        )
    ),
]


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """A folder of programs and the key of the inputs that they were built from."""

    bin: Path
    key: str

    def program(self, name: str) -> Path:
        """Return the path of one program."""
        return self.bin / name

    @property
    def helm(self) -> Path:
        """Return Helm's path."""
        return self.bin / "helm"

    @property
    def kubectl(self) -> Path:
        """Return kubectl's path."""
        return self.bin / "kubectl"


def go_version(go: str = "go") -> tuple[int, ...]:
    """Return the version of the Go found; RefusedError when there is none or go.mod wants a newer one."""
    wanted = re.findall(r"^go (\S+)$", (SOURCE / "go.mod").read_text(), re.MULTILINE)[0]
    if shutil.which(go) is None:
        raise RefusedError(f"Go {wanted} or newer is needed to build the lab's toolchain; no `go` on PATH")
    found = re.search(r"go(\d+(?:\.\d+)+)", run([go, "version"], timeout_s=20).stdout)
    version = _numbers(found[1] if found else "0")
    if version < _numbers(wanted):
        raise RefusedError(
            f"Go {wanted} or newer is needed to build the lab's toolchain; "
            f"`{shutil.which(go)}` is {'.'.join(map(str, version))}"
        )
    return version


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def key() -> str:
    """Return the key of the pinned inputs: sources, go.mod, go.sum, flags and Go's version."""
    digest = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*")):
        if path.is_file() and path.relative_to(SOURCE).parts[0] != EXTRA:
            digest.update(str(path.relative_to(SOURCE)).encode() + b"\0" + path.read_bytes() + b"\0")
    digest.update(repr((_FLAGS, sorted(PROGRAMS.items()), go_version()[:2])).encode())
    return digest.hexdigest()[:16]


def ensure(progress: Callable[[str], None] = lambda _: None) -> Toolchain:
    """Return the toolchain, building it first if no earlier build had the same inputs.

    A build takes minutes; `progress` hears what is compiled, how much is left and the time spent. The
    compiled packages are kept, so that an interrupted build goes on where it stopped.
    """
    built = Toolchain(bin=cache() / f"toolchain-{key()}" / "bin", key=key())
    if built.bin.is_dir():
        return built
    cache().mkdir(parents=True, exist_ok=True)
    with FileLock(cache() / "toolchain.lock"):
        if not built.bin.is_dir():
            _build(built.bin, progress)
    return built


def _build(target: Path, progress: Callable[[str], None]) -> None:
    started = time.monotonic()
    unfinished = target.parent.with_name(f"{target.parent.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / "bin").mkdir(parents=True)
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "-buildvcs=false -mod=readonly",
        "GOCACHE": str(cache() / "go-build"),
        "GOTOOLCHAIN": "local",
    }
    progress(f"toolchain: {len(PROGRAMS)} programs, Kubernetes {KUBERNETES_VERSION}; downloading modules")
    packages = list(PROGRAMS)
    listed = _go(["list", "-deps", *_FLAGS[1:2], *packages], environment).stdout.split()
    progress(f"toolchain: {len(listed)} packages to compile or to find compiled")
    argv = ["go", "build", "-v", *_FLAGS, "-o", f"{unfinished / 'bin'}/", *packages]
    _watch_build(argv, environment, len(listed), started, progress)
    for package, name in PROGRAMS.items():
        made = unfinished / "bin" / _default_name(package)
        made.rename(unfinished / "bin" / name)
    for name in KUBE_PROGRAMS:
        (unfinished / "bin" / name).symlink_to("kube")
    unfinished.rename(target.parent)
    progress(f"toolchain: built in {time.monotonic() - started:.0f} s")


def _default_name(package: str) -> str:
    # `go build -o DIR/` names a program after its import path's last element that is no version.
    parts = package.rsplit("/", 2)
    return parts[-2] if re.fullmatch(r"v\d+", parts[-1]) else parts[-1]


def _go(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run(["go", *arguments], timeout_s=900, env=environment, cwd=SOURCE)


def _watch_build(
    argv: list[str], environment: dict[str, str], total: int, started: float, progress: Callable[[str], None]
) -> None:
    lines: list[str] = []
    build = subprocess.Popen(
        argv, cwd=SOURCE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    done = threading.Event()

    def tell() -> None:
        while not done.wait(10):
            now = time.monotonic() - started
            compiled = sum(1 for line in lines if not line.startswith("go: "))
            latest = lines[-1] if lines else "starting"
            progress(f"toolchain: {now:4.0f} s, {compiled} compiled of at most {total}, now {latest}")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        assert build.stderr is not None
        for line in build.stderr:
            lines.append(line.strip())  # noqa: PERF401 - the teller reads the list while it grows
        status = build.wait()
    finally:
        done.set()
        teller.join()
        if build.poll() is None:
            build.terminate()
            build.wait()
    if status != 0:
        # `-v` prints each package's path; what has a space in it is an error's line.
        raise CommandError(argv, status, "\n".join(line for line in lines if " " in line))
