"""The seam to Terraform (or OpenTofu): the real program, run on a copy, its state outside the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import CommandError, RefusedError
from core.files import write_atomic
from core.processes import run

MINIMUM_VERSION = (1, 9)
PROGRAM_VARIABLE = "ECOCHAIN_VERIFY_TERRAFORM"
# Set for Terraform and inherited by its provider: by it both are found after a crash.
MARK = "TF_DATA_DIR"

VARIABLES_FILE = "terraform.tfvars.json"

# Longest path that leaves room for a provider's socket in it (sun_path holds 108 bytes).
_SOCKET_FOLDER_MAX = 80


@dataclass(frozen=True, kw_only=True)
class Program:
    """The Terraform or OpenTofu found on this machine."""

    path: Path
    version: tuple[int, ...]
    registry: str

    @classmethod
    def find(cls) -> Program:
        """Find `$ECOCHAIN_VERIFY_TERRAFORM`, else terraform, else tofu on PATH.

        Raises RefusedError if there is none or it is older than 1.9.
        """
        named = os.environ.get(PROGRAM_VARIABLE)
        candidates = [named] if named else ["terraform", "tofu"]
        path = next((found for name in candidates if (found := shutil.which(name))), None)
        if path is None:
            hint = (
                f"${PROGRAM_VARIABLE}={named}: no such program"
                if named
                else "neither terraform nor tofu is on PATH"
            )
            raise RefusedError(f"Terraform: {hint}; expected version 1.9 or later")
        quiet = {"CHECKPOINT_DISABLE": "1", "TF_CLI_CONFIG_FILE": os.devnull}
        try:
            answer = run([path, "version", "-json"], timeout_s=30, env=quiet).stdout
            text = str(json.loads(answer)["terraform_version"])
        except (CommandError, ValueError, KeyError) as error:
            raise RefusedError(f"Terraform: {path} version -json gave no version: {error}") from error
        version = tuple(int(part) for part in re.findall(r"\d+", text)[:3])
        if version[:2] < MINIMUM_VERSION:
            raise RefusedError(f"Terraform: {path} is {text}; expected version 1.9 or later")
        tofu = "tofu" in Path(path).name
        registry = "registry.opentofu.org" if tofu else "registry.terraform.io"
        return cls(path=Path(path), version=version, registry=registry)


@dataclass(frozen=True, kw_only=True)
class Change:
    """One resource that Terraform finished with: its address, "create", "delete"…, and how long it took."""

    address: str
    action: str
    seconds: float


class Terraform:
    """One root module in a working folder of its own.

    `folder` holds everything: the copy of the configuration (work/), the state (terraform.tfstate), the
    logs of the steps and the CLI configuration. `credentials` are environment variables that only the
    subprocess gets; of the AWS_* and TF_* variables around, none reaches it.
    """

    def __init__(
        self,
        *,
        program: Program,
        folder: Path,
        environment: str,
        cli_config: Path | None,
        credentials: Mapping[str, str],
    ) -> None:
        self.folder = folder
        self._program = program
        self._root = folder / "work" / "environments" / environment
        self._environment = environment
        self._cli_config = cli_config
        self._credentials = dict(credentials)
        self._cancelled = threading.Event()

    @property
    def state_file(self) -> Path:
        """The local state file; absent until something was created."""
        return self.folder / "terraform.tfstate"

    def prepare(self, source: Path, variables: Mapping[str, object]) -> None:
        """Copy modules and the environment's root module from `source`, and write the variables beside them.

        Terraform writes next to what it reads; the copy keeps that out of the checkout, and lets a later
        run destroy with the very configuration that was applied.
        """
        for part in (Path("modules"), Path("environments") / self._environment):
            shutil.copytree(
                source / part,
                self.folder / "work" / part,
                ignore=shutil.ignore_patterns(".terraform", "*.tfstate*", "*.tfvars*"),
                dirs_exist_ok=True,
            )
        machine = os.uname()
        if (machine.sysname, machine.machine) != ("Linux", "x86_64") or "opentofu" in self._program.registry:
            # The committed lock holds the checksum for linux_amd64 from Terraform's registry alone.
            (self._root / ".terraform.lock.hcl").unlink(missing_ok=True)
        write_atomic(self._root / VARIABLES_FILE, json.dumps(dict(variables), indent=1), mode=0o600)

    def init(self, *, timeout_s: float) -> None:
        """Install the provider and set the state's place. Raises CommandError."""
        self._run("init", ["init", f"-backend-config=path={self.state_file}"], timeout_s)

    def apply(self, *, timeout_s: float) -> list[Change]:
        """Create or change what the configuration says; return what was done.

        Raises CommandError; after a failure, a time-out or `cancel` the state holds what was created until
        then.
        """
        return self._change("apply", timeout_s)

    def destroy(self, *, timeout_s: float) -> list[Change]:
        """Destroy everything in the state; return what was done. Raises CommandError."""
        return self._change("destroy", timeout_s)

    def outputs(self, *, timeout_s: float = 60) -> dict[str, Any]:
        """Return the root module's outputs by name. Raises CommandError."""
        log = self._run("output", ["output", "-json"], timeout_s)
        return {name: output["value"] for name, output in json.loads(log).items()}

    def cancel(self) -> None:
        """Make a step that another thread runs stop soon, its state saved; later steps refuse to start."""
        self._cancelled.set()

    def _change(self, step: str, timeout_s: float) -> list[Change]:
        try:
            log = self._run(step, [step, "-auto-approve", "-json"], timeout_s)
        except CommandError as error:
            raise self._explained(error, step) from error
        return [
            Change(
                address=event["hook"]["resource"]["addr"],
                action=event["hook"]["action"],
                seconds=float(event["hook"]["elapsed_seconds"]),
            )
            for event in _events(log)
            if event.get("type") == "apply_complete" and event["hook"]["action"] != "read"
        ]

    def _explained(self, error: CommandError, step: str) -> CommandError:
        """Return the error with Terraform's diagnostics, a line each, in place of its log."""
        lines = [
            f"{found.get('address', '')} {found['summary']}: {' '.join(found['detail'].split())}".strip()
            for found in diagnostics(error.output)
        ]
        return (
            CommandError([str(self._program.path), step], error.status, "\n".join(lines)) if lines else error
        )

    def _run(self, step: str, arguments: list[str], timeout_s: float) -> str:
        """Run Terraform in a process group of its own and return its standard output.

        It writes to a file, not to a pipe: a pipe that breaks when this process dies would kill Terraform
        in the middle of a creation, and what is being created would be in no state.
        """
        argv = [str(self._program.path), arguments[0], *_flags(arguments[0]), *arguments[1:]]
        if self._cancelled.is_set():
            raise CommandError(argv, "not started", "cancelled")
        output, errors = self.folder / f"{step}.out", self.folder / f"{step}.err"
        with output.open("wb") as out, errors.open("wb") as err:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                cwd=self._root,
                env=self._environ(),
                start_new_session=True,
            )
            try:
                ended = _wait(process, timeout_s, self._cancelled)
            finally:
                _stop(process)
        text = output.read_text(errors="replace")
        status: int | str = process.returncode
        if ended is not None:
            status = f"none within {timeout_s:g} s" if ended == "late" else "cancelled"
        if status != 0:
            raise CommandError(argv, status, text + errors.read_text(errors="replace"))
        return text

    def _environ(self) -> dict[str, str]:
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))
        }
        own = {
            MARK: str(self.folder / "data"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": ",".join(filter(None, [os.environ.get("NO_PROXY"), "127.0.0.1,localhost"])),
            # The provider spends a third of its time collecting garbage while it builds its schema.
            "GOGC": os.environ.get("GOGC", "300"),
        }
        if self._cli_config is not None:
            own["TF_CLI_CONFIG_FILE"] = str(self._cli_config)
        temporary = self.folder / "t"
        if len(str(temporary)) <= _SOCKET_FOLDER_MAX:
            temporary.mkdir(exist_ok=True)
            own["TMPDIR"] = str(temporary)
        return {**inherited, **own, **self._credentials}


def _flags(command: str) -> list[str]:
    return ["-no-color"] if command == "output" else ["-no-color", "-input=false"]


def diagnostics(log: str) -> list[dict[str, Any]]:
    """Return the errors, as Terraform gives them, in the output of a step run with -json."""
    found = [event["diagnostic"] for event in _events(log) if event.get("type") == "diagnostic"]
    return [diagnostic for diagnostic in found if diagnostic["severity"] == "error"]


def _events(log: str) -> list[dict[str, Any]]:
    events = []
    for line in log.splitlines():
        if line.startswith("{"):
            try:
                events.append(json.loads(line))
            except ValueError:
                continue  # the line that was being written when Terraform was killed
    return events


def _wait(process: subprocess.Popen[bytes], timeout_s: float, cancelled: threading.Event) -> str | None:
    deadline = time.monotonic() + timeout_s
    while process.poll() is None:
        if cancelled.is_set():
            return "cancelled"
        if time.monotonic() > deadline:
            return "late"
        time.sleep(0.05)
    return None


def _stop(process: subprocess.Popen[bytes], *, grace_s: float = 30.0) -> None:
    """Interrupt Terraform once, which makes it save its state and end; kill its group after `grace_s`."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # the provider, if Terraform left it behind
    process.wait()


def require_root(source: Path, environment: str) -> Path:
    """Return the root module's folder of `environment`; raises RefusedError if there is none."""
    root = source / "environments" / environment
    if not (root / "main.tf").is_file():
        raise RefusedError(f"{root}: no Terraform configuration of an environment (main.tf) is there")
    return root
