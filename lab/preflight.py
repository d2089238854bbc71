"""What the lab needs of this machine, told in one line before anything is changed."""

from __future__ import annotations

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
