"""Who undoes what a harness left: the healer, the watchdog, the audit that looks for what they missed."""

from __future__ import annotations

import pytest

from chaos.audit import FAULT_LABEL, Baseline, remainders
from chaos.cluster_ledger import LEDGER_LABEL, NAMESPACE, ClusterLedger, OpenFault
from chaos.healer import Healer, NotHealedError
from chaos.heartbeat import HEARTBEAT, Listener
from chaos.stopping import STOP_FILE, STOP_LABEL, StopSwitch
from chaos.undo import Undo
from chaos.watchdog import Watchdog
from clients.kubernetes import ApiError
from core.errors import EnvironmentFailedError
from tests.chaos.lasting import NODE, cluster_with_node, cordoned

OPEN = OpenFault(
    fault="cordon",
    fault_id="cordon-1",
    run="run",
    targets=[{"node": NODE}],
    undo=[Undo(verb="uncordon", args={"node": NODE})],
)


class Agents:
    """Agents in memory; `down` ones do not answer."""

    def __init__(self, found=(), *, down=False):
        self.ended, self._found, self._down = [], list(found), down

    def end(self, node, act_id):
        if self._down:
            raise EnvironmentFailedError(f"node {node} does not answer")
        self.ended.append((node, act_id))

    def remainders(self):
        return self._found


class Clock:
    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


def lease(cluster, holder="run"):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 6}
    return cluster.put("leases", {"metadata": {"name": HEARTBEAT, "namespace": NAMESPACE}, "spec": spec})


@pytest.fixture
def cluster():
    made = cluster_with_node()
    made.patch("nodes", NODE, None, {"spec": {"unschedulable": True}})
    return made


def test_steps_are_undone_from_the_last_to_the_first_and_twice_without_harm(cluster):
    """The order is the reverse of the doing; what is gone already is no error."""
    agents = Agents()
    steps = [
        Undo(verb="agent", args={"node": NODE, "act_id": "a"}),
        Undo(verb="delete", args={"resource": "pods", "name": "gone", "namespace": "n"}),
        Undo(verb="uncordon", args={"node": "no-such-node"}),
        Undo(verb="agent", args={"node": NODE, "act_id": "b"}),
        *OPEN.undo,
    ]
    for _ in range(2):
        Healer(cluster, agents).heal(steps)
    assert agents.ended == [(NODE, "b"), (NODE, "a")] * 2
    assert not cordoned(cluster)


def test_a_step_that_fails_does_not_keep_the_others_from_being_tried(cluster):
    """The error names the step and why; a power that nobody has is such a step too."""
    steps = [
        *OPEN.undo,
        Undo(verb="agent", args={"node": NODE, "act_id": "a"}),
        Undo(verb="provider", args={"what": "power_loss", "node": NODE}),
    ]
    with pytest.raises(NotHealedError, match="does not answer") as caught:
        Healer(cluster, Agents(down=True)).heal(steps)
    assert [step.verb for step, _ in caught.value.failed] == ["provider", "agent"]
    assert not cordoned(cluster)


@pytest.mark.parametrize("gone", ["the agents", "the node"])
def test_an_act_of_what_is_gone_needs_no_undoing(gone):
    """Agents undo all as they are removed, and a node takes what was done on it along."""
    cluster = cluster_with_node()
    if gone == "the node":
        cluster.put("namespaces", {"metadata": {"name": NAMESPACE}})
    step = Undo(verb="agent", args={"node": "another", "act_id": "a"})
    Healer(cluster, Agents(down=True) if gone == "the node" else None).heal([step])


def test_an_act_on_a_node_that_is_there_stays_open_without_its_agent(cluster):
    """Also where nobody may look whether the node is there."""
    cluster.put("namespaces", {"metadata": {"name": NAMESPACE}})
    step = Undo(verb="agent", args={"node": NODE, "act_id": "a"})
    for agents, why in ((None, "there are no agents"), (Agents(down=True), "does not answer")):
        with pytest.raises(NotHealedError, match=why):
            Healer(cluster, agents).heal([step])
    cluster.down = True
    with pytest.raises(NotHealedError, match="does not answer"):
        Healer(cluster, Agents(down=True)).heal([step])


def test_an_unknown_verb_is_no_undo():
    """A ledger of another version is not half carried out."""
    with pytest.raises(ValueError, match="expected one of agent, uncordon"):
        Undo.from_json({"verb": "explode"})


def test_the_watchdog_undoes_what_is_open_once_the_harness_is_silent(cluster):
    """While the Lease changes it does nothing; when it stays as it is for its duration, it heals."""
    clock = Clock()
    ledger = ClusterLedger(cluster)
    watchdog = Watchdog(Listener(cluster, NAMESPACE, clock), ledger, Healer(cluster), "w")
    ledger.open(OPEN)
    for _ in range(5):
        lease(cluster)
        clock.now_s += 5
        assert watchdog.look() == []
    assert cordoned(cluster)
    clock.now_s += 6.5
    assert watchdog.look() == ["cordon-1"]
    assert not cordoned(cluster)
    assert ledger.outstanding() == []
    assert watchdog.look() == []


