"""What the lab needs of this machine, told in one line before anything is changed."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from core.errors import RefusedError
from core.places import cache
from core.processes import run
from lab import toolchain

# program → the Debian package that has it
NEEDED = {
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "nft": "nftables",
    "ethtool": "ethtool",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "sysctl": "procps",
    "mmdebstrap": "mmdebstrap",
}

# inotify instances: a machine's kubelet, runtime and proxy hold twelve (counted by their open files), and the
# start has some of its own.
_WATCHES_A_NODE, _WATCHES_BESIDE = 12, 4
_WATCHES_LIMIT = "fs.inotify.max_user_instances"


def check(
    *, platform: str = sys.platform, uid: int | None = None, which: Callable[[str], str | None] = shutil.which
) -> None:
    """Raise RefusedError, naming what is wrong and what to do, unless this machine can carry a lab."""
    if platform != "linux":
        raise RefusedError(
            f"the lab runs on Linux only, this is {platform}; use --env with a cluster's kubeconfig instead"
        )
    if (os.geteuid() if uid is None else uid) != 0:
        raise RefusedError(
            "the lab needs root, for network namespaces and cgroups; run as root or name a cluster with --env"
        )
    if which("go") is None or not (cache() / f"toolchain-{toolchain.key()}" / "bin").is_dir():
        toolchain.go_version()
    missing = sorted({package for program, package in NEEDED.items() if which(program) is None})
    if missing:
        raise RefusedError(
            f"missing programs of the packages {', '.join(missing)}; on Debian `make setup` installs them, "
            "elsewhere install what your distribution calls them"
        )


def check_watches(nodes: int, *, limit: int | None = None) -> None:
    """Raise RefusedError unless the kernel still gives the inotify instances that so many nodes need.

    Without them kubelet and runtime end half-way through the start, each with words of its own. `limit` is
    the most to be had, by default what the kernel has left.
    """
    needed = nodes * _WATCHES_A_NODE + _WATCHES_BESIDE
    libc = ctypes.CDLL(None, use_errno=True)
    held: list[int] = []
    try:
        while len(held) < needed:
            watch = libc.inotify_init1(os.O_CLOEXEC) if limit is None or len(held) < limit else -1
            if watch < 0:
                raise RefusedError(
                    f"the lab needs {needed} inotify instances for {nodes} nodes, the kernel has {len(held)} "
                    f"left; take another lab down, or raise {_WATCHES_LIMIT} with sysctl"
                )
            held.append(watch)
    finally:
        for watch in held:
            os.close(watch)


def install_packages(progress: Callable[[str], None]) -> None:
    """Install the missing Debian packages; RefusedError names them where apt-get is not to be had."""
    missing = sorted({package for program, package in NEEDED.items() if shutil.which(program) is None})
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None or not Path("/etc/debian_version").exists():
        raise RefusedError(
            f"missing packages: {', '.join(missing)}; install what your distribution calls them (as root)"
        )
    progress(f"packages: installing {', '.join(missing)}")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], timeout_s=300, env=quiet)
    run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
        timeout_s=600,
        env=quiet,
    )
    still = [name for name in NEEDED if shutil.which(name) is None]
    if still:
        raise RefusedError(f"apt-get installed {', '.join(missing)}, yet not found: {', '.join(still)}")
