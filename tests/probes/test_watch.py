"""The watcher of a cluster that loses its streams."""

from __future__ import annotations

import json
import threading

from clients.kubernetes import ApiError, WatchEvent
from core.clock import RunClock
from core.files import read_lines
from probes.children import Child
from probes.nodes import Heartbeats
from probes.objects import DESCRIBED, node_event
from probes.watch import Watcher


def pod(name, version, **status):
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": version, "namespace": "n"},
        "spec": {"nodeName": "node-1"},
        "status": status,
    }


class FakeCluster:
    """Plays lists and streams in turn, then stops the watcher."""

    def __init__(self, stopped, lists, streams):
        self.stopped, self.lists, self.streams = stopped, lists, streams
        self.from_versions = []

    def list_with_version(self, _resource, namespace):
        assert namespace == "n"
        return self.lists.pop(0)

    def watch(self, _resource, _namespace, *, version, **_):
        self.from_versions.append(version)
        if not self.streams:
            self.stopped.set()
            return
        for change in self.streams.pop(0):
            if isinstance(change, Exception):
                raise change
            yield WatchEvent(type=change[0], object=change[1])


def follow(resource, lists, streams):
    stopped, events = threading.Event(), []
    cluster = FakeCluster(stopped, lists, streams)
    Watcher(cluster, "n", resource, RunClock.start(), events.append).follow(stopped)
    return cluster, events


def test_what_changed_during_a_gap_is_found_by_listing_again():
    """A broken stream is a k8s.gap; then what went, came and changed meanwhile is told, and nothing else."""
    old, kept, changed = pod("old", "1"), pod("kept", "2"), pod("changed", "3")
    _, events = follow(
        "pods",
        [([old, kept, changed], "10"), ([kept, pod("changed", "21"), pod("fresh", "22")], "30")],
        [[("MODIFIED", pod("old", "11", phase="Running")), ApiError("WATCH", 410, "too old")]],
    )
    told = [(one["kind"], one.get("type"), one.get("name")) for one in events]
    assert told == [
        ("k8s.pod", "ADDED", "old"),
        ("k8s.pod", "ADDED", "kept"),
        ("k8s.pod", "ADDED", "changed"),
        ("k8s.pod", "MODIFIED", "old"),
        ("k8s.gap", None, None),
        ("k8s.pod", "MODIFIED", "changed"),
        ("k8s.pod", "ADDED", "fresh"),
        ("k8s.pod", "DELETED", "old"),
    ]
    assert events[4]["resource"] == "pods"
    assert "410 too old" in events[4]["reason"]
    assert [one["t"] for one in events] == sorted(one["t"] for one in events)


def test_a_stream_that_ends_in_peace_goes_on_where_it_was():
    """The server ends a watch now and then: the next one starts at the last version, without a gap."""
    bookmark = {"metadata": {"resourceVersion": "40"}}
    cluster, events = follow("pods", [([], "10")], [[("BOOKMARK", bookmark)], [("ADDED", pod("a", "41"))]])
    assert cluster.from_versions == ["10", "40", "41"]
    assert [one["kind"] for one in events] == ["k8s.pod"]


def test_events_from_before_the_run_are_left_out():
    """The cluster's own Events are told from the run's beginning on, and never as deleted."""

    def event(name, version):
        meta = {"name": name, "uid": name, "resourceVersion": version, "namespace": "n"}
        return {
            "metadata": meta,
            "reason": name,
            "involvedObject": {"kind": "Pod", "name": "p"},
            "type": "Normal",
        }

    _, events = follow(
        "events",
        [([event("Old", "1")], "10")],
        [[("ADDED", event("Killing", "11")), ("DELETED", event("Old", "12"))]],
    )
    assert [(one["kind"], one["reason"], one["object_name"]) for one in events] == [
        ("k8s.event", "Killing", "p")
    ]


