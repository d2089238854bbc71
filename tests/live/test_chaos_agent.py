"""The agents on the nodes of a real cluster: what they do ends, whoever dies, and they leave nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from lab_node import LabNodeAccess
from sabotage import LabInUse

from chaos import agents_site
from chaos.agents import Act
from chaos.cluster_agents import AGENT, COMPONENT_LABEL, ClusterAgents
from chaos.cluster_ledger import NAMESPACE
from chaos.node import processes
from clients.kubernetes import Cluster, Json, pod_ready
from core.errors import EnvironmentFailedError, RefusedError
from core.waiting import wait_until
from lab.cluster import find
from lab.images import build_chaos_image

RUN = "20260101T000000-agent"
TARGET = "chaos-agent-target"
# CAP_DAC_OVERRIDE, KILL, NET_ADMIN, NET_RAW, SYS_CHROOT, SYS_PTRACE, SYS_ADMIN as in linux/capability.h.
_CAPABILITIES = sum(1 << bit for bit in (1, 5, 12, 13, 18, 19, 21))


@dataclass(kw_only=True)
class Site:
    """The installed agents, and a pod to act on."""

    lab: str
    cluster: Cluster
    agents: ClusterAgents
    image: str
    records: list[tuple[str, Mapping[str, Any]]]

    def act(self, kind: str, *, program: str = "", lifetime_s: float = 10.0) -> Act:
        """Return an act on the target's container, or on a program of its node."""
        return Act(
            id=f"{kind}-{uuid4().hex[:8]}",
            kind=kind,
            node=self.node,
            container_id="" if program else container_of(self.target),
            params={"program": program} if program else {},
            lifetime_s=lifetime_s,
        )

    @property
    def target(self) -> Json:
        found = self.cluster.get("pods", TARGET, "default")
        assert found is not None
        return found

    @property
    def node(self) -> str:
        return str(self.target["spec"]["nodeName"])

    @property
    def agent(self) -> Json:
        """The agent's pod on the target's node."""
        pods = self.cluster.list("pods", NAMESPACE, labels=f"{COMPONENT_LABEL}={AGENT}")
        return next(pod for pod in pods if pod["spec"]["nodeName"] == self.node)

    def states(self) -> set[str]:
        """Return the letters of the states of the target's processes."""
        told = self.agents.ask(self.node, "processes", container_id=container_of(self.target))
        return {one["state"] for one in told["processes"]}

    def answers(self) -> bool:
        """Tell whether the target answers a request from another node."""
        other = next(node for node in self.agents.nodes() if node != self.node)
        told = self.agents.ask(
            other, "connect", host=self.target["status"]["podIP"], port=8080, path="/", timeout_s=1.0
        )
        return bool(told["results"][0]["status"] == 200)

    def program_states(self, program: str) -> set[str]:
        """Return the states of a program of the target's node, seen from the lab's host."""
        return {one.state for one in self.running(program)}

    def running(self, program: str) -> list[processes.Process]:
        """Return the processes of a program of the target's node, seen from the lab's host."""
        made = find(self.lab)
        assert made is not None
        machine = f"/{made.plan.cgroup}/{self.node}/"
        return [one for one in processes.every() if one.name == program and machine in one.group]

    def kill_agent(self) -> str:
        """Kill the agent's container as only the host can, and return its id."""
        killed = container_of(self.agent)
        LabNodeAccess(self.lab).kill_container(self.node, killed)
        return killed

    def await_agent_after(self, killed: str) -> None:
        """Wait until another agent is at work in place of the killed one."""

        def again() -> bool:
            try:
                self.agents.acts(self.node)
            except EnvironmentFailedError:
                return False
            return container_of(self.agent) != killed

        wait_until("the agent to be started again", again, 60, interval_s=0.2)


def container_of(pod: Json) -> str:
    statuses = pod.get("status", {}).get("containerStatuses") or [{}]
    return str(statuses[0].get("containerID", "")).rpartition("/")[2]


