"""The double of AWS: ministack, in a Python environment and a process of its own, on loopback only."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from clients.marked import end_marked
from core.errors import CommandError
from core.places import cache, checkout
from core.processes import ProcessId, run
from core.uv import uv_command
from core.waiting import wait_until

# What the environments use and what is listed to see that nothing is left. Each is loaded at its first use.
SERVICES = (
    "acm",
    "autoscaling",
    "cloudfront",
    "cloudwatch",
    "dynamodb",
    "ec2",
    "eks",
    "elasticache",
    "elbv2",
    "iam",
    "kms",
    "logs",
    "rds",
    "route53",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
    "tagging",
)
REGION = "us-east-1"
# No secret: the double takes any key. They reach Terraform's process only.
ACCESS_KEY = "double"
SECRET_KEY = "double"  # noqa: S105
_ENFORCING = {"AUTH": "true", "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
# Set to the double's folder in its environment: by it the process is found if its number was never recorded.
MARK = "ECOCHAIN_VERIFY_AWS_DOUBLE"
# The port is chosen before the double binds it, so another program may be faster.
_START_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class AwsDouble:
    """A running double: its process, its address, and the folder of its log and temporary files."""

    process: ProcessId
    endpoint_url: str
    folder: Path
    child: subprocess.Popen[bytes] | None = field(default=None, compare=False, repr=False)

    @property
    def credentials(self) -> dict[str, str]:
        """Environment variables that make an AWS client talk to this double, whatever the service."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL": self.endpoint_url,
        }

    def alive(self) -> bool:
        """Tell whether the double still runs; when it does not, what it held is gone with it."""
        return self.process.alive()

    def stop(self) -> None:
        """End the process and whatever it started; everything it held is gone. May be called again."""
        self.process.end(grace_s=3)
        if self.child is not None:
            self.child.wait()
        end_leftovers(self.folder)


def end_leftovers(folder: Path) -> int:
    """End every process of a double that was started with `folder`, recorded or not; return how many."""
    return end_marked(MARK, str(folder))


def interpreter() -> Path:
    """Return the Python that can run the double, building its environment in the cache the first time.

    The environment is separate because its pins conflict with the harness's. Raises RefusedError without
    uv, CommandError if the packages cannot be installed.
    """
    pins = hashlib.sha256((checkout() / "uv.lock").read_bytes() + sys.version.encode()).hexdigest()[:16]
    place = cache() / f"aws-double-{pins}"
    python, complete = place / "bin" / "python", place / ".complete"
    place.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{place}.lock"):
        if not complete.exists():
            command = [
                *uv_command(),
                "sync",
                "--frozen",
                "--only-group",
                "aws-double",
                "--no-install-project",
            ]
            run(
                [*command, "--project", checkout(), "--python", sys.executable],
                timeout_s=300,
                env={"UV_PROJECT_ENVIRONMENT": str(place), "UV_PYTHON_DOWNLOADS": "never"},
            )
            complete.touch()
    return python


def start(
    folder: Path,
    *,
    record: Callable[[Mapping[str, object]], None],
    timeout_s: float = 30.0,
    enforce: bool = False,
) -> AwsDouble:
    """Start a double that keeps its files in `folder`, and return once it answers.

    With `enforce` it takes only keys that it knows, and refuses what their IAM policies do not allow; the
    double's own keys are the account's root.

    `record` gets a line with the intent before the process starts and one with its number right after.
    Raises RefusedError without uv, EnvironmentFailedError if it does not answer within `timeout_s` seconds;
    no process is left then.
    """
    python = interpreter()
    folder.mkdir(parents=True, exist_ok=True)
    for _ in range(_START_ATTEMPTS):
        port = _free_port()
        endpoint_url = f"http://127.0.0.1:{port}"
        record({"kind": "double.starting", "folder": str(folder), "endpoint_url": endpoint_url})
        with (folder / "double.log").open("ab") as log:
            child = subprocess.Popen(
                [str(python), "-m", "ministack.app"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=folder,
                env=_environ(folder, port, enforce=enforce),
                start_new_session=True,
            )
        process = ProcessId.of(child.pid)
        if process is None:  # it ended at once
            child.wait()
            continue
        record({"kind": "double.started", "pid": process.pid, "start_ticks": process.start_ticks})
        double = AwsDouble(process=process, endpoint_url=endpoint_url, folder=folder, child=child)
        try:
            wait_until(
                f"the AWS double on {endpoint_url} to answer",
                lambda double=double: _answers(double) or not double.alive(),  # type: ignore[misc]
                timeout_s,
            )
        except BaseException:
            double.stop()
            raise
        if double.alive():
            return double
        double.stop()  # another program took the port between the choice and the bind
    tail = (folder / "double.log").read_text(errors="replace")
    raise CommandError([str(python), "-m", "ministack.app"], f"ended at once {_START_ATTEMPTS} times", tail)


def _answers(double: AwsDouble) -> bool:
    # Without a proxy: the address is on loopback, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{double.endpoint_url}/_ministack/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _environ(folder: Path, port: int, *, enforce: bool) -> dict[str, str]:
    """Return a bare environment: nothing of the user's reaches the double, and its files stay in `folder`."""
    return {
        MARK: str(folder),
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "STATE_DIR": str(folder / "state"),
        "S3_DATA_DIR": str(folder / "s3"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "SERVICES": ",".join(SERVICES),
        "PERSIST_STATE": "0",
        "LOG_LEVEL": "WARNING",
        "PYTHONDONTWRITEBYTECODE": "1",
        **(_ENFORCING if enforce else {}),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
