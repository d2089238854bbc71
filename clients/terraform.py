"""The seam to Terraform (or OpenTofu): the real program, run on a copy, its state outside the checkout."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clients import terraform_provider
from clients.terraform_process import Progress, Told, diagnostics, events, stop, unfinished, wait
from core.errors import CommandError, RefusedError
from core.files import write_atomic
from core.processes import run

MINIMUM_VERSION = (1, 9)
PROGRAM_VARIABLE = "ECOCHAIN_VERIFY_TERRAFORM"
# Set for Terraform and inherited by its provider: by it both are found after a crash.
MARK = "TF_DATA_DIR"

VARIABLES_FILE = "terraform.tfvars.json"
# The one that the environments need.
PROVIDER = "hashicorp/aws"

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
    subprocess gets; of the AWS_* and TF_* variables around, none reaches it. `provider` is the program of
    the root's only provider, whose checksum was compared, for `serving`; without it Terraform starts its own.
    """

    def __init__(
        self,
        *,
        program: Program,
        folder: Path,
        environment: str,
        cli_config: Path | None,
        credentials: Mapping[str, str],
        provider: Path | None = None,
    ) -> None:
        self.folder = folder
        self._program = program
        self._root = folder / "work" / "environments" / environment
        self._environment = environment
        self.cli_config = cli_config
        self.provider = provider
        self._credentials = dict(credentials)
        self._served: dict[str, str] = {}
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

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Have the steps within share one process of the provider, if its program is known.

        They must begin with `init`, or follow one that was served as well: it installed no provider.
        Raises CommandError if the provider does not start.
        """
        if self.provider is None:
            yield
            return
        name = f"{self._program.registry}/{PROVIDER}"
        # Without Terraform's mark: who ends a Terraform must not end its provider while it creates something.
        environ = {key: value for key, value in self._environ().items() if key != MARK}
        with terraform_provider.serving(self.provider, self.folder, name=name, environ=environ) as served:
            self._served = served
            try:
                yield
            finally:
                self._served = {}

    def init(self, *, timeout_s: float, backend: Mapping[str, str] | None = None) -> None:
        """Install the provider and set the state's place, by default `state_file`. Raises CommandError."""
        given = {"path": str(self.state_file)} if backend is None else backend
        self._run("init", ["init", *(f"-backend-config={key}={given[key]}" for key in given)], timeout_s)

    def plan(self, targets: Sequence[str] = (), *, timeout_s: float) -> Path:
        """Decide what `apply` will do, to `targets` or all; return the file that says it in words.

        `targets` are addresses. Nothing is changed. Raises CommandError.
        """
        chosen = [f"-target={address}" for address in targets]
        try:
            text = self._run("plan", ["plan", f"-out={self._planned}", *chosen], timeout_s)
        except CommandError as error:
            raise self._in_words(error, "plan") from error
        file = self.folder / "plan.txt"
        write_atomic(file, text, mode=0o600)
        return file

    def apply(self, *, timeout_s: float, progress: Progress | None = None) -> list[Change]:
        """Do what was planned, else what the configuration says; return what was done.

        `progress` gets a line every few seconds. Raises CommandError; after a failure, a time-out or
        `cancel` the state holds what was created until then.
        """
        planned = [str(self._planned)] if self._planned.exists() else []
        try:
            return self._change("apply", timeout_s, planned, progress)
        finally:
            self._planned.unlink(missing_ok=True)  # it holds every variable, and is stale from now on

    def drift(self, *, timeout_s: float) -> list[str]:
        """Return what an apply would change now, as "address: action"; nothing is changed or locked.

        That includes what was changed behind Terraform's back. Raises CommandError.
        """
        argv = ["plan", "-detailed-exitcode", "-json", "-lock=false"]
        try:
            log = self._run("drift", argv, timeout_s, accept=(0, 2))
        except CommandError as error:
            raise self._explained(error, "plan") from error
        found = {}
        for event in events(log):
            if event.get("type") == "planned_change":
                change = event["change"]
                found[change["resource"]["addr"]] = change["action"]
        return [f"{address}: {action}" for address, action in sorted(found.items()) if action != "read"]

    def destroy(self, *, timeout_s: float) -> list[Change]:
        """Destroy everything in the state; return what was done. Raises CommandError."""
        return self._change("destroy", timeout_s)

    def outputs(self) -> dict[str, Any]:
        """Return the root module's outputs by name, from the local state.

        Terraform itself would hash its provider first, which takes seconds.
        """
        held = json.loads(self.state_file.read_text())["outputs"]
        return {name: output["value"] for name, output in held.items()}

    def cancel(self) -> None:
        """Make a step that another thread runs stop soon, its state saved; later steps refuse to start."""
        self._cancelled.set()

    @property
    def _planned(self) -> Path:
        return self.folder / "plan.bin"

    def _change(
        self, step: str, timeout_s: float, more: Sequence[str] = (), progress: Progress | None = None
    ) -> list[Change]:
        try:
            log = self._run(step, [step, "-auto-approve", "-json", *more], timeout_s, progress=progress)
        except CommandError as error:
            raise self._explained(error, step) from error
        return [
            Change(
                address=event["hook"]["resource"]["addr"],
                action=event["hook"]["action"],
                seconds=float(event["hook"]["elapsed_seconds"]),
            )
            for event in events(log)
            if event.get("type") == "apply_complete" and event["hook"]["action"] != "read"
        ]

    def _explained(self, error: CommandError, step: str) -> CommandError:
        """Return the error with Terraform's diagnostics, a line each, in place of its log."""
        lines = [
            f"{found.get('address', '')} {found['summary']}: {' '.join(found['detail'].split())}".strip()
            for found in diagnostics(error.output)
            if found["summary"] != "execution halted"  # its own interruption, nothing of the cause
        ]
        if isinstance(error.status, str):  # it did not come to an end by itself
            lines += [f"{address}: not finished" for address in unfinished(error.output)]
        return (
            CommandError([str(self._program.path), step], error.status, "\n".join(lines)) if lines else error
        )

    def _in_words(self, error: CommandError, step: str) -> CommandError:
        """Return the error with what Terraform says is wrong, in place of its log."""
        text = "\n".join(line.lstrip("│╷╵ ") for line in error.output.splitlines())
        _, found, words = text.partition("Error: ")
        return CommandError([str(self._program.path), step], error.status, words) if found else error

    def _run(
        self,
        step: str,
        arguments: list[str],
        timeout_s: float,
        *,
        accept: Sequence[int] = (0,),
        progress: Progress | None = None,
    ) -> str:
        """Run Terraform in a process group of its own and return its standard output.

        It writes to a file, not to a pipe: a pipe that breaks when this process dies would kill Terraform
        in the middle of a creation, and what is being created would be in no state.
        """
        argv = [str(self._program.path), arguments[0], "-no-color", "-input=false", *arguments[1:]]
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
                told = Told(step, output, progress) if progress else None
                ended = wait(process, timeout_s, self._cancelled, told)
            finally:
                stop(process)
        text = output.read_text(errors="replace")
        status: int | str = process.returncode
        if ended is not None:
            status = f"none within {timeout_s:g} s" if ended == "late" else "cancelled"
        if status not in accept:
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
        if self.cli_config is not None:
            own["TF_CLI_CONFIG_FILE"] = str(self.cli_config)
        temporary = self.folder / "t"
        if len(str(temporary)) <= _SOCKET_FOLDER_MAX:
            temporary.mkdir(exist_ok=True)
            own["TMPDIR"] = str(temporary)
        return {**inherited, **own, **self._credentials, **self._served}


def require_root(source: Path, environment: str) -> Path:
    """Return the root module's folder of `environment`; raises RefusedError if there is none."""
    root = source / "environments" / environment
    if not (root / "main.tf").is_file():
        raise RefusedError(f"{root}: no Terraform configuration of an environment (main.tf) is there")
    return root
