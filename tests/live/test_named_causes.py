"""Every cause is produced for real on the lab, all in one recording, and named from what was recorded."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from conftest import LabUnderTest
from lab_node import LabNodeAccess
from verify_command import verify

from clients.kubernetes import Cluster, pod_ready
from core.processes import run
from core.waiting import wait_until
from lab.cluster import find
from lab.debian_root import PYTHON
from lab.images import build_image
from lab.network import in_netns
from loadtests.runner import Load
from loadtests.settings import LoadSettings
from probes.recorder import ProbeTarget, Recorder
from reports.runs import Run, RunStore
from slas.expectations import Expectation
from slas.judge import judge, write_verdicts
from slas.timeline import Timeline

NAMESPACE = "causes"
SERVER = Path(__file__).with_name("cause_server.py")
HERE, AWAY = "node1", "node2"
# Pods of a service of which all but one are deleted: whether one is missed is a race.
MANY = 5
# A node counts as silent after 15 s, and its last heartbeat was up to ten seconds before the cut.
CUT_S = 17.0
# Each act shows at once, and the last endpoints go two seconds later. Twelve seconds after it two connections
# were once seen to hang that no event explains: theirs is another outage than the act's.
SHOWS_WITHIN_S = 8.0
HOOK = {"httpGet": {"path": "/hook?seconds=0.2", "port": 8080}}


@dataclass(frozen=True, kw_only=True)
class Case:
    """A service, how it is brought down, and what that must be called."""

    service: str
    cause: str
    kinds: tuple[str, ...]
    evidence: str
    # Events without which the cause cannot be known.
    rests_on: str
    mode: str = ""
    nodes: tuple[str, ...] = (HERE,)
    hook: dict[str, Any] | None = None


CASES = (
    Case(
        service="no-hook",
        cause="endpoint removed after SIGTERM",
        kinds=("refused", "reset", "truncated", "timeout"),
        evidence="is being deleted",
        rests_on="k8s.pod",
        nodes=(HERE,) * MANY,
    ),
    Case(
        service="short-hook",
        cause="preStop too short",
        kinds=("refused", "reset", "truncated", "timeout"),
        evidence="is being deleted, preStop GET /hook?seconds=0.2",
        rests_on="k8s.pod",
        nodes=(HERE,) * MANY,
        hook=HOOK,
    ),
    Case(
        service="unready",
        cause="no ready endpoint",
        kinds=("no_endpoint",),
        evidence="service unready without a ready endpoint",
        rests_on="k8s.endpointslice",
        mode="unready",
    ),
    Case(
        service="killed",
        cause="killed process",
        # Until the restarted one is ready nobody answers, and not every request is even rejected.
        kinds=("refused", "reset", "truncated", "stall"),
        evidence="pod killed-0 restarted (0 to 1)",
        rests_on="k8s.pod",
    ),
    Case(
        service="cut",
        cause="node lost",
        kinds=("timeout",),
        evidence="node node2 not heard for",
        rests_on="k8s.node",
        nodes=(HERE, AWAY),
    ),
    Case(
        service="reused",
        cause="reset of a reused connection",
        kinds=("reset",),
        evidence="failed on reused connections, none on new ones",
        rests_on="reused/reused",
        mode="reused",
    ),
    Case(
        service="slow",
        cause="stall under load",
        kinds=("stall", "timeout"),
        evidence="requests in this second",
        rests_on="load.second",
        mode="slow",
    ),
    Case(
        service="error",
        cause="application error",
        kinds=("status",),
        evidence="answers with status up to 500",
        rests_on="error/new",
        mode="error",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Recording:
    """The run, and when each service was brought down (Unix seconds)."""

    run: Run
    began_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Site:
    """The services on the lab, each reached by its NodePort on a node that stays."""

    lab: str
    cluster: Cluster
    urls: dict[str, str]

    def tell(self, service: str, seconds: float) -> None:
        """Have the only pod of a service fail for so long."""
        with urllib.request.urlopen(f"{self.urls[service]}break?seconds={seconds}", timeout=5) as answer:
            assert answer.status == 200

    def cut_away_node(self, seconds: float) -> None:
        """Take a node off the network for so long, and put it back whatever happens."""
        lab = find(self.lab)
        assert lab is not None
        netns = next(one.netns for one in lab.plan.machines if one.name == AWAY)
        rules = [
            ("-t", "raw", action, chain, way, "lo", "-j", "DROP")
            for action, chain, way in (("-I", "PREROUTING", "-i"), ("-I", "OUTPUT", "-o"))
        ]
        rules = [(*rule[:4], "!", *rule[4:]) for rule in rules]
        try:
            for rule in rules:
                run(in_netns(netns, "iptables", "-w", *rule), timeout_s=10)
            time.sleep(seconds)
        finally:
            for rule in rules:
                undone = ["-D" if word == "-I" else word for word in rule]
                run(in_netns(netns, "iptables", "-w", *undone), timeout_s=10, check=False)


@pytest.fixture(scope="module")
def site(test_lab: LabUnderTest) -> Iterator[Site]:
    """Give every service, ready."""
    cluster = Cluster(test_lab.kubeconfig)
    image = build_image("auth-service", "1.0.0")
    lab = find(test_lab.name)
    assert lab is not None
    lab.push([image])
    told = json.loads(verify("lab", "status", "--name", test_lab.name, "--json").stdout)
    address = next(node["address"] for node in told["nodes"] if node["name"] == HERE)
    cluster.create("namespaces", {"metadata": {"name": NAMESPACE}})
    try:
        wait_until("the account", lambda: cluster.get("serviceaccounts", "default", NAMESPACE), 30)
        for case in CASES:
            for number, node in enumerate(case.nodes):
                cluster.create("pods", pod(case, number, node, image.pinned))
        ports = {case.service: node_port(cluster, case.service) for case in CASES}

        def ready() -> bool:
            return all(pod_ready(one) for one in cluster.list("pods", NAMESPACE))

        wait_until("all pods to be ready", ready, 90, interval_s=0.2)
        urls = {service: f"http://{address}:{port}/" for service, port in ports.items()}
        yield Site(lab=test_lab.name, cluster=cluster, urls=urls)
    finally:
        cluster.delete("namespaces", NAMESPACE)
        wait_until("the namespace to go", lambda: cluster.get("namespaces", NAMESPACE) is None, 90)


def pod(case: Case, number: int, node: str, image: str) -> dict[str, Any]:
    """Return a pod of a service on a node."""
    name = f"{case.service}-{number}"
    labels = {"app.kubernetes.io/name": case.service}
    container: dict[str, Any] = {
        "name": "server",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, "-c", SERVER.read_text()],
        "env": [{"name": "POD_NAME", "value": name}, {"name": "MODE", "value": case.mode}],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8080},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 1,
        },
    }
    if case.hook:
        container["lifecycle"] = {"preStop": case.hook}
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 10, "containers": [container]}
    return {"metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}, "spec": spec}


def node_port(cluster: Cluster, service: str) -> int:
    """Make a Service and return its port on every node."""
    made = cluster.create(
        "services",
        {
            "metadata": {"name": service, "namespace": NAMESPACE},
            "spec": {
                "type": "NodePort",
                "selector": {"app.kubernetes.io/name": service},
                "ports": [{"port": 80, "targetPort": 8080}],
            },
        },
    )
    return int(made["spec"]["ports"][0]["nodePort"])


@pytest.fixture(scope="module")
def recording(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Bring every service down, each in its own way, while all are watched; and judge."""
    recorded = RunStore(tmp_path_factory.mktemp("runs") / "runs").create("lab", [], 7)
    targets = [ProbeTarget(name=case.service, url=site.urls[case.service]) for case in CASES]
    recorder = Recorder(recorded.path, recorded.clock, site.cluster, NAMESPACE, targets, rate=20.0)
    host = site.urls["slow"].split("/")[2].split(":")[0]
    load = Load(
        recorded.path,
        recorded.clock.offset_s,
        site.urls["slow"].rstrip("/"),
        LoadSettings.steady(rate=80.0, duration_s=60.0, users=40),
        allowed_hosts=[host],
    )
    began: dict[str, float] = {}

    def act(service: str, what: Callable[[], object]) -> None:
        began[service] = recorded.clock.now()
        what()

    with recorder, load:
        recorder.ready(60.0)
        load.wait_flowing(30.0)
        recorder.calibrate()
        start_s = recorded.clock.now()
        time.sleep(1.0)
        act("slow", lambda: site.tell("slow", 3.0))
        time.sleep(5.0)
        load.stop()
        act("error", lambda: site.tell("error", 1.0))
        act("reused", lambda: site.tell("reused", 1.5))
        act("unready", lambda: site.tell("unready", 3.0))
        time.sleep(2.0)
        # kube-proxy takes out the first endpoints at once, and the next ones a second later.
        began |= dict.fromkeys(("no-hook", "short-hook"), recorded.clock.now())
        for number in range(1, MANY):
            for service in ("no-hook", "short-hook"):
                site.cluster.delete("pods", f"{service}-{number}", NAMESPACE)
            time.sleep(0.1)
        time.sleep(2.0)
        act("killed", lambda: kill(site))
        time.sleep(3.0)
        act("cut", lambda: site.cut_away_node(CUT_S))
        time.sleep(3.0)
        end_s = recorded.clock.now()
        recorder.wait_recorded(end_s)
    for case in CASES:
        expectation = Expectation(
            sla="downtime",
            subject=case.service,
            scenario=case.service,
            start_s=start_s,
            end_s=end_s,
            allowed=0.0,
            unit="s",
            resolution_s=0.5,
        )
        recorded.append("expectation", **expectation.as_event())
    write_verdicts(recorded.path, judge(Timeline.load(recorded.path)))
    recorded.finish(1)
    return Recording(run=recorded, began_s=began)