@pytest.mark.parametrize("left", ["given back", "gone"])
def test_the_watchdog_also_takes_a_missing_heartbeat_for_silence(cluster, left):
    """A harness that gave its Lease back with a fault open, or whose Lease went, is not there to heal."""
    clock = Clock()
    ClusterLedger(cluster).open(OPEN)
    if left == "given back":
        lease(cluster, holder="")
    watchdog = Watchdog(Listener(cluster, NAMESPACE, clock), ClusterLedger(cluster), Healer(cluster), "w")
    watchdog.look()
    clock.now_s += 6.5
    watchdog.look()
    assert not cordoned(cluster)


def test_the_watchdog_keeps_open_what_it_cannot_undo(cluster):
    """It is tried again at the next look, and succeeds once the agent answers."""
    ledger = ClusterLedger(cluster)
    lease(cluster, holder="")
    entry = OpenFault(
        fault="x",
        fault_id="x-1",
        run="r",
        targets=[],
        undo=[Undo(verb="agent", args={"node": NODE, "act_id": "a"})],
    )
    ledger.open(entry)
    heartbeat = Listener(cluster, NAMESPACE, Clock())
    assert Watchdog(heartbeat, ledger, Healer(cluster, Agents(down=True)), "w").look() == []
    assert [one.fault_id for one in ledger.outstanding()] == ["x-1"]
    assert Watchdog(heartbeat, ledger, Healer(cluster, Agents()), "w").look() == ["x-1"]


def labelled(cluster, kind, **meta):
    cluster.put(kind, {"metadata": {"name": "planted", "namespace": "n", "uid": "p", **meta}, "spec": {}})


def taint(cluster):
    cluster.patch(
        "nodes", NODE, None, {"spec": {"taints": [{"key": "ecochain.io/cut", "effect": "NoSchedule"}]}}
    )


def open_entry(cluster):
    meta = {"name": "fault-x", "namespace": NAMESPACE, "labels": {LEDGER_LABEL: "open"}}
    cluster.put("configmaps", {"metadata": meta, "data": {}})


FAULT = {FAULT_LABEL: "halt"}
MADE = ("pods", "configmaps", "services", "networkpolicies", "jobs", "poddisruptionbudgets")
CHANGED = ("deployments", "statefulsets", "daemonsets", "services", "persistentvolumeclaims")
PLANTED = {
    "cordon": ("cordon", lambda c: c.patch("nodes", NODE, None, {"spec": {"unschedulable": True}})),
    "taint": ("taint", taint),
    "ledger": ("ledger", open_entry),
    "node": ("nodes", lambda c: c.patch("nodes", NODE, None, {"metadata": {"annotations": FAULT}})),
    "namespace": ("namespaces", lambda c: c.put("namespaces", {"metadata": {"name": "n", "labels": FAULT}})),
    "name": ("configmaps", lambda c: labelled(c, "configmaps", name="ecochain-chaos-x")),
    "finalizer": ("finalizer", lambda c: labelled(c, "pods", finalizers=["ecochain.io/held"])),
    **{
        f"{kind}, made": (kind, lambda c, kind=kind: labelled(c, kind, labels={FAULT_LABEL: "x-1"}))
        for kind in MADE
    },
    **{
        f"{kind}, changed": (kind, lambda c, kind=kind: labelled(c, kind, annotations={FAULT_LABEL: "x"}))
        for kind in CHANGED
    },
}


@pytest.mark.parametrize(("kind", "plant"), PLANTED.values(), ids=PLANTED)
def test_the_audit_finds_a_planted_remainder_of_each_kind_and_nothing_else(kind, plant):
    """A clean cluster gives nothing; a planted remainder is found alone, and named."""
    cluster = cluster_with_node()
    cluster.put("namespaces", {"metadata": {"name": NAMESPACE}})
    labelled(cluster, "pods", name="shop", labels={"app": "shop"})
    labelled(cluster, "pods", name="ecochain-chaos-agent", namespace=NAMESPACE)
    assert remainders(cluster, Agents()) == []
    plant(cluster)
    assert [one.kind for one in remainders(cluster, Agents())] == [kind]


def test_the_audit_asks_the_nodes_too():
    """What an agent finds on its node is a remainder like any other."""
    found = remainders(
        cluster_with_node(), Agents([{"kind": "qdisc", "where": "eth0", "what": "tbf", "node": NODE}])
    )
    assert str(found[0]) == f"qdisc at {NODE} eth0: tbf"


def test_what_was_so_before_the_first_fault_is_nobodys_remainder(cluster):
    """A node that its administrator had cordoned stays out of the list."""
    assert remainders(cluster, None)
    assert remainders(cluster, None, Baseline.of(cluster)) == []


