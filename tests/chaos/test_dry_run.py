"""A dry run names exactly whom a run with the same seed would hit, and touches nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, cast

import pytest
from fake_cluster import Workload

from chaos.faults.pod_delete import PodDelete
from chaos.permissions import Permission
from chaos.registry import FAULTS
from cli.main import main
from core.errors import SettingsError
from fixtures.chaos import installing
from fixtures.chaos.building import build, place_of
from fixtures.chaos.dry_run import KUBERNETES, intended
from fixtures.chaos.scenario_file import ScenarioPlan, read_scenario
from fixtures.settings import load_settings

TEXT = """
name: crash
reason: A process crashes.
promise: replicas
sets: [full]
subject: auth-service
faults:
  - fault: pod_delete
    at: 2s
    target: {selector: app=auth, count: 2}
    parameters: {grace: 1s}
expect:
  whole: {downtime: 0s}
"""
SETTINGS = load_settings("lab")


def plan(tmp_path: Path, text: str = TEXT) -> ScenarioPlan:
    file = tmp_path / "crash.yaml"
    file.write_text(text)
    return read_scenario(file)


def test_it_names_the_very_targets_of_a_run_with_the_same_seed(tmp_path: Path) -> None:
    """Another seed names others, and no call of it changed anything."""
    made, cluster = plan(tmp_path), Workload(replicas=6)
    (found,) = intended(made, SETTINGS, cluster, seed=11)
    place = place_of(SETTINGS, cluster, seed=11, now=time.time)
    real = build(made.faults[0], place, SETTINGS).select()
    assert list(found.targets) == list(real)
    assert (found.at_s, found.duration_s, list(found.undo), found.refused) == (2, None, [KUBERNETES], None)
    others = {tuple(t.pod for t in intended(made, SETTINGS, cluster, seed=n)[0].targets) for n in range(9)}
    assert len(others) > 1
    assert cluster.calls == []
    assert json.dumps(found.as_json())


@pytest.mark.parametrize(
    ("cluster", "reason"),
    [
        (Workload(replicas=0), "matches no pod"),
        (Workload(replicas=2), "would leave none"),
        (Workload(allowed=False), "lacks the label ecochain.io/chaos=allowed"),
    ],
)
def test_what_would_not_be_carried_out_says_why(tmp_path: Path, cluster: Workload, reason: str) -> None:
    """No target, all replicas, a namespace without the label: as the run would say it."""
    (found,) = intended(plan(tmp_path), SETTINGS, cluster, seed=1)
    assert reason in str(found.refused)
    assert (list(found.targets), list(found.undo)) == ([], [])


def test_all_replicas_are_hit_only_where_the_file_says_so(tmp_path: Path) -> None:
    """`all_replicas` lifts the guard for this scenario alone."""
    (found,) = intended(plan(tmp_path, TEXT + "all_replicas: true\n"), SETTINGS, Workload(replicas=2), seed=1)
    assert found.refused is None
    assert len(found.targets) == 2


def test_an_environment_that_lacks_the_subject_is_refused(tmp_path: Path) -> None:
    """Before the cluster is asked anything."""
    cluster = Workload()
    cluster.down = True
    with pytest.raises(SettingsError, match="subject: expected one of"):
        intended(plan(tmp_path, TEXT.replace("auth-service", "billing")), SETTINGS, cluster, seed=1)


def test_a_selector_that_matches_the_harness_is_refused(tmp_path: Path) -> None:
    """The pods that watch from within are no target, whoever else the selector matches."""
    cluster = Workload(replicas=6)
    cluster.pod("auth-3")["metadata"]["labels"]["ecochain.io/run"] = "20261125t000000z-lab-0000"
    with pytest.raises(
        SettingsError, match=r"faults\.0\.target\.selector: expected pods of the platform only"
    ):
        intended(plan(tmp_path), SETTINGS, cluster, seed=1)
    assert cluster.calls == []


def test_the_catalogue_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its reason, its promise and what is asked of it."""
    assert main(["chaos", "list", "--json"]) == 0
    listed = {one["name"]: one for one in json.loads(capsys.readouterr().out)["scenarios"]}
    assert listed["pod-kill"]["faults"] == ["container_kill"]
    assert listed["pod-kill"]["asks"] == [
        "recovery-recovery_time",
        "downtime",
        "error_ratio",
        "invariant-nothing_left_behind",
        "invariant-full_strength_again",
    ]
    assert listed["pod-kill"]["promise"]["text"]
    assert main(["chaos", "list"]) == 0
    assert "pod-kill [rehearsal, quick]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("pod-kil",), "pod-kil: FILE: expected a file, or one of"),
        (("{file}",), "{file}: faults.0.fault: expected one of pod_delete"),
        (("pod-kill", "--env", "moon"), "--env: expected one of"),
    ],
)
def test_a_run_of_a_wrong_file_is_misuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    """Exit 2 and one line, before an environment is made."""
    file = tmp_path / "crash.yaml"
    file.write_text(TEXT.replace("pod_delete", "pod_explode"))
    for more in ((), ("--dry-run",)):
        assert main(["chaos", "run", *(word.format(file=file) for word in words), *more]) == 2
        error = capsys.readouterr().err
        assert message.format(file=file) in error
        assert error.count("\n") == 1


class Picky(PodDelete):
    """A fault that says what it has to be allowed."""

    permissions = (Permission(verb="delete", resource="pods"), Permission(verb="patch", resource="nodes"))


def test_permissions_are_named_and_those_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the API server answers them, before anything is touched."""
    cluster = Workload(replicas=6)
    cluster.denied = {"patch nodes"}
    monkeypatch.setitem(cast("Any", FAULTS), "pod_delete", Picky)
    (found,) = intended(plan(tmp_path), SETTINGS, cluster, seed=1)
    assert list(found.permissions)[:2] == ["delete pods", "patch nodes"]
    assert "list networkpolicies.networking.k8s.io" in found.permissions  # what the audit looks at
    assert list(found.missing) == ["patch nodes"]
    assert cluster.calls == []


def test_agents_that_a_foreign_cluster_could_not_pull_are_refused() -> None:
    """By the key of the settings, before anything is made; on a lab the image is built."""
    installing.check(SETTINGS)
    foreign = SETTINGS.model_copy(
        update={"environment": SETTINGS.environment.model_copy(update={"provider": "kubeconfig"})}
    )
    with pytest.raises(SettingsError, match=r"chaos\.image: expected the agents' image"):
        installing.check(foreign)
    given = "registry.example/chaos@sha256:" + "0" * 64
    installing.check(foreign.model_copy(update={"chaos": SETTINGS.chaos.model_copy(update={"image": given})}))
