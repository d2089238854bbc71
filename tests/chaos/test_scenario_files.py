"""Scenario files: the catalogue is good, and every mistake is refused by key, with what is allowed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, cast

import pytest
import yaml

from chaos.registry import FAULTS
from core.errors import SettingsError
from core.places import checkout
from fixtures.chaos.catalogue import FOLDER, catalogue, find
from fixtures.chaos.scenario_file import check_against, read_scenario
from fixtures.chaos.scenario_model import SCHEMA_FILE, schema
from fixtures.settings import load_settings

GOOD = """
name: crash
reason: A process crashes.
promise: replicas
sets: [quick]
subject: auth-service
faults:
  - fault: container_kill
    at: 2s
    target: {service: auth-service, count: 1, container: app}
expect:
  recovery: {recovery_time: 30s}
  whole: {downtime: 500ms, error_ratio: 5%, latency_p95: 250ms, steady_state: true}
invariants: [no_order_doubled]
"""


def read(tmp_path: Path, text: str, name: str = "crash") -> object:
    file = tmp_path / f"{name}.yaml"
    file.write_text(text)
    return read_scenario(file)


def test_every_scenario_of_the_catalogue_is_sound_and_fits_the_lab() -> None:
    """Each file is read, has a name of its own, and asks only for what the lab's settings have."""
    found = catalogue()
    assert found
    settings = load_settings("lab")
    for plan in found:
        check_against(plan, settings)


def test_the_catalogue_names_upstreams_by_the_services_that_the_charts_make() -> None:
    """A store's Service has the name that its clients know it by, which is not its release's."""
    charts = checkout() / "helm/charts"
    made = {path.parent.name for path in charts.glob("*/Chart.yaml")}
    for values in charts.glob("*/values.yaml"):
        store = yaml.safe_load(values.read_text()).get("store")
        made = (made - {values.parent.name}) | {store["service"]} if store else made
    named = {
        str(fault.keywords[key])
        for plan in catalogue()
        for fault in plan.faults
        for key in ("service", "lookup")
        if key in fault.keywords
    }
    assert named
    assert named <= made


def test_the_schema_on_disk_is_the_models() -> None:
    """`python -m fixtures.chaos.scenario_model` has been run since the model or the faults changed."""
    assert json.loads((checkout() / SCHEMA_FILE).read_text()) == schema()


def test_a_file_says_what_is_done_and_what_must_hold(tmp_path: Path) -> None:
    """Units are turned into the SLAs' own, and each bound is asked for in its phase."""
    file = tmp_path / "crash.yaml"
    file.write_text(GOOD)
    plan = read_scenario(file)
    asked = {(ask.phase, ask.sla, ask.subject): ask.allowed for ask in plan.asks}
    assert asked == {
        ("recovery", "recovery_time", None): 30,
        (None, "downtime", None): 0.5,
        (None, "error_ratio", None): 0.05,
        (None, "latency_p95", None): 250,
        (None, "steady_state", None): 1,
        (None, "invariant", "no_order_doubled"): 1,
        (None, "invariant", "nothing_left_behind"): 1,
        (None, "invariant", "full_strength_again"): 1,
    }
    (fault,) = plan.faults
    assert (fault.name, fault.entry.at, fault.until_s) == ("container_kill", 2, 2)
    assert fault.keywords == {"count": 1, "container": "app"}


