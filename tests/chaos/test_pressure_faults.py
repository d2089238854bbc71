"""The faults of pressure with agents in memory: proved by what is measured, or not proved."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from fake_cluster import Workload

from chaos.agents import Act
from chaos.container_act import ContainerAct
from chaos.fault import Place
from chaos.faults.cpu_pressure import CpuPressure
from chaos.faults.disk_full import DiskFull
from chaos.faults.memory_pressure import MemoryPressure
from chaos.faults.volume_read_only import VolumeReadOnly
from chaos.guard import Guard
from chaos.registry import FAULTS
from core.errors import InconclusiveError, RefusedError

LIMIT = 100 << 20
TIMEOUT_S = 0.3


class Killed(Workload):
    """A workload whose containers end by the OOM killer, or by `reason`."""

    reason = "OOMKilled"

    def _noticed(self, name: str, container_id: str) -> None:
        super()._noticed(name, container_id)
        self.pod(name)["status"]["containerStatuses"][0]["lastState"]["terminated"]["reason"] = self.reason


class MeasuringAgents:
    """Agents whose measures follow the acts that are open; `effective` false: acts change nothing.

    `idle` is what the container uses of its limits without any act, and `error` what its writes give.
    """

    def __init__(self, workload: Workload) -> None:
        self.workload, self.effective, self.healing = workload, True, True
        self.idle, self.error, self.limited, self.eaten = 0.1, "", True, 0.9
        self.spare = 0.5  # the share of the node that is idle
        self.open: dict[str, Act] = {}
        self.clock_s = self.used_s = self.hogs_s = self.idle_s = 0.0
        self.step_s = 1.0  # between two readings

    def begin(self, act: Act) -> Mapping[str, Any]:
        self.open[act.id] = act
        if act.params.get("mode") == "oom_kill" and self.effective:
            self.workload.kill_container(act.node, act.container_id)
        return {}

    def end(self, node: str, act_id: str) -> None:  # noqa: ARG002
        if self.healing:
            self.open.pop(act_id, None)

    def remainders(self) -> list[Mapping[str, Any]]:
        return []

    def ask(self, node: str, question: str, **params: Any) -> Mapping[str, Any]:  # noqa: ARG002
        acts = [one for one in self.open.values() if self.effective]
        kinds = {one.kind for one in acts}
        if question == "write":
            errors = {"fill_volume": "ENOSPC", "read_only_volume": "EROFS"}
            error = next((errors[kind] for kind in kinds if kind in errors), self.error)
            return {"error": error, "free_bytes": 0}
        hogs = self.eaten if "cpu_hog" in kinds else 0.0
        self.clock_s += self.step_s
        self.used_s += 0.5 * (self.idle + hogs)
        self.hogs_s += 0.5 * hogs
        self.idle_s += 2 * self.spare
        shares = [one.params["share"] for one in acts if "share" in one.params]
        return {
            "at_s": self.clock_s,
            "cpu": {
                "usage_s": self.used_s,
                "periods": 10 * self.clock_s,
                "throttled": 0.0,
                "throttled_s": 0.0,
                "limit_cores": 0.5 if self.limited else None,
            },
            "hogs": {
                "count": 4 * ("cpu_hog" in {one.kind for one in self.open.values()}),
                "used_s": self.hogs_s,
            },
            "node": {"idle_s": self.idle_s, "cores": 2},
            "memory": {
                "working_set_bytes": int(LIMIT * max([self.idle, *shares])),
                "limit_bytes": LIMIT if self.limited else None,
            },
        }


@pytest.fixture
def workload() -> Killed:
    return Killed()


@pytest.fixture
def agents(workload: Killed) -> MeasuringAgents:
    return MeasuringAgents(workload)


@pytest.fixture
def place(workload: Killed, agents: MeasuringAgents) -> Place:
    return Place(
        cluster=workload,  # type: ignore[arg-type]
        namespace=workload.NAMESPACE,
        guard=Guard(environment="lab", chaos_allowed=True),
        seed=7,
        now=time.time,
        agents=agents,
        poll_s=0.01,
        settle_s=0.05,
    )


Make = Callable[[Place], ContainerAct]
MAKERS: Mapping[str, Make] = {
    "cpu_pressure": lambda place: CpuPressure(place, selector=Workload.SELECTOR),
    "memory_pressure": lambda place: MemoryPressure(place, selector=Workload.SELECTOR, limit_ratio=0.8),
    "memory_pressure oom_kill": lambda place: MemoryPressure(
        place, selector=Workload.SELECTOR, mode="oom_kill"
    ),
    "disk_full": lambda place: DiskFull(place, selector=Workload.SELECTOR, path="/tmp"),
    "volume_read_only": lambda place: VolumeReadOnly(place, selector=Workload.SELECTOR, path="/tmp"),
}
every_fault = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def heal(fault: ContainerAct, agents: MeasuringAgents) -> None:
    for step in fault.undo():
        agents.end(step.args["node"], step.args["act_id"])


@every_fault
def test_a_fault_shows_its_effect_and_its_end(make: Make, place: Place, agents: MeasuringAgents) -> None:
    """Every step passes, the undoing names the very acts that were begun, and the workload is back."""
    fault = make(place)
    (target,) = fault.select()
    undo = list(fault.undo())
    fault.inject()
    assert [step.args for step in undo] == [{"node": target.node, "act_id": one} for one in agents.open]
    assert undo == list(fault.undo())
    assert target.pod in fault.prove(5)["pods"]  # type: ignore[operator]
    heal(fault, agents)
    assert target.pod in fault.prove_gone(5)["pods"]  # type: ignore[operator]
    assert fault.recovered(5)["recovered_s"]


@every_fault
def test_a_fault_without_effect_is_inconclusive(make: Make, place: Place, agents: MeasuringAgents) -> None:
    """The act was done and nothing measured shows it: not proved, with what was seen."""
    agents.effective = False
    fault = make(place)
    fault.select()
    fault.inject()
    with pytest.raises(InconclusiveError, match="was not seen landing: waited"):
        fault.prove(TIMEOUT_S)
    heal(fault, agents)
    assert fault.prove_gone(5), "what never came has not to be seen going"


@pytest.mark.parametrize(
    "make",
    [one for name, one in MAKERS.items() if "oom" not in name],
    ids=[n for n in MAKERS if "oom" not in n],
)
def test_a_fault_that_does_not_end_is_inconclusive(make: Make, place: Place, agents: MeasuringAgents) -> None:
    """What still measures as before its undoing was left behind."""
    agents.healing = False
    fault = make(place)
    fault.select()
    fault.inject()
    fault.prove(5)
    heal(fault, agents)
    with pytest.raises(InconclusiveError, match="was not seen ending"):
        fault.prove_gone(TIMEOUT_S)


@pytest.mark.parametrize("name", ["cpu_pressure", "memory_pressure", "disk_full", "volume_read_only"])
def test_what_is_so_already_is_not_touched(name: str, place: Place, agents: MeasuringAgents) -> None:
    """A container at its limit, or a volume that refuses writes, could prove nothing."""
    agents.idle, agents.error = 0.95, "EIO"
    if name == "cpu_pressure":
        agents.open["another"] = Act(id="another", kind="cpu_hog", node="n")
    before = dict(agents.open)
    fault = MAKERS[name](place)
    fault.select()
    with pytest.raises(InconclusiveError, match="before it was touched"):
        fault.inject()
    assert agents.open == before


def test_processor_time_that_is_to_be_had_elsewhere_is_no_pressure(
    place: Place, agents: MeasuringAgents
) -> None:
    """Below its limit on a node with time to spare a container lacks nothing; on a full node it does."""
    agents.eaten = 0.3
    fault = MAKERS["cpu_pressure"](place)
    fault.select()
    fault.inject()
    with pytest.raises(InconclusiveError, match="or a node that has no more"):
        fault.prove(TIMEOUT_S)
    agents.spare = 0.02
    assert fault.prove(TIMEOUT_S)
    agents.idle = 0.9
    with pytest.raises(InconclusiveError, match="50% of its processor time to be taken"):
        fault.prove(TIMEOUT_S)


def test_what_is_missing_is_what_was_measured_last(place: Place, agents: MeasuringAgents) -> None:
    """Most looks come too soon after the one before to measure anything; they say what that one lacked."""
    fault = MAKERS["cpu_pressure"](place)
    fault.select()
    fault.inject()
    agents.effective, agents.step_s = False, 0.2
    for _ in range(3):
        with pytest.raises(InconclusiveError, match="50% of its processor time to be taken"):
            fault.prove(TIMEOUT_S)


def test_another_end_of_the_container_is_no_oom_kill(place: Place, workload: Killed) -> None:
    """A crash that happens to fall into the fault's time does not prove it."""
    workload.reason = "Error"
    fault = MAKERS["memory_pressure oom_kill"](place)
    fault.select()
    fault.inject()
    with pytest.raises(InconclusiveError, match="not by the OOM killer"):
        fault.prove(TIMEOUT_S)


