"""How the seam calls Helm, seen by a program that stands in for it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from clients.helm import Helm
from core.errors import CommandError, SettingsError
from core.processes import ProcessId
from core.waiting import wait_until

KUBECONFIG = "the-kubeconfig"


class Stand:
    """A program in Helm's place: notes how it was called, then runs `does`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.seam = Helm(program=folder / "helm", kubeconfig=folder / KUBECONFIG, context="there")

    def does(self, script: str) -> None:
        text = (
            "#!/bin/sh\n"
            f'for word; do printf "%s\\n" "$word"; done > {self._folder}/arguments\n'
            f"env > {self._folder}/environment\n"
            f'for word; do case "$word" in */values.yaml) cat "$word" > {self._folder}/values;; esac; done\n'
            f"{script}\n"
        )
        self.seam.program.write_text(text)
        self.seam.program.chmod(0o755)

    def arguments(self) -> list[str]:
        return (self._folder / "arguments").read_text().splitlines()

    def environment(self) -> str:
        return (self._folder / "environment").read_text()

    def values(self) -> str:
        return (self._folder / "values").read_text()


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    found = Stand(tmp_path)
    found.does("exit 0")
    return found


def upgrade(stand: Stand, **more: Any) -> list[str]:
    stand.seam.upgrade_install("auth", Path("chart"), namespace="ns", timeout_s=30, **more)
    return stand.arguments()


def test_an_upgrade_waits_and_rolls_back_by_itself(stand: Stand, tmp_path: Path) -> None:
    """Waiting and the rollback are Helm's own, and the cluster is always named."""
    arguments = upgrade(stand)
    assert {"--install", "--wait=watcher", "--rollback-on-failure", "--reset-values"} <= set(arguments)
    assert arguments[arguments.index("--kubeconfig") + 1] == str(tmp_path / KUBECONFIG)
    assert arguments[arguments.index("--kube-context") + 1] == "there"
    assert arguments[arguments.index("--timeout") + 1] == "30s"


def test_rollback_and_waiting_can_be_switched_off(stand: Stand) -> None:
    """A sabotage can show what happens without them."""
    arguments = upgrade(stand, rollback_on_failure=False, wait=False)
    assert "--rollback-on-failure" not in arguments
    assert "--wait=hookOnly" in arguments


def test_values_travel_in_a_private_file(stand: Stand) -> None:
    """Nobody reads them in the list of processes, and they are gone afterwards."""
    arguments = upgrade(stand, values={"image": {"tag": "1.2.3"}})
    assert "1.2.3" not in " ".join(arguments)
    assert "tag: 1.2.3" in stand.values()
    (file,) = [Path(word) for word in arguments if word.endswith("/values.yaml")]
    assert not file.exists()


def test_the_users_own_helm_and_cluster_are_left_alone(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's environment can point a release elsewhere."""
    monkeypatch.setenv("HELM_NAMESPACE", "somewhere-else")
    monkeypatch.setenv("KUBECONFIG", "/somewhere/else")
    upgrade(stand)
    assert "somewhere" not in stand.environment()


def test_a_cluster_that_is_not_named_is_never_guessed(tmp_path: Path) -> None:
    """Without a kubeconfig, deploying is misuse; Helm is not called."""
    with pytest.raises(SettingsError, match="kubeconfig"):
        Helm(program=tmp_path / "absent").history("auth", namespace="ns")


def test_a_failure_carries_helms_words(stand: Stand) -> None:
    """The error tells the exit status and what Helm printed."""
    stand.does("echo 'Error: UPGRADE FAILED: not ready' >&2; exit 1")
    with pytest.raises(CommandError, match="UPGRADE FAILED: not ready") as caught:
        upgrade(stand)
    assert caught.value.status == 1


def test_a_missing_program_is_an_error_of_the_environment(tmp_path: Path) -> None:
    """A chart is not blamed for a Helm that is not there."""
    (tmp_path / "chart").mkdir()
    with pytest.raises(CommandError, match="not started"):
        Helm(program=tmp_path / "absent").render_check("auth", tmp_path / "chart")


def test_history_is_empty_without_a_release_and_read_with_one(stand: Stand) -> None:
    """No release is an answer, not an error; any other failure is one."""
    stand.does("echo 'Error: release: not found' >&2; exit 1")
    assert stand.seam.history("auth", namespace="ns") == []
    assert stand.seam.current("auth", namespace="ns") is None
    item = {"revision": 2, "status": "deployed", "chart": "auth-service-0.1.0", "app_version": "1"}
    stand.does(f"echo '{json.dumps([{**item, 'revision': 1}, item])}'")
    newest = stand.seam.current("auth", namespace="ns")
    assert newest is not None
    assert (newest.number, newest.status) == (2, "deployed")
    stand.does("echo 'Error: connection refused' >&2; exit 1")
    with pytest.raises(CommandError, match="connection refused"):
        stand.seam.history("auth", namespace="ns")


def test_a_hung_helm_dies_with_what_it_started(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the time-out neither Helm nor its children go on changing the cluster."""
    monkeypatch.setattr("clients.helm._GRACE_S", 0.0)
    stand.does(f"sleep 300 & echo $! > {tmp_path}/child; wait")
    started_s = time.monotonic()
    with pytest.raises(CommandError, match="none within"):
        stand.seam.rollback("auth", namespace="ns", timeout_s=0.5)
    assert time.monotonic() - started_s < 10
    child = int((tmp_path / "child").read_text())
    wait_until("Helm's child to be gone", lambda: ProcessId.of(child) is None, 5)