REFUSED = {
    "unknown fault": (
        "container_kill",
        "container_kil",
        "faults.0.fault",
        "container_kill, pod_delete|pod_delete",
    ),
    "unknown parameter": (
        "    at: 2s\n",
        "    at: 2s\n    parameters: {grace: 0s}\n",
        "faults.0.parameters",
        "parameters of container_kill: none",
    ),
    "unknown key": ("subject:", "subjet:", "subjet", "one of the keys name, reason"),
    "unknown key of a fault": ("    at: 2s", "    when: 2s", "faults.0.when", "fault, at, duration"),
    "unknown key of a target": ("count: 1", "cuont: 1", "faults.0.target.cuont", "service, selector, nodes"),
    "unknown promise": (
        "promise: replicas",
        "promise: wonders",
        "promise",
        "zero_downtime, automatic_rollback",
    ),
    "unknown set": ("[quick]", "[fast]", "sets.0", "rehearsal, quick, full"),
    "unknown phase": ("  whole:", "  later:", "expect.later", "during, recovery, after, whole"),
    "unknown SLA": ("downtime:", "downtme:", "expect.whole", "deploy_time, downtime"),
    "unknown invariant": ("[no_order_doubled]", "[none_lost]", "invariants.0", "no_acknowledged_order_lost"),
    "a number without a unit": ("at: 2s", "at: 2", "faults.0.at", "500ms, 10s or 2m"),
    "a wrong unit of time": ("at: 2s", "at: 2 days", "faults.0.at", "500ms, 10s or 2m"),
    "a percentage for a time": ("downtime: 500ms", "downtime: 5%", "expect.whole.downtime", "with its unit"),
    "a time for a ratio": ("error_ratio: 5%", "error_ratio: 5s", "expect.whole.error_ratio", "0% to 100%"),
    "more than all": ("error_ratio: 5%", "error_ratio: 500%", "expect.whole.error_ratio", "0% to 100%"),
    "a property that must not hold": (
        "steady_state: true",
        "steady_state: false",
        "expect.whole.steady_state",
        "true",
    ),
    "a duration of what is over once done": (
        "    at: 2s\n",
        "    at: 2s\n    duration: 10s\n",
        "faults.0.duration",
        "over once done",
    ),
    "an expectation of a phase that there is not": (
        "  recovery: {recovery_time: 30s}",
        "  during: {downtime: 1s}",
        "expect.during",
        "no such phase",
    ),
    "a recovery's time in another phase": (
        "  recovery: {recovery_time: 30s}",
        "  after: {recovery_time: 30s}",
        "expect.after.recovery_time",
        "recovery or whole",
    ),
    "a deployment's time without one": (
        "downtime: 500ms",
        "deploy_time: 5s",
        "expect.whole.deploy_time",
        "deployment",
    ),
    "healed after the window": (
        "subject: auth-service",
        "subject: auth-service\nwindow: 1s",
        "faults.0",
        "within the window",
    ),
    "a deployment after the window": (
        "subject: auth-service",
        "subject: auth-service\nwindow: 5s\ndeployment: {service: auth-service, at: 6s}",
        "deployment.at",
        "within the window",
    ),
    "two ways to aim": ("count: 1", "selector: a=b", "faults.0.target", "either a service or a selector"),
    "two ways to count": ("count: 1", "count: 1, share: 50%", "faults.0.target", "either a count or a share"),
    "aimed by what it does not know": (
        "count: 1",
        "nodes: a=b",
        "faults.0.target.nodes",
        "aimed by: service, selector",
    ),
    "aimed at nothing": ("service: auth-service, ", "", "faults.0.target", "service or selector"),
    "no target at all": ("count: 1", "count: 0", "faults.0.target.count", "greater than or equal to 1"),
    "an abort by what is no second's figure": (
        "invariants:",
        "abort: {sla: downtime, beyond: 1s, for: 5s}\ninvariants:",
        "abort.sla",
        "error_ratio",
    ),
    "an abort's bound in a wrong unit": (
        "invariants:",
        "abort: {sla: error_ratio, beyond: 1s, for: 5s}\ninvariants:",
        "abort.beyond",
        "0% to 100%",
    ),
    "another name than the file's": ("name: crash", "name: smash", "name", "'crash', as the file"),
    "no reason": ("reason: A process crashes.\n", "", "reason", "why it is worth trying"),
    "a key twice": (
        "promise: replicas\n",
        "promise: replicas\npromise: stores\n",
        "(whole file)",
        "given twice",
    ),
    "no YAML": ("sets: [quick]", "sets: [quick", "(whole file)", "a readable YAML file"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_a_mistake_is_refused_by_file_key_and_allowed_values(tmp_path: Path, mistake: str) -> None:
    """The message names the file and the key, and says what may stand there."""
    before, after, key, expected = REFUSED[mistake]
    assert before in GOOD
    with pytest.raises(SettingsError) as refused:
        read(tmp_path, GOOD.replace(before, after, 1))
    assert refused.value.file.endswith("crash.yaml")
    assert refused.value.key == key
    assert any(words in str(refused.value) for words in expected.split("|")), str(refused.value)


def test_nothing_expected_is_refused(tmp_path: Path) -> None:
    """A scenario that nothing is expected of would pass whatever came."""
    text = GOOD.partition("expect:")[0] + "expect: {}\n"
    with pytest.raises(SettingsError, match="expect: expected a bound in one of the phases"):
        read(tmp_path, text)


def test_the_same_fault_twice_at_once_on_the_same_target_is_refused(tmp_path: Path) -> None:
    """The second one would find its target hit already, and whose effect was seen could not be told."""
    fault = GOOD.partition("faults:\n")[2].partition("expect:")[0]
    with pytest.raises(SettingsError, match=r"faults\.1: expected another target or another time"):
        read(tmp_path, GOOD.replace(fault, fault + fault))


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("subject: auth-service", "subject: billing", "subject"),
        ("{service: auth-service, count", "{service: billing, count", r"faults\.0\.target\.service"),
        ("sets: [quick]", "sets: [quick]\nwindow: 10m", "window"),
        (
            "sets: [quick]",
            "sets: [quick]\ndeployment: {service: api}",
            r"releases\.api\.rehearsed",
        ),
    ],
)
def test_what_the_environment_cannot_do_is_refused(tmp_path: Path, before: str, after: str, key: str) -> None:
    """A release that it has not, a load that ends before the scenario does, an upgrade of what must stay."""
    file = tmp_path / "crash.yaml"
    file.write_text(GOOD.replace(before, after, 1))
    with pytest.raises(SettingsError, match=f"{key}: expected"):
        check_against(read_scenario(file), load_settings("lab"))