@pytest.mark.parametrize("how", ["file", "label", "pull"])
def test_each_way_to_stop_stops(how, tmp_path, monkeypatch):
    """A file in the run's folder, a label in the cluster, a call; and it stays so."""
    monkeypatch.setattr("chaos.stopping._LOOK_S", 0.0)
    cluster = cluster_with_node()
    cluster.put("namespaces", {"metadata": {"name": NAMESPACE}})
    switch = StopSwitch(tmp_path, cluster)
    assert switch.pulled() is None
    if how == "file":
        (tmp_path / STOP_FILE).touch()
    elif how == "label":
        cluster.patch("namespaces", NAMESPACE, None, {"metadata": {"labels": {STOP_LABEL: "now"}}})
    else:
        switch.pull("Ctrl-C")
    assert switch.pulled()
    (tmp_path / STOP_FILE).unlink(missing_ok=True)
    assert switch.pulled()


def test_time_in_which_the_api_does_not_answer_is_no_silence(cluster):
    """A watchdog that is blind heard nothing, and an outage of the API may be the very fault."""
    clock = Clock()
    listener = Listener(cluster, NAMESPACE, clock)
    lease(cluster)
    assert listener.silent() is None
    cluster.down = True
    for _ in range(20):
        clock.now_s += 1
        with pytest.raises(ApiError):
            listener.silent()
    cluster.down = False
    for seconds, gone in ((1, False), (5, False), (2, True)):
        clock.now_s += seconds
        assert bool(listener.silent()) is gone


def test_a_fault_whose_node_does_not_answer_keeps_no_other_from_being_undone(cluster):
    """Both are tried at the same look."""
    ledger = ClusterLedger(cluster)
    cluster.put("nodes", {"metadata": {"name": "cut"}, "spec": {}})
    steps = [Undo(verb="agent", args={"node": "cut", "act_id": "a"})]
    ledger.open(OpenFault(fault="x", fault_id="x-1", run="r", targets=[], undo=steps, opened_s=2.0))
    ledger.open(OPEN)
    lease(cluster, holder="")
    watchdog = Watchdog(Listener(cluster, NAMESPACE), ledger, Healer(cluster, Agents(down=True)), "w")
    assert watchdog.look() == ["cordon-1"]
    assert not cordoned(cluster)


def test_two_watchdogs_do_no_more_than_one(cluster):
    """Each undoes what it finds open; the second finds nothing, or undoes it again."""
    ledger = ClusterLedger(cluster)
    ledger.open(OPEN)
    lease(cluster, holder="")
    one, two = (Watchdog(Listener(cluster, NAMESPACE), ledger, Healer(cluster), name) for name in "ab")
    assert one._heal(OPEN) is None
    assert two._heal(OPEN) is None
    assert (one.look(), two.look()) == ([], [])
    assert not cordoned(cluster)
    ledger.sweep()
    assert cluster.list("configmaps") == []


def test_an_entry_that_cannot_be_read_is_named(cluster):
    """It is not taken for nothing."""
    open_entry(cluster)
    with pytest.raises(EnvironmentFailedError, match="configmap fault-x: expected a ledger's entry"):
        ClusterLedger(cluster).outstanding()


def test_a_power_that_ends_with_its_owner_needs_no_provider():
    """The watchdog has none: what the provider ends by itself is done; any other stays open."""
    args = {"what": "pause", "component": "etcd"}
    healer = Healer(cluster_with_node())
    healer.heal([Undo(verb="provider", args={**args, "ends_with_owner": True})])
    for alone in ({}, {"ends_with_owner": False}):
        with pytest.raises(NotHealedError, match="provider is not at hand"):
            healer.heal([Undo(verb="provider", args={**args, **alone})])


def test_a_provider_is_told_what_to_end_and_nothing_else():
    """Who ends it by itself is the ledger's affair, not the power's."""
    told = []

    class Powers:
        def end(self, what, **args):
            told.append((what, args))

    step = Undo(verb="provider", args={"what": "pause", "component": "etcd", "ends_with_owner": True})
    Healer(cluster_with_node(), powers=Powers()).heal([step])
    assert told == [("pause", {"component": "etcd"})]


def test_an_answer_that_was_long_in_coming_is_no_silence_of_the_harness(cluster, monkeypatch):
    """A control plane that stalls keeps the harness from renewing as well: it is heard anew first."""
    lease(cluster)
    clock = Clock()
    listener = Listener(cluster, NAMESPACE, clock)
    assert listener.silent() is None
    answer = cluster.get

    def late(*args, **settings):
        clock.now_s += 8.0
        return answer(*args, **settings)

    monkeypatch.setattr(cluster, "get", late)
    assert listener.silent() is None
    monkeypatch.undo()
    clock.now_s += 5.0
    assert listener.silent() is None
    clock.now_s += 2.0
    assert listener.silent() == "not heard of for 7.0 s"