@pytest.fixture(scope="module")
def site(test_lab: LabInUse) -> Iterator[Site]:
    """Install the agents, and a target; remove both, and see that nothing is left."""
    lab = find(test_lab.name)
    assert lab is not None
    cluster, image = lab.cluster(), build_chaos_image()
    lab.push([image])
    records: list[tuple[str, Mapping[str, Any]]] = []

    def record(kind: str, **fields: Any) -> None:
        records.append((kind, fields))

    try:
        cluster.create(
            "pods",
            {
                "metadata": {"name": TARGET, "namespace": "default"},
                "spec": {
                    "terminationGracePeriodSeconds": 0,
                    "containers": [
                        {"name": "it", "image": image.pinned, "args": ["http.server", "8080", "-d", "/tmp"]}
                    ],
                },
            },
        )
        agents = agents_site.install(
            cluster, image=image.pinned, run_id=RUN, record=record, heal=lambda _agents: None
        )
        made = Site(lab=test_lab.name, cluster=cluster, agents=agents, image=image.pinned, records=records)
        wait_until("the target to be ready", lambda: pod_ready(made.target), 60, interval_s=0.2)
        yield made
        made.agents.close()
    finally:
        cluster.delete("pods", TARGET, "default", grace_s=0)
        agents_site.remove(cluster)
    agents_site.remove(cluster)
    assert cluster.get("namespaces", NAMESPACE) is None
    assert [path for path in notes_folders(test_lab.name).values() if any(path.iterdir())] == []
    assert pids_with_module(test_lab.name, "chaos.node") == []


def notes_folders(lab: str) -> dict[str, Path]:
    """Return where each node's notes are, seen from the lab's host."""
    found = find(lab)
    assert found is not None
    return {
        worker.name: Path(f"/proc/{found.running(worker.name).init_pid()}/root{agents_site.FOLDER}")
        for worker in found.plan.workers
    }


