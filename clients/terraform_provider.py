"""A provider that is started once for several commands of Terraform, which then only connect to it.

Terraform hashes its provider (AWS': 675 MB) twice in each `init` and once in every other command, and starts
it anew for each phase. A provider that runs already (HashiCorp's way to debug one) is neither hashed nor
started, and needs no `init` to install it. So the hashing is done here, once for a file as it lies there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import selectors
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from clients.marked import end_marked
from core.errors import CommandError
from core.files import write_atomic

# Set to the folder of the environment: by it the provider is found after a crash. It is not Terraform's mark,
# since the provider has to outlive a Terraform that is told to stop.
MARK = "ECOCHAIN_VERIFY_TERRAFORM_PROVIDER"
_START_S = 30.0
_SAID = re.compile(r"TF_REATTACH_PROVIDERS='(.*)'")


def locked_program(mirror: Path, lock: Path, *, registry: str, provider: str, checked: Path) -> Path | None:
    """Return the provider's program in `mirror` that Terraform's lock file `lock` allows, None if none is.

    Its checksum must be one of the lock's. That it was is noted in the file `checked` with the size and
    the times of what was read, so that it is read again only when it changed.
    """
    text = lock.read_text() if lock.is_file() else ""
    locked = text.partition(f'provider "{registry}/{provider}" {{\n')[2].partition("\n}")[0]
    version = re.search(r'^\s*version\s*=\s*"([^"]+)"', locked, re.MULTILINE)
    if version is None:
        return None
    package = mirror / registry / provider / version[1] / "linux_amd64"
    programs = sorted(package.glob("terraform-provider-*"))
    if len(programs) != 1:
        return None  # no such version, or packed
    files = sorted((path for path in package.rglob("*") if path.is_file()), key=Path.as_posix)
    key = [[str(path), path.stat().st_size, path.stat().st_mtime_ns, path.stat().st_ino] for path in files]
    try:
        known = json.loads(checked.read_text())
    except (OSError, ValueError):
        known = None
    if known is None or known["files"] != key:
        known = {"files": key, "hash": _hash(package, files)}
        checked.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(checked, json.dumps(known))
    return programs[0] if f'"{known["hash"]}"' in locked else None


@contextmanager
def serving(
    program: Path, folder: Path, *, name: str, environ: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Run the provider `name` ("registry.terraform.io/hashicorp/aws"); give what leads to it.

    It is ended afterwards. Raises CommandError if it does not start.
    """
    log = folder / "provider.err"
    command = [str(program), "-debug"]
    with log.open("wb") as errors:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**environ, MARK: str(folder)},
                start_new_session=True,
            )
        except OSError as error:
            raise CommandError(command, "not started", str(error)) from error
    try:
        said = _said(process)
        if said is None:
            raise CommandError(command, "no address", log.read_text(errors="replace"))
        # It names itself by Terraform's registry, whoever starts it.
        [address] = json.loads(said).values()
        yield {"TF_REATTACH_PROVIDERS": json.dumps({name: address})}
    finally:
        process.kill()  # Terraform is done with it, or was told to stop and has been waited for
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def end_leftovers(folder: Path) -> int:
    """End every provider that was started for `folder`; return how many there were."""
    return end_marked(MARK, str(folder))


def _said(process: subprocess.Popen[bytes]) -> str | None:
    """Return the line that leads to the provider, None if it does not say it in time."""
    assert process.stdout is not None
    deadline, text = time.monotonic() + _START_S, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while selector.select(max(deadline - time.monotonic(), 0)):
            some = os.read(process.stdout.fileno(), 4096)
            text += some
            found = _SAID.search(text.decode(errors="replace"))
            if found or not some:
                return found[1] if found else None
    return None


def _hash(package: Path, files: list[Path]) -> str:
    """Return Terraform's own checksum of an unpacked provider ("h1:…")."""
    lines = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.update(f"{digest}  {path.relative_to(package).as_posix()}\n".encode())
    return f"h1:{base64.b64encode(lines.digest()).decode()}"
