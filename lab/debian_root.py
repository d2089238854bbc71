"""A Debian root with Python and nothing else, made by mmdebstrap without entering it.

Packages are extracted, not installed: no maintainer script runs, nothing is mounted, and there is no
shell, package manager or set-uid program in the image.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from core.errors import RefusedError
from core.processes import run

SUITE = "bookworm"
# greenlet, which Locust stands on, is C++.
PACKAGES = ("base-files", "libstdc++6", "python3.11")
PYTHON = "/usr/bin/python3.11"
USER = 10001
# Raise it when the steps below change: it is part of the cached layer's key.
RECIPE = 3

_KEPT_SHARED = {"doc", "common-licenses"}
_LEFT_OUT = (
    "bin",
    "sbin",
    "usr/sbin",
    "boot",
    "media",
    "mnt",
    "srv",
    "home",
    "root",
    "var/cache",
    "var/lib/apt",
    "var/lib/misc",
    "var/backups",
    "usr/games",
    "usr/include",
    "usr/local",
    "usr/src",
    "usr/lib/dpkg",
    "usr/lib/apt",
    "etc/apt",
    "etc/alternatives",
    "etc/cron.daily",
    "etc/dpkg",
    "etc/logrotate.d",
    "etc/skel",
    "etc/update-motd.d",
)
# Modules that no service needs, the libraries that only they need, and the packages gone with them.
_STDLIB_LEFT_OUT = (
    "test",
    "idlelib",
    "tkinter",
    "turtledemo",
    "turtle.py",
    "lib2to3",
    "ensurepip",
    "pydoc_data",
    "distutils",
    "curses",
    "dbm",
    "sqlite3",
    "config-3.11-*",
    "lib-dynload/nis.*",
    "lib-dynload/_dbm.*",
    "lib-dynload/_curses*",
    "lib-dynload/readline.*",
    "lib-dynload/_sqlite3.*",
    "lib-dynload/_test*",
    "lib-dynload/_xxtest*",
    "lib-dynload/_ctypes_test.*",
)
_LIBRARIES_LEFT_OUT = (
    "libdb-5*",
    "libkrb5*",
    "krb5",
    "libgssapi*",
    "libk5crypto*",
    "libnsl*",
    "libtirpc*",
    "libkeyutils*",
    "libcom_err*",
    "libselinux*",
    "libpcre2*",
    "libform*",
    "libmenu*",
    "libpanel*",
    "libtic*",
    "libmd.*",
    "libacl*",
    "libreadline*",
    "libhistory*",
    "libncurses*",
    "libzstd*",
    "libsqlite3*",
    "libBrokenLocale*",
    "libthread_db*",
    "libpcprofile*",
    "libmemusage*",
    "libc_malloc_debug*",
    "gconv",
)
_PACKAGES_LEFT_OUT = (
    "dpkg",
    "tar",
    "mawk",
    "libacl1",
    "libcom-err2",
    "libdb5.3",
    "libgssapi-krb5-2",
    "libk5crypto3",
    "libkeyutils1",
    "libkrb5-3",
    "libkrb5support0",
    "libmd0",
    "libncursesw6",
    "libnsl2",
    "libpcre2-8-0",
    "libreadline8",
    "libselinux1",
    "libsqlite3-0",
    "libtirpc-common",
    "libtirpc3",
    "libzstd1",
    "readline-common",
)
# Leaves each package's control paragraph where vulnerability scanners look in images without dpkg.
_DESCRIBE_PACKAGES = """
mkdir -p "$1/var/lib/dpkg/status.d"
for deb in "$1"/var/cache/apt/archives/*.deb; do
    dpkg-deb --field "$deb" > "$1/var/lib/dpkg/status.d/$(dpkg-deb --field "$deb" Package)"
done
"""
_SELF_CHECK = "import asyncio, bz2, ctypes, decimal, hashlib, json, logging, lzma, ssl, uuid, zlib"


def make(to: Path, scratch: Path) -> None:
    """Fill the empty folder `to`; `scratch` holds what mmdebstrap needs meanwhile.

    Raises RefusedError when this machine lacks what it takes, CommandError when the build fails.
    """
    extract(to, scratch, SUITE, PACKAGES, _own_sources())
    _strip(to)
    _add_user(to)
    compile_python(to, "/usr/lib/python3.11")
    run(["chroot", to, PYTHON, "-I", "-c", _SELF_CHECK], timeout_s=60)


def extract(to: Path, scratch: Path, suite: str, packages: Iterable[str], sources: str | None = None) -> None:
    """Extract packages and what they need into the empty folder `to`, from `sources` or Debian's own."""
    for program in ("mmdebstrap", "setpriv", "unshare", "chroot"):
        if shutil.which(program) is None:
            raise RefusedError(f"building images needs the program {program}: apt-get install {program}")
    if os.geteuid() != 0:
        raise RefusedError("building images needs root, got user " + str(os.geteuid()))
    scratch.mkdir(parents=True)
    # The kernel ends it with all its children when this process is killed: no download outlives it.
    command: list[str | Path] = ["setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--kill-child"]
    command += [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--variant=extract",
        f"--include={','.join(packages)}",
    ]
    command += [f"--extract-hook={_DESCRIBE_PACKAGES}", suite, to, *(["-"] if sources else [])]
    surroundings = {"TMPDIR": str(scratch), "SOURCE_DATE_EPOCH": "0"}
    run(command, timeout_s=600, env=surroundings, stdin=sources)


def compile_python(root: Path, inside: str) -> None:
    """Write byte code for the folder `inside` of a root, by that root's own Python.

    The files are never checked against their sources: the root is read-only, and tars date them 1970.
    """
    run(
        ["chroot", root, PYTHON, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", inside],
        timeout_s=300,
        env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
    )


def _own_sources(etc_apt: Path = Path("/etc/apt")) -> str | None:
    """Return this machine's own entries of the suite, so that a local mirror is used; None without any."""
    found: list[str] = []
    for path in sorted([*etc_apt.glob("sources.list"), *etc_apt.glob("sources.list.d/*")]):
        if path.suffix == ".sources":
            stanzas = re.split(r"\n\s*\n", path.read_text())
            found += [stanza for stanza in stanzas if re.search(rf"(?m)^Suites:.*\s{SUITE}\b", stanza)]
        elif path.suffix == ".list":
            lines = path.read_text().splitlines()
            wanted = [line for line in lines if re.match(rf"deb\s+(\[.*\]\s+)?\S+\s+{SUITE}([-/\s]|$)", line)]
            found += ["\n".join(wanted)] if wanted else []
    # mmdebstrap reads one format or the other, so the first one wins.
    modern = [part for part in found if "Suites:" in part]
    chosen = modern or found
    return "\n\n".join(chosen) + "\n" if chosen else None


def _strip(root: Path) -> None:
    left_out = [root / name for name in _LEFT_OUT]
    left_out += [root / "var/lib/dpkg/status.d" / name for name in _PACKAGES_LEFT_OUT]
    left_out += _found(root / "usr/lib/python3.11", _STDLIB_LEFT_OUT)
    for folder in (*root.glob("lib/*-linux-gnu*"), *root.glob("usr/lib/*-linux-gnu*")):
        left_out += _found(folder, _LIBRARIES_LEFT_OUT)
    left_out += [path for path in (root / "usr/bin").iterdir() if path.name != Path(PYTHON).name]
    left_out += [path for path in (root / "usr/share").iterdir() if path.name not in _KEPT_SHARED]
    left_out += [path for path in (root / "usr/share/doc").glob("*/*") if path.name != "copyright"]
    for path in left_out:
        _remove(path)


def _found(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return [path for pattern in patterns for path in folder.glob(pattern)]


def _add_user(root: Path) -> None:
    home = f"{USER}:{USER}::/:/nonexistent"
    (root / "etc/passwd").write_text(f"root:x:0:0:root:/:/nonexistent\nservice:x:{home}\n")
    (root / "etc/group").write_text(f"root:x:0:\nservice:x:{USER}:\n")
    (root / "tmp").chmod(0o1777)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
