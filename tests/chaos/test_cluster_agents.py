"""The agents of a cluster as faults see them, over real agents on loopback and a proxy that is none."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from chaos.agents import Act
from chaos.cluster_agents import AGENT, COMPONENT_LABEL, ClusterAgents
from chaos.node.act_kind import Note
from chaos.node.agent import Agent
from chaos.node.notes import Notes
from clients.kubernetes import ApiError, Cluster, Json
from core.errors import EnvironmentFailedError, RefusedError
from core.outbox import Outbox
from core.waiting import wait_until

TOKEN = "a-token"


class Marking:
    """A kind of act that only remembers what is done; `slow_s` is how long its question takes."""

    KIND, LASTS, NAME = "mark", True, "wait"

    def __init__(self) -> None:
        self.done: set[str] = set()

    def check(self, act: Act) -> None:
        if act.params:
            raise RefusedError("this kernel lacks it")

    def begin(self, act: Act, note: Note) -> Mapping[str, Any]:  # noqa: ARG002
        self.done.add(act.id)
        return {}

    def end(self, act: Act, noted: Mapping[str, Any]) -> None:  # noqa: ARG002
        if act.id == "stuck":
            raise OSError("it cannot be undone")
        self.done.discard(act.id)

    def remainders(self) -> list[Mapping[str, Any]]:
        return [{"where": one, "what": "marked"} for one in self.done]

    @staticmethod
    def ask(*, wait_s: float) -> Mapping[str, Any]:
        time.sleep(wait_s)
        return {"waited_s": wait_s}


class FakeNodes:
    """Pods by name with the port of each one's agent; the proxy's and the list's surface of a cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.kinds: dict[str, Marking] = {}
        self.pods: dict[str, tuple[str, Outbox]] = {}
        self.unreachable: set[str] = set()
        self.status = 503  # with which the API server answers for these
        self.agents: list[Agent] = []

    def start(self, node: str, pod: str) -> None:
        kind = self.kinds.setdefault(node, Marking())
        agent = Agent(node, Notes(self._folder / node), acts={"mark": kind}, questions={"wait": kind})
        agent.open.start()
        outbox = Outbox(TOKEN, time.time, host="127.0.0.1", port=0, commands=agent.commands, concurrent=True)
        outbox.start()
        self.agents.append(agent)
        self.pods[pod] = (node, outbox)

    def list(self, resource: str, namespace: str | None = None, *, labels: str = "") -> list[Json]:
        assert (resource, namespace, labels) == ("pods", "ecochain-chaos", f"{COMPONENT_LABEL}={AGENT}")
        return [
            {"metadata": {"name": pod}, "spec": {"nodeName": node}} for pod, (node, _) in self.pods.items()
        ]

    def proxy(
        self,
        pod: str,
        namespace: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> bytes:
        what = f"{method} {namespace}/{pod}:{port}/{path}"
        if pod not in self.pods or pod in self.unreachable:
            raise ApiError(what, self.status if pod in self.unreachable else 404, '{"kind":"Status"}')
        connection = http.client.HTTPConnection("127.0.0.1", self.pods[pod][1].port, timeout=timeout_s)
        try:
            connection.request(method, f"/{path}", body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(what, answer.status, data.decode())
        return data


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[FakeNodes]:
    made = FakeNodes(tmp_path)
    made.start("n1", "agent-a")
    made.start("n2", "agent-b")
    yield made
    for agent in made.agents:
        agent.open.close()
    for _, outbox in made.pods.values():
        outbox.close()


@pytest.fixture
def agents(nodes: FakeNodes) -> Iterator[ClusterAgents]:
    made = ClusterAgents(cast("Cluster", nodes), TOKEN, keep_s=0.1)
    yield made
    made.close()


def act(name: str = "one", node: str = "n1", *, lifetime_s: float = 0.6, **params: Any) -> Act:
    return Act(id=name, kind="mark", node=node, params=params, lifetime_s=lifetime_s)


def test_an_act_is_kept_until_it_is_ended(nodes: FakeNodes, agents: ClusterAgents) -> None:
    """Beyond its lifetime, on its own node alone; a harness that keeps nothing lets it end."""
    agents.begin(act())
    ended = threading.Event()
    assert not ended.wait(1.2)
    assert (nodes.kinds["n1"].done, nodes.kinds["n2"].done) == ({"one"}, set())
    assert agents.undone() is None
    agents.end("n1", "one")
    agents.end("n1", "one")
    assert nodes.kinds["n1"].done == set()
    agents.begin(act("two"))
    agents.close()
    wait_until("the one that nobody keeps to end", lambda: nodes.kinds["n1"].done == set(), 5)


def test_a_question_that_takes_long_does_not_keep_an_act_from_being_kept(
    nodes: FakeNodes, agents: ClusterAgents
) -> None:
    """Commands of one agent are carried out side by side."""
    agents.begin(act())
    assert agents.ask("n1", "wait", wait_s=1.2) == {"waited_s": 1.2}
    assert nodes.kinds["n1"].done == {"one"}


def test_a_node_that_cannot_be_reached_costs_the_others_nothing(
    nodes: FakeNodes, agents: ClusterAgents
) -> None:
    """Its own act ends by its own clock; that is told once it is heard of again."""
    agents.begin(act("here", "n1"))
    agents.begin(act("there", "n2"))
    nodes.unreachable.add("agent-b")
    wait_until("the act there to end", lambda: nodes.kinds["n2"].done == set(), 5)
    assert nodes.kinds["n1"].done == {"here"}
    with pytest.raises(EnvironmentFailedError, match="node n2: its agent does not answer"):
        agents.remainders()
    assert agents.undone() is None
    nodes.unreachable.clear()
    wait_until("it to be told", lambda: list(agents.lost()) == ["there"], 5)
    assert "act there: node n2 does not have it open" in (agents.undone() or "")
    agents.end("n2", "there")
    assert agents.undone() is None


def test_another_pod_of_a_node_is_found(nodes: FakeNodes, agents: ClusterAgents) -> None:
    """The agent's pod may be replaced at any time; what the former left is undone, and told."""
    agents.begin(act(lifetime_s=60))
    nodes.pods.pop("agent-a")[1].close()
    nodes.start("n1", "agent-c")
    assert agents.acts("n1")["acts"] == []
    assert nodes.kinds["n1"].done == set()
    wait_until("it to be told", lambda: list(agents.lost()) == ["one"], 5)
    with pytest.raises(EnvironmentFailedError, match="node n3: it has no agent"):
        agents.begin(act("two", "n3"))


def test_refusals_and_failures_are_told_apart(nodes: FakeNodes, agents: ClusterAgents) -> None:
    """A refusal touched nothing; a failure is the environment's, and the act stays open at the agent."""
    with pytest.raises(RefusedError, match=r"node n1: .*this kernel lacks it"):
        agents.begin(act(colour="red"))
    with pytest.raises(RefusedError, match="expected one of wait"):
        agents.ask("n1", "why")
    with pytest.raises(RefusedError, match="unexpected keyword"):
        agents.ask("n1", "wait", colour="red")
    agents.begin(act("stuck"))
    with pytest.raises(EnvironmentFailedError, match="it cannot be undone"):
        agents.end("n1", "stuck")
    found = agents.remainders()
    assert [(one["node"], one["kind"], one["where"]) for one in found] == [("n1", "mark", "stuck")]
    nodes.kinds["n1"].done.clear()


def test_an_answer_of_the_api_server_is_no_refusal_of_the_agent(
    nodes: FakeNodes, agents: ClusterAgents
) -> None:
    """It answers 400 as long as a pod has no address: the agent is waited for, not given up."""
    nodes.unreachable.add("agent-a")
    nodes.status = 400
    with pytest.raises(EnvironmentFailedError, match="node n1: its agent does not answer"):
        agents.acts("n1")


def test_a_cluster_without_agents_is_not_taken_for_a_clean_one(nodes: FakeNodes) -> None:
    """Nobody looked."""
    empty = FakeNodes(nodes._folder)
    with pytest.raises(EnvironmentFailedError, match="no node has an agent"):
        ClusterAgents(cast("Cluster", empty), TOKEN).remainders()