def test_the_wrong_error_of_a_write_proves_nothing(place: Place, agents: MeasuringAgents) -> None:
    """A full volume is not a read-only one."""
    agents.effective = False
    fault = MAKERS["disk_full"](place)
    fault.select()
    fault.inject()
    agents.error = "EROFS"
    with pytest.raises(InconclusiveError, match="gives EROFS, expected ENOSPC"):
        fault.prove(TIMEOUT_S)


def test_a_container_without_a_memory_limit_is_refused(place: Place, agents: MeasuringAgents) -> None:
    """There is no share of nothing; nothing has been touched."""
    agents.limited = False
    fault = MAKERS["memory_pressure"](place)
    fault.select()
    with pytest.raises(RefusedError, match="no memory limit"):
        fault.inject()
    assert agents.open == {}


@every_fault
def test_a_fault_needs_agents_and_a_duration(make: Make, place: Place) -> None:
    """Without agents it is refused before anything is chosen."""
    without = Place(**{**vars(place), "agents": None})
    with pytest.raises(RefusedError, match="needs an agent"):
        make(without).select()
    with pytest.raises(RefusedError, match="duration_s: expected seconds > 0"):
        CpuPressure(place, selector=Workload.SELECTOR, duration_s=0)


def test_a_share_of_the_replicas_is_hit(place: Place, agents: MeasuringAgents) -> None:
    """Rounded down, at least one; what is no share is refused."""
    for share, hit in ((0.1, 1), (0.67, 2)):
        fault = DiskFull(place, selector=Workload.SELECTOR, path="/tmp", share=share)
        assert len(fault.select()) == hit == len(fault.undo())
    with pytest.raises(RefusedError, match="share: expected 0 < share <= 1"):
        DiskFull(place, selector=Workload.SELECTOR, path="/tmp", share=50).select()
    assert agents.open == {}


@every_fault
def test_the_guard_and_too_few_targets_leave_all_untouched(
    make: Make, place: Place, agents: MeasuringAgents
) -> None:
    """No act is begun in an environment that does not allow faults, nor without a replica to spare."""
    forbidden = Place(**{**vars(place), "guard": Guard(environment="lab", chaos_allowed=False)})
    with pytest.raises(RefusedError, match="does not allow faults"):
        make(forbidden).select()
    agents.workload.set_ready("auth-1", False)
    with pytest.raises(InconclusiveError, match="nothing was touched"):
        make(place).select()
    assert agents.open == {}


def test_every_fault_of_pressure_is_registered() -> None:
    """Scenario files name them."""
    assert {"cpu_pressure", "memory_pressure", "disk_full", "volume_read_only"} <= FAULTS.keys()


def test_wrong_settings_of_memory_pressure_are_refused(place: Place) -> None:
    """By name and with what was expected."""
    with pytest.raises(RefusedError, match="mode: expected share or oom_kill"):
        MemoryPressure(place, selector="a=b", mode="all")  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="limit_ratio: expected 0 < ratio < 1"):
        MemoryPressure(place, selector="a=b", limit_ratio=90)