def pids_with_module(lab: str, module: str) -> list[int]:
    """Return the lab's processes that run such a module of Python, in pods or beside them."""
    made = find(lab)
    assert made is not None
    found = []
    for one in processes.every():
        try:
            words = Path(f"/proc/{one.id.pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        runs = b"-m" in words and any(word.startswith(module.encode()) for word in words)
        if runs and f"/{made.plan.cgroup}/" in one.group:
            found.append(one.id.pid)
    return found


@pytest.fixture(autouse=True)
def nothing_left(site: Site) -> Iterator[None]:
    """See after each test that no act is open and nothing is left on any node."""
    yield
    assert [one for node in site.agents.nodes() for one in site.agents.acts(node)["acts"]] == []
    assert site.agents.remainders() == []


def test_every_node_has_an_agent_with_no_more_power_than_it_needs(site: Site) -> None:
    """What is made was recorded first; not privileged, seven capabilities, and no other's token."""
    assert site.records[0] == (
        "chaos.installing",
        {"namespace": NAMESPACE, "daemonsets": [AGENT], "secrets": [agents_site.SECRET]},
    )
    nodes = {node["metadata"]["name"] for node in site.cluster.list("nodes")}
    assert set(site.agents.nodes()) == nodes
    effective = set()
    for pid in pids_with_module(site.lab, "chaos.node.agent"):
        status = Path(f"/proc/{pid}/status").read_text()
        effective.add(int(status.partition("CapEff:")[2].split()[0], 16))
    assert effective == {_CAPABILITIES}
    stranger = ClusterAgents(site.cluster, "another-token")
    with pytest.raises(EnvironmentFailedError, match="403"):
        stranger.acts(site.node)


def test_a_frozen_container_hangs_until_it_is_let_go(site: Site) -> None:
    """The evidence is what its node says and what another node sees of it."""
    assert site.answers()
    act = site.act("freeze_container")
    did = site.agents.begin(act)
    assert did["stopped"]
    assert site.states() == {"T"}
    assert not site.answers()
    assert {one["kind"] for one in site.agents.remainders()} == {"freeze_container"}
    site.agents.end(act.node, act.id)
    assert "T" not in site.states()
    assert site.answers()
    site.agents.end(act.node, act.id)


def test_a_killed_container_starts_again(site: Site) -> None:
    """Kubernetes undoes it: nothing stays open at the agent."""
    before = container_of(site.target)
    did = site.agents.begin(site.act("signal_container"))
    assert did["killed"]
    wait_until(
        "another container to answer",
        lambda: container_of(site.target) not in ("", before) and pod_ready(site.target) and site.answers(),
        60,
        interval_s=0.2,
    )


def test_an_act_ends_by_the_nodes_own_clock_when_the_harness_is_silent(site: Site) -> None:
    """Nobody keeps it: after its lifetime it is undone; while somebody does, it lasts."""
    silent = ClusterAgents(site.cluster, token_of(site.cluster), keep_s=3600)
    act = site.act("freeze_container", lifetime_s=2.0)
    silent.begin(act)
    assert site.states() == {"T"}
    wait_until("the silent one's to be undone", lambda: "T" not in site.states(), 6)
    kept = site.act("freeze_container", lifetime_s=4.0)
    site.agents.begin(kept)
    with pytest.raises(EnvironmentFailedError):
        wait_until("the kept one's to end", lambda: site.states() != {"T"}, 6)
    site.agents.end(kept.node, kept.id)
    assert site.agents.undone() is None


def test_what_a_killed_agent_had_open_is_undone_when_it_starts_again(site: Site) -> None:
    """By its notes on the node; and the harness hears that its act is no more."""
    act = site.act("freeze_container")
    site.agents.begin(act)
    site.await_agent_after(site.kill_agent())
    assert "T" not in site.states()
    wait_until("the harness to hear of it", lambda: act.id in site.agents.lost(), 10)
    assert "does not have it open any more" in (site.agents.undone() or "")
    site.agents.end(act.node, act.id)
    assert site.agents.undone() is None


def test_a_runtime_that_is_stopped_goes_on_when_the_agent_is_killed(site: Site) -> None:
    """Nobody could start the agent again meanwhile: its guardian lets the runtime go on."""
    for program in ("kubelet", "containerd"):
        act = site.act("freeze_program", program=program)
        did = site.agents.begin(act)
        assert len(did["stopped"]) == 1
        assert site.program_states(program) == {"T"}
        assert did["guardian_in"]
        if program == "kubelet":
            site.agents.end(act.node, act.id)
            assert "T" not in site.program_states(program)
    killed = site.kill_agent()
    wait_until("containerd to go on", lambda: "T" not in site.program_states("containerd"), 5)
    site.await_agent_after(killed)
    site.agents.end(act.node, act.id)


def test_the_audit_finds_one_planted_remainder_of_each_kind(site: Site) -> None:
    """Planted behind the agent's back: a stopped container, a stopped kubelet, a file that is no note."""
    told = site.agents.ask(site.node, "processes", container_id=container_of(site.target))
    assert told["processes"]
    contained = [one for one in processes.every() if container_of(site.target) in one.group]
    planted = [one.id for one in [*contained, *site.running("kubelet")]]
    folder = notes_folders(site.lab)[site.node]
    (folder / "planted").write_text("no note")
    try:
        for process in planted:
            process.signal(signal.SIGSTOP)
        wait_until(
            "the audit to find all three",
            lambda: (
                {"freeze_container", "freeze_program", "note"}
                == {one["kind"] for one in site.agents.remainders()}
            ),
            10,
        )
    finally:
        for process in planted:
            process.signal(signal.SIGCONT)
        (folder / "planted").unlink()


def test_what_cannot_be_done_is_refused_before_anything_is_touched(site: Site) -> None:
    """An unknown kind or question, a container of another node, the agent's own."""
    with pytest.raises(RefusedError, match=r"expected one of .*freeze_container"):
        site.agents.begin(site.act("explode"))
    with pytest.raises(RefusedError, match=r"expected one of .*processes"):
        site.agents.ask(site.node, "why")
    other = next(node for node in site.agents.nodes() if node != site.node)
    act = site.act("freeze_container")
    with pytest.raises(RefusedError, match="no process of it on this node"):
        site.agents.begin(Act(id=act.id, kind=act.kind, node=other, container_id=act.container_id))
    own = container_of(site.agent)
    with pytest.raises(RefusedError, match="the agent's own container"):
        site.agents.begin(Act(id=act.id + "2", kind=act.kind, node=site.node, container_id=own))


@pytest.mark.long
def test_a_dead_runs_agents_are_taken_over_and_a_living_runs_are_not(site: Site) -> None:
    """The dead one's acts are healed with its own agents first; a claim protects the living one's."""
    beating = agents_site.claim(Cluster(site.cluster.kubeconfig), RUN)
    healed: list[str] = []

    def install(run_id: str) -> ClusterAgents:
        return agents_site.install(
            site.cluster,
            image=site.image,
            run_id=run_id,
            record=lambda _kind, **_fields: None,
            heal=lambda agents: healed.extend(agents.nodes()),
        )

    with beating.acquire(10), pytest.raises(RefusedError, match=f"{RUN.lower()}.*goes on"):
        install("another")
    assert healed == []
    taken = install("another")
    assert healed == site.agents.nodes() == taken.nodes()
    namespace = site.cluster.get("namespaces", NAMESPACE)
    assert namespace is not None
    assert namespace["metadata"]["labels"][agents_site.RUN_LABEL] == "another"
    with pytest.raises(EnvironmentFailedError, match="403"):
        site.agents.acts(site.node)
    site.agents.close()
    site.agents = taken


def token_of(cluster: Cluster) -> str:
    found = agents_site.attach(cluster)
    assert found is not None
    return found._token
