"""What the lab needs of the machine is checked before anything else, and told in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.errors import RefusedError
from lab import preflight


def test_another_system_than_linux_is_refused() -> None:
    """The line names the system, and the way out."""
    with pytest.raises(RefusedError, match=r"^the lab runs on Linux only, this is darwin; use --env .*$"):
        preflight.check(platform="darwin", uid=0)


def test_a_user_who_is_not_root_is_refused() -> None:
    """The line says what root is needed for."""
    with pytest.raises(RefusedError, match=r"^the lab needs root, for network namespaces and cgroups; .*$"):
        preflight.check(platform="linux", uid=1000)


def test_every_missing_package_is_named_once() -> None:
    """Two programs of one package give one name; what is there is not named."""

    def which(name: str) -> str | None:
        return None if name in ("nsenter", "unshare", "runc") else shutil.which("sh")

    with pytest.raises(RefusedError, match="packages runc, util-linux; ") as error:
        preflight.check(platform="linux", uid=0, which=which)
    assert "iproute2" not in str(error.value)


def test_too_few_watches_for_a_lab_are_refused_by_the_name_of_the_limit() -> None:
    """What was tried is given back, and a machine that has them is let through."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(RefusedError, match=r"needs 40 .* for 3 nodes, the kernel has 7 left; .*max_user_ins"):
        preflight.check_watches(3, limit=7)
    preflight.check_watches(1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
