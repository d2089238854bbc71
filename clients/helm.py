"""The seam over the Helm 4 program.

Every call names its kubeconfig and context, so that a release never lands in whatever cluster happens to
be current. Values, which may hold what must not be shown, travel in files, not on the command line.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from core.errors import CommandError, SettingsError

# Helm stops by itself after its --timeout, then may roll back for as long again; only then is it stuck.
_GRACE_S = 30.0
_SHORT_S = 60.0
_IMAGE = re.compile(r"@(sha256:[0-9a-f]{64})\b")


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One revision of a release, as Helm's history tells it."""

    number: int
    status: str
    chart: str
    app_version: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What one revision put into the cluster: its YAML text."""

    text: str

    @property
    def sha256(self) -> str:
        """Return the digest of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def image_digests(self) -> list[str]:
        """Return the image digests that the workloads pin, sorted, without repeats."""
        return sorted(set(_IMAGE.findall(self.text)))

    def documents(self) -> list[dict[str, Any]]:
        """Return the Kubernetes objects."""
        return [document for document in yaml.safe_load_all(self.text) if document]


@dataclass(frozen=True, kw_only=True)
class Helm:
    """Helm, for one cluster: `program`, `kubeconfig` and `context` are used as given, never the defaults.

    Without a kubeconfig only `lint`, `template` and `render_check` work: they ask no cluster.
    """

    program: Path
    kubeconfig: Path | None = None
    context: str | None = None
    home: Path | None = None

    def render_check(
        self,
        release: str,
        chart: Path,
        *,
        values_files: Sequence[Path] = (),
        values: Mapping[str, Any] | None = None,
        namespace: str = "default",
    ) -> Manifest:
        """Render the chart without a cluster; raises SettingsError that names the chart."""
        for path in (chart, *values_files):
            if not path.exists():
                raise SettingsError(path, "path", "a chart folder or a values file", "nothing there")
        try:
            return self.template(
                release, chart, values_files=values_files, values=values, namespace=namespace
            )
        except CommandError as error:
            if isinstance(error.status, str):  # Helm is missing or hung: not the chart's fault.
                raise
            files = ", ".join(path.name for path in values_files) or "its own values"
            raise SettingsError(
                chart, "render", f"a chart that renders with {files}", _reason(error.output)
            ) from error

    def template(
        self,
        release: str,
        chart: Path,
        *,
        values_files: Sequence[Path] = (),
        values: Mapping[str, Any] | None = None,
        namespace: str = "default",
    ) -> Manifest:
        """Render the chart without a cluster; raises CommandError."""
        arguments = ["template", release, str(chart), "--namespace", namespace]
        return Manifest(text=self._run([*arguments, *_files(values_files)], _SHORT_S, values=values))

    def lint(
        self, chart: Path, *, values_files: Sequence[Path] = (), values: Mapping[str, Any] | None = None
    ) -> None:
        """Check the chart strictly; raises CommandError with Helm's findings."""
        self._run(["lint", str(chart), "--strict", *_files(values_files)], _SHORT_S, values=values)

    def upgrade_install(
        self,
        release: str,
        chart: Path,
        *,
        namespace: str,
        timeout_s: float,
        values_files: Sequence[Path] = (),
        values: Mapping[str, Any] | None = None,
        rollback_on_failure: bool = True,
        wait: bool = True,
        keep_values: bool = False,
    ) -> None:
        """Install the release, or upgrade it to exactly these values (nothing of the last ones is kept).

        With `keep_values`, those of the last release stay where these say nothing.

        With `wait`, return once every workload is fully rolled out. With `rollback_on_failure`, a failed
        upgrade is undone first, and a failed first install removed. Then, and on time-out, raises
        CommandError; the release's state is for `history` to tell.
        """
        kept = "--reuse-values" if keep_values else "--reset-values"
        arguments = ["upgrade", release, str(chart), "--install", kept, "--namespace", namespace]
        arguments += [
            "--create-namespace",
            "--timeout",
            f"{timeout_s:g}s",
            "--output",
            "json",
            "--hide-notes",
        ]
        arguments += [f"--wait={'watcher' if wait else 'hookOnly'}"]
        arguments += ["--rollback-on-failure"] if rollback_on_failure else []
        limit_s = timeout_s * (2 if rollback_on_failure else 1) + _GRACE_S
        self._run([*arguments, *_files(values_files)], limit_s, values=values, cluster=True)

    def rollback(
        self, release: str, *, namespace: str, timeout_s: float, revision: int = 0, wait: bool = True
    ) -> None:
        """Go back to a revision (0: the one before this); raises CommandError."""
        arguments = ["rollback", release, str(revision), "--namespace", namespace]
        arguments += ["--timeout", f"{timeout_s:g}s", f"--wait={'watcher' if wait else 'hookOnly'}"]
        self._run(arguments, timeout_s + _GRACE_S, cluster=True)

    def uninstall(self, release: str, *, namespace: str, timeout_s: float, wait: bool = True) -> None:
        """Remove the release; none there is a success. With `wait`, its objects are gone on return."""
        arguments = ["uninstall", release, "--namespace", namespace, "--ignore-not-found"]
        arguments += ["--timeout", f"{timeout_s:g}s"]
        arguments += ["--wait=watcher", "--cascade", "foreground"] if wait else ["--wait=hookOnly"]
        self._run(arguments, timeout_s + _GRACE_S, cluster=True)

    def history(self, release: str, *, namespace: str) -> list[Revision]:
        """Return the kept revisions, oldest first; none if there is no such release."""
        try:
            text = self._run(
                ["history", release, "--namespace", namespace, "--output", "json"], _SHORT_S, cluster=True
            )
        except CommandError as error:
            if "release: not found" in error.output:
                return []
            raise
        return [
            Revision(
                number=int(item["revision"]),
                status=item["status"],
                chart=item["chart"],
                app_version=item.get("app_version", ""),
                description=item.get("description", ""),
            )
            for item in json.loads(text)
        ]

    def current(self, release: str, *, namespace: str) -> Revision | None:
        """Return the newest revision, whatever its status; None if there is no such release."""
        return max(self.history(release, namespace=namespace), key=lambda found: found.number, default=None)

    def status(self, release: str, *, namespace: str, revision: int | None = None) -> dict[str, Any]:
        """Return Helm's own status document of the release; raises CommandError if there is none."""
        arguments = ["status", release, "--namespace", namespace, "--output", "json"]
        arguments += ["--revision", str(revision)] if revision else []
        document: dict[str, Any] = json.loads(self._run(arguments, _SHORT_S, cluster=True))
        return document

    def manifest(self, release: str, *, namespace: str, revision: int | None = None) -> Manifest:
        """Return what a revision (the newest by default) put into the cluster."""
        arguments = ["get", "manifest", release, "--namespace", namespace]
        arguments += ["--revision", str(revision)] if revision else []
        return Manifest(text=self._run(arguments, _SHORT_S, cluster=True))

    def _run(
        self,
        arguments: Sequence[str],
        timeout_s: float,
        *,
        values: Mapping[str, Any] | None = None,
        cluster: bool = False,
    ) -> str:
        """Run Helm in a process group of its own, so that a hung one dies with whatever it started."""
        target = self._target() if cluster else []
        with tempfile.TemporaryDirectory(prefix="ecochain-helm-") as scratch:
            command = [str(self.program), *arguments, *target]
            if values:
                overrides = Path(scratch) / "values.yaml"
                overrides.touch(mode=0o600)
                overrides.write_text(yaml.safe_dump(dict(values)))
                command += ["--values", str(overrides)]
            return _output(command, timeout_s, self._environment(Path(scratch)))

    def _target(self) -> list[str]:
        if self.kubeconfig is None:
            raise SettingsError("helm", "kubeconfig", "the file of the cluster to deploy to", None)
        named = ["--kube-context", self.context] if self.context else []
        return ["--kubeconfig", str(self.kubeconfig), *named]

    def _environment(self, scratch: Path) -> dict[str, str]:
        """Keep Helm off the user's own settings, repositories, plugins and current cluster."""
        home = self.home or scratch
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HELM_", "KUBE")) and name != "XDG_CONFIG_HOME"
        }
        private = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
        return {**kept, **private, "KUBECONFIG": str(self.kubeconfig or scratch / "none")}


def _output(command: list[str], timeout_s: float, environment: Mapping[str, str]) -> str:
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError as error:
        raise CommandError(command, "not started", str(error)) from error
    try:
        stdout, stderr = child.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        _end_group(child)
        raise CommandError(command, f"none within {timeout_s:g} s", "") from error
    except BaseException:
        _end_group(child)  # Ctrl-C: a Helm left running would go on changing the cluster.
        raise
    if child.returncode:
        raise CommandError(command, child.returncode, stdout + stderr)
    return stdout


def _end_group(child: subprocess.Popen[str]) -> None:
    """Interrupt Helm, so that it marks the release as failed, and kill what has not ended 5 s later."""
    for number, grace_s in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        try:
            child.communicate(timeout=grace_s)
        except subprocess.TimeoutExpired:
            continue
        return


def _files(values_files: Sequence[Path]) -> list[str]:
    return [part for path in values_files for part in ("--values", str(path))]


def _reason(output: str) -> str:
    """Return Helm's own reason as one line, without its log and its hints about flags."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    useful = [line for line in lines if not line.startswith(("Use --debug", "level="))]
    return " ".join(useful).removeprefix("Error: ")