def kill(site: Site) -> None:
    """Kill the process of a pod's only container on its node."""
    found = site.cluster.get("pods", "killed-0", NAMESPACE)
    assert found is not None
    container = found["status"]["containerStatuses"][0]["containerID"].rpartition("//")[2]
    LabNodeAccess(site.lab).kill_container(HERE, container)


def outages(case: Case, timeline: Timeline, began_s: float) -> list[dict[str, Any]]:
    """Return the outages since the act that are of the expected kinds, as the verdict tells of them."""
    (verdict,) = (one for one in judge(timeline) if one.subject == case.service)
    after = [one for one in verdict.evidence["intervals"] if one["end_s"] > began_s]
    return [one for one in after if one["kind"] in case.kinds]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.service)
def test_a_cause_that_was_produced_is_named(recording: Recording, case: Case) -> None:
    """With its evidence, and a kind that fits; not without the events that it rests on."""
    timeline, began_s = Timeline.load(recording.run.path), recording.began_s[case.service]
    found = outages(case, timeline, began_s)
    assert found, "no outage after the act"
    acts = [one for one in found if one["start_s"] < began_s + SHOWS_WITHIN_S]
    assert {one["cause"] for one in acts} == {case.cause}, found
    # Of what comes later the cause may be unknown, but no other is made up.
    assert {one["cause"] for one in found} <= {case.cause, "unexplained"}, found
    assert any(case.evidence in words for words in found[0]["because"]), found
    if "/" in case.rests_on:  # the samples of a series: without the failed ones there is no outage
        series = timeline.samples[case.rests_on]
        good = series.take(series.outcome == 0)
        blind = replace(timeline, samples={**timeline.samples, case.rests_on: good})
    else:
        rest = tuple(event for event in timeline.events if event["kind"] != case.rests_on)
        blind = replace(timeline, events=rest)
    (verdict,) = (one for one in judge(blind) if one.subject == case.service)
    causes = [one["cause"] for one in verdict.evidence["intervals"] if one["end_s"] > began_s]
    if case.rests_on == "error/new":  # the other series still has them
        assert set(causes) == {case.cause}
    else:
        assert case.cause not in causes


def test_judging_again_gives_the_same_verdicts_byte_for_byte(recording: Recording) -> None:
    """By the public command, without a cluster."""
    again = verify("judge", str(recording.run.path), "--json")
    assert again.stdout == (recording.run.path / "verdicts.json").read_text()
    assert again.returncode == 1, again.stderr