def test_a_pod_is_described_as_the_timeline_needs_it():
    """Readiness counts only while the pod is not being deleted; restarts are summed; starts are kept."""
    running = pod(
        "a",
        "1",
        phase="Running",
        podIP="10.0.0.1",
        conditions=[{"type": "Ready", "status": "True"}],
        containerStatuses=[
            {
                "name": "c",
                "image": "i:1",
                "imageID": "i@sha256:x",
                "containerID": "containerd://y",
                "restartCount": 2,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            },
            {"name": "d", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}}},
        ],
    )
    seen = DESCRIBED["pods"]("MODIFIED", running)
    assert (seen["ready"], seen["deleting"], seen["restarts"], seen["node"]) == (True, False, 3, "node-1")
    assert seen["containers"][0]["started_at"] == "2026-01-01T00:00:00Z"
    assert "started_at" not in seen["containers"][1]
    running["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:10Z"
    seen = DESCRIBED["pods"]("MODIFIED", running)
    assert (seen["ready"], seen["deleting"]) == (False, True)


def test_a_pod_tells_how_it_will_be_stopped():
    """Its hooks in words, their length where they state it, and the time it is given."""
    one = pod("a", "1")
    one["spec"] |= {"terminationGracePeriodSeconds": 30, "containers": [{"name": "c"}]}
    seen = DESCRIBED["pods"]("ADDED", one)
    assert (seen["pre_stop"], seen["pre_stop_s"], seen["grace_s"]) == ([], None, 30)
    for hook, words, length_s in (
        ({"httpGet": {"path": "/drain?seconds=4", "port": 1}}, "GET /drain?seconds=4", 4.0),
        ({"httpGet": {"path": "/drain", "port": 1}}, "GET /drain", None),
        ({"sleep": {"seconds": 3}}, "sleep 3 s", 3.0),
        ({"exec": {"command": ["/bin/sleep", "0.2"]}}, "/bin/sleep 0.2", 0.2),
        ({"exec": {"command": ["sh", "-c", "sleep 5"]}}, "sh -c sleep 5", None),
    ):
        one["spec"]["containers"] = [{"name": "c"}, {"name": "d", "lifecycle": {"preStop": hook}}]
        seen = DESCRIBED["pods"]("ADDED", one)
        assert (seen["pre_stop"], seen["pre_stop_s"]) == ([words], length_s)
    one["metadata"]["deletionGracePeriodSeconds"] = 0
    assert DESCRIBED["pods"]("MODIFIED", one)["grace_s"] == 0


def test_a_node_that_falls_silent_is_told_once_and_so_is_its_return():
    """Only while others are heard: else it is the API server that is silent."""
    beats = Heartbeats()
    assert [beats.heard("ADDED", name, 100.0) for name in ("a", "b")] == [[], []]
    beats.heard("MODIFIED", "b", 110.0)
    assert beats.overdue(114.9) == []
    (silent,) = beats.overdue(115.1)
    assert (silent["type"], silent["name"], silent["silent_since_s"]) == ("SILENT", "a", 100.0)
    assert beats.overdue(116.0) == []
    assert beats.overdue(126.0) == [], "nobody was heard for 16 s"
    (heard,) = beats.heard("MODIFIED", "a", 127.0)
    assert (heard["type"], heard["name"], heard["silent_s"]) == ("HEARD", "a", 27.0)
    (again,) = beats.overdue(127.5)
    assert again["name"] == "b"
    beats.heard("DELETED", "b", 128.0)
    assert beats.overdue(141.0) == []


def test_what_one_may_not_see_is_watched_without():
    """Nodes belong to the cluster: who has rights in a namespace alone gets a gap, and goes on."""
    stopped, events = threading.Event(), []

    class Forbidding:
        def list_with_version(self, _resource, _namespace):
            raise ApiError("GET nodes", 403, "forbidden")

    watcher = Watcher(
        Forbidding(), "", "nodes", RunClock.start(), events.append, describe=node_event, optional=True
    )
    watcher.follow(stopped)
    assert watcher.listed.is_set()
    assert [(one["kind"], one["resource"]) for one in events] == [("k8s.gap", "nodes")]


def test_an_endpoint_without_conditions_is_ready():
    """The API leaves `ready` out to mean yes; `serving` then says the same."""
    piece = {
        "metadata": {"name": "s-1", "namespace": "n", "labels": {"kubernetes.io/service-name": "s"}},
        "endpoints": [
            {"addresses": ["10.0.0.1"], "targetRef": {"name": "a"}, "conditions": {}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": False, "serving": True, "terminating": True}},
        ],
    }
    seen = DESCRIBED["endpointslices"]("ADDED", piece)
    assert seen["service"] == "s"
    assert seen["endpoints"] == [
        {"pod": "a", "ip": "10.0.0.1", "ready": True, "serving": True, "terminating": False},
        {"pod": "", "ip": "10.0.0.2", "ready": False, "serving": True, "terminating": True},
    ]


def test_a_cluster_that_does_not_answer_is_a_gap_of_every_resource(tmp_path, clock):
    """The watcher keeps trying, says so in the timeline, is not ready, and still ends when told."""
    kubeconfig = tmp_path / "kubeconfig"
    named = {"name": "x", "cluster": {"server": "https://127.0.0.1:1"}, "user": {}}
    context = {"name": "x", "context": {"cluster": "x", "user": "x"}}
    everything = {"clusters": [named], "users": [named], "contexts": [context], "current-context": "x"}
    kubeconfig.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **everything}))
    config = {"run_dir": str(tmp_path), "offset_s": clock.offset_s, "kubeconfig": str(kubeconfig)}
    child = Child("watch", "probes.watch", {**config, "namespace": "n"}, tmp_path, clock.now)

    everywhere = {*DESCRIBED, "nodes", "leases"}

    def gaps():
        found = {one["resource"] for one in read_lines(tmp_path / "events.jsonl") if one["kind"] == "k8s.gap"}
        return found if len(found) == len(everywhere) else None

    try:
        assert child.wait_for("a gap of every resource", gaps, 20) == everywhere
        assert child.said() == []
    finally:
        assert child.stop(5) == 0
