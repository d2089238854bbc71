"""The stores' images: small, without what they do not need, and able to run as their charts have them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import RefusedError
from lab import stores


def test_valkey_starts_by_the_shell_and_answers_its_password(layout: Callable, tmp_path: Path) -> None:
    """As the chart has it: settings by standard input, a probe by the client and grep."""
    found = layout(stores.build("valkey"))
    environment = dict(item.split("=", 1) for item in found.config["config"]["Env"])
    root = found.unpack(tmp_path)
    (root / "run").mkdir()
    (root / "dev").mkdir()
    (root / "dev/null").touch()
    script = """
        valkey-server - <<END >/log &
        port 0
        unixsocket /run/socket
        requirepass secret
        save ""
        END
        server=$! tries=0
        while [ $((tries += 1)) -lt 1000 ]; do
            REDISCLI_AUTH=secret valkey-cli -s /run/socket ping | grep -qx PONG && break
        done
        valkey-cli -s /run/socket ping
        REDISCLI_AUTH=$(cat /password) valkey-cli -s /run/socket ping
        kill $server
    """
    (root / "password").write_text("secret")
    script = "\n".join(line.strip() for line in script.splitlines())
    argv = [shutil.which("chroot") or "chroot", str(root), "/bin/sh", "-c", script]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert list(filter(None, done.stdout.splitlines()))[-2:] == [
        "NOAUTH Authentication required.",
        "PONG",
    ]


@pytest.mark.parametrize(("store", "largest_mib"), [("ferretdb", 40), ("valkey", 25)])
def test_a_store_image_is_small_and_runs_as_nobody(layout: Callable, store: str, largest_mib: int) -> None:
    """No package manager, no set-uid program, and the user that the charts give it."""
    image = stores.build(store)
    found = layout(image)
    assert sum(len(found.blob(digest)) for digest in found.layers) < largest_mib * 2**20
    assert found.config["config"]["User"] == "10001:10001"
    names = [member.name for member in found.members()]
    assert not any("dpkg" in name or name.endswith("/apt") for name in names)
    assert not any(member.mode & 0o6000 for member in found.members())
    assert stores.build(store).digest == image.digest


def test_an_unknown_store_is_refused() -> None:
    """With the names that there are."""
    with pytest.raises(RefusedError, match="ferretdb or valkey, got 'etcd'"):
        stores.build("etcd")
