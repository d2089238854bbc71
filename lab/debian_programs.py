"""Single programs of Debian packages, with the libraries that they need, for images without a Debian."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from core.processes import run
from lab import debian_root, oci

LOADERS = {"amd64": "/lib64/ld-linux-x86-64.so.2", "arm64": "/lib/ld-linux-aarch64.so.1"}

# What the agent of faults does to a network and to mounts; netem's distributions are tc's data.
_NETWORK_PACKAGES = ("base-files", "iproute2", "iptables", "mount", "util-linux")
_NETWORK_PROGRAMS = {
    "ip": "bin/ip",
    "tc": "sbin/tc",
    "ss": "bin/ss",
    "nsenter": "usr/bin/nsenter",
    "unshare": "usr/bin/unshare",
    "mount": "bin/mount",
    "umount": "bin/umount",
    "xtables-nft-multi": "usr/sbin/xtables-nft-multi",
}
_NETWORK_NAMES = {
    f"{family}tables{tail}": "xtables-nft-multi"
    for family in ("ip", "ip6")
    for tail in ("", "-save", "-restore")
}
_NETWORK_FOLDERS = ("usr/lib/*-linux-gnu*/xtables", "usr/lib/tc")


def libraries(root: Path, programs: Iterable[str]) -> set[str]:
    """Return the absolute paths, in a Debian root, of the libraries that its programs need."""
    loader = LOADERS[oci.architecture()]
    found: set[str] = set()
    for program in programs:
        listed = run(["chroot", root, loader, "--list", f"/{program}"], timeout_s=60).stdout
        for line in listed.splitlines():
            found |= set(line.partition("=>")[2].split()[:1])
    return found


def lay_network_programs(to: Path, base: Path, scratch: Path) -> None:
    """Fill the empty root `to` with iptables, tc and what enters namespaces, to be laid over `base`.

    They are in /usr/bin; what `base` has is left out. `scratch` is a folder to work in. Raises as
    debian_root.make does.
    """
    root = scratch / "root"
    debian_root.extract(root, scratch / "mmdebstrap", debian_root.SUITE, _NETWORK_PACKAGES)
    chosen = {f"usr/bin/{name}": root / source for name, source in _NETWORK_PROGRAMS.items()}
    plugins = [path for pattern in _NETWORK_FOLDERS for path in root.glob(f"{pattern}/*") if path.is_file()]
    chosen |= {str(path.relative_to(root)): path for path in plugins}
    linked = [str(path.relative_to(root)) for path in plugins if path.suffix == ".so"]
    needed = libraries(root, [*_NETWORK_PROGRAMS.values(), *linked])
    chosen |= {path.lstrip("/"): root / path.lstrip("/") for path in needed}
    for inside, source in chosen.items():
        if not (base / inside).exists():
            target = to / inside
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.resolve(), target)
            target.chmod(0o755)
    for name, program in _NETWORK_NAMES.items():
        (to / "usr/bin" / name).symlink_to(program)
    for folder in [path for path in to.rglob("*") if path.is_dir()]:
        folder.chmod(0o755)