def test_a_scenario_is_found_by_its_name_or_its_file(tmp_path: Path) -> None:
    """Another name is refused with those that there are."""
    assert find("pod-kill").file == checkout() / FOLDER / "pod-kill.yaml"
    (tmp_path / "crash.yaml").write_text(GOOD)
    assert find(str(tmp_path / "crash.yaml")).data.name == "crash"
    with pytest.raises(SettingsError, match=r"one of .*pod-delete, .*pod-kill"):
        find("pod-kil")


class Odd:
    """A fault with every kind of parameter."""

    name = "odd"

    def __init__(
        self,
        place: object,
        *,
        nodes: str,
        duration_s: float,
        mode: Literal["refused", "hanging"],
        ports: tuple[int, ...] = (),
        delay_ms: float = 0.0,
        loss_ratio: float = 0.0,
        size_bytes: int = 0,
        limit_bit_s: float = 0.0,
        both_ways: bool = True,
    ) -> None:
        """Take them."""


ODD = """
name: crash
reason: All kinds of parameters.
promise: replicas
sets: [full]
subject: auth-service
faults:
  - fault: odd
    duration: 10s
    target: {nodes: a=b}
    parameters: {mode: hanging, ports: [80, 443], delay: 20ms, loss: 5%, size: 64MiB, limit: 256kbit/s}
expect:
  during: {downtime: 1s}
"""


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the fault `odd` known."""
    monkeypatch.setitem(cast("Any", FAULTS), "odd", Odd)


@pytest.mark.usefixtures("odd")
def test_parameters_follow_the_faults_constructor(tmp_path: Path) -> None:
    """Units stand in the file and leave the keyword; lists and choices are what the annotation says."""
    file = tmp_path / "crash.yaml"
    file.write_text(ODD)
    (fault,) = read_scenario(file).faults
    assert fault.keywords == {
        "nodes": "a=b",
        "duration_s": 10,
        "mode": "hanging",
        "ports": (80, 443),
        "delay_ms": 20,
        "loss_ratio": 0.05,
        "size_bytes": 64 * 1024**2,
        "limit_bit_s": 256_000,
    }
    assert fault.settings.lasts
    assert fault.until_s == 10


@pytest.mark.usefixtures("odd")
@pytest.mark.parametrize(
    ("before", "after", "key", "expected"),
    [
        ("mode: hanging, ", "", "faults.0.parameters.mode", "odd needs it"),
        ("hanging", "slow", "faults.0.parameters.mode", "'refused' or 'hanging'"),
        ("[80, 443]", '["80"]', "faults.0.parameters.ports", "valid integer"),
        ("20ms", "20", "faults.0.parameters.delay", "such as 250ms"),
        ("64MiB", "64 meters", "faults.0.parameters.size", "such as 64MiB"),
        ("256kbit/s", "5%", "faults.0.parameters.limit", "such as 256kbit/s"),
        (
            "mode:",
            "delay_ms: 5, mode:",
            "faults.0.parameters",
            "delay, loss, size, limit, both_ways",
        ),
        ("    duration: 10s\n", "", "faults.0.duration", "odd lasts"),
        (
            "target: {nodes: a=b}",
            "target: {service: auth-service}",
            "faults.0.target.service",
            "aimed by: nodes",
        ),
        ("    target: {nodes: a=b}\n", "", "faults.0.target", "nodes, which odd needs"),
    ],
)
def test_a_wrong_parameter_is_refused_by_what_the_fault_takes(
    tmp_path: Path, before: str, after: str, key: str, expected: str
) -> None:
    """With the key and the allowed values."""
    file = tmp_path / "crash.yaml"
    assert before in ODD
    file.write_text(ODD.replace(before, after, 1))
    with pytest.raises(SettingsError) as refused:
        read_scenario(file)
    assert refused.value.key == key
    assert expected in str(refused.value)


def test_a_recovery_that_nobody_can_see_is_not_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delay leaves every replica Ready: the time of a recovery from it would be nothing's."""
    monkeypatch.setitem(cast("Any", FAULTS), "network_delay", Odd)
    text = ODD.replace("fault: odd", "fault: network_delay")
    with pytest.raises(SettingsError, match=r"expect\.recovery\.recovery_time: expected no recovery"):
        read(tmp_path, text + "  recovery: {recovery_time: 5s}\n")
