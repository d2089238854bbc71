"""Every fault with its effect taken away: its scenario, the alteration, what the proof then misses. Data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

AUTH = "auth-service"
_AUTH = {"service": AUTH, "count": 1}
_STORE = {"selector": "app.kubernetes.io/name=ferretdb", "count": 1}
_NODE = {"nodes": "kubernetes.io/hostname=node2", "count": 1}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """A text of a file, which must be there once, and what stands there instead."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, kw_only=True)
class Ineffective:
    """How a fault is played, and what of the checkout is altered so that nothing comes of it.

    `lacking` is a regular expression for what the proof must name as missing: the sound state, as measured.
    """

    edit: Edit
    lacking: str
    target: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    duration: str | None = "4s"

    def scenario(self, name: str, fault: str) -> str:
        """Return the scenario file. Its bounds hold whatever happens, so that only the proof can fail it."""
        entry = {"fault": fault, "target": self.target, "parameters": self.parameters}
        return json.dumps(
            {
                "name": name,
                "reason": "The fault's effect was taken away.",
                "promise": "replicas",
                "sets": ["full"],
                "subject": AUTH,
                "all_replicas": True,
                "faults": [entry | ({"duration": self.duration} if self.duration else {})],
                "expect": {"whole": {"downtime": "60s", "latency_p95": "60s"}},
            }
        )


def _act(kind: str) -> Edit:
    """Let the agents do all with such an act but begin it: it is noted, kept, listed and ended."""
    call = "kind.begin(act, self._noting(one))"
    return Edit(file="chaos/node/open_acts.py", old=call, new=f'({{}} if act.kind == "{kind}" else {call})')


# One fault refuses itself: there is nothing to be made ineffective, and nothing is altered.
REFUSES_ITSELF = "clock_skew"
REFUSED = Ineffective(
    target=_AUTH, parameters={"offset": "60s"}, duration=None, edit=_act("none"), lacking="is refused"
)

_POWER = Edit(
    file="lab/powers.py",
    old="return outages.begin(self.lab, what, self._subject(what, args), longest_s, outages.own_process())",
    new="return {}",
)
_RESTARTS = r"has \d+ restarts, \d+ before"

INEFFECTIVE: Mapping[str, Sequence[Ineffective]] = {
    "pod_delete": [
        Ineffective(
            target=_AUTH,
            duration=None,
            edit=Edit(
                file="chaos/faults/pod_delete.py",
                old='cluster.delete("pods", target.pod, target.namespace, grace_s=self._grace_s, '
                "uid=target.uid)",
                new="pass",
            ),
            lacking="is still there and not terminating",
        )
    ],
    "container_kill": [
        Ineffective(target=_AUTH, duration=None, edit=_act("signal_container"), lacking=_RESTARTS)
    ],
    # The first kill lands: what it showed must not stand for those that follow.
    "container_kill_repeated": [
        Ineffective(
            target=_AUTH,
            duration="8s",
            parameters={"interval": "2s"},
            edit=Edit(
                file="chaos/faults/container_kill_repeated.py",
                old="            for target in self._targets:\n                kill(self._place",
                new="            for target in self._targets[len(self._kills) :]:\n"
                "                kill(self._place",
            ),
            lacking=f"kill 2: .*{_RESTARTS}",
        )
    ],
    "container_freeze": [
        Ineffective(target=_AUTH, edit=_act("freeze_container"), lacking=r"states \['[RS].*\], not T alone")
    ],
    "cpu_pressure": [
        Ineffective(target=_AUTH, edit=_act("cpu_hog"), lacking="expected 50% of its processor time")
    ],
    "memory_pressure": [
        Ineffective(target=_AUTH, edit=_act("memory_hog"), lacking=r"\d+% of its limit, expected 90%"),
        Ineffective(
            target=_AUTH,
            parameters={"mode": "oom_kill"},
            edit=_act("memory_hog"),
            lacking=r"\d+ restarts, \d+ before",
        ),
    ],
    "disk_full": [
        Ineffective(
            target=_STORE,
            parameters={"path": "/tmp"},
            edit=_act("fill_volume"),
            lacking="a write at /tmp gives no error, expected ENOSPC",
        )
    ],
    "volume_read_only": [
        Ineffective(
            target=_STORE,
            parameters={"path": "/data"},
            edit=_act("read_only_volume"),
            lacking="a write at /data gives no error, expected EROFS",
        )
    ],
    "network_partition": [
        Ineffective(
            target=_AUTH,
            parameters={"peers": _STORE["selector"]},
            edit=_act("network_filter"),
            lacking="3 echoes out were heard",
        )
    ],
    "network_loss": [
        Ineffective(
            target=_AUTH,
            parameters={"loss": "50%"},
            edit=_act("network_filter"),
            lacking="less than 0.375 of the probes are lost.*'lost': 0,",
        )
    ],
    "network_delay": [
        Ineffective(
            target=_AUTH,
            parameters={"delay": "500ms"},
            edit=_act("network_delay"),
            lacking=r"less than 4\d\d\.\d ms",
        )
    ],
    "network_bandwidth": [
        Ineffective(
            target=_AUTH,
            parameters={"rate": "1Mbit/s"},
            edit=_act("network_bandwidth"),
            lacking=r"not about 1e\+06 bit/s",
        )
    ],
    "connection_reset": [
        Ineffective(
            target=_AUTH,
            edit=_act("network_filter"),
            lacking="less than 0.500 of the connections are reset.*'answered'",
        )
    ],
    "dns_failure": [
        Ineffective(
            target=_AUTH, edit=_act("network_filter"), lacking="expected refused.*'outcome': 'answered'"
        )
    ],
    "dns_wrong_answer": [
        Ineffective(
            target=_AUTH,
            parameters={"lookup": "mongodb"},
            edit=_act("dns_answers"),
            lacking="expected 192.0.2.1.*'outcome': 'answered'",
        )
    ],
    "dependency_outage": [
        Ineffective(
            target=_AUTH,
            parameters={"service": "mongodb"},
            edit=_act("network_filter"),
            lacking="expected refused.*'answered'",
        ),
        Ineffective(
            target=_AUTH,
            parameters={"service": "mongodb", "mode": "hanging"},
            edit=_act("network_filter"),
            lacking="expected timeout.*'answered'",
        ),
        Ineffective(
            target=_AUTH,
            parameters={"service": "mongodb", "mode": "slow", "delay": "500ms"},
            edit=_act("network_delay"),
            lacking=r"expected connections that take 4\d\d ms",
        ),
        # The store as a client of the service: here that is the one upstream that speaks HTTP.
        Ineffective(
            target=_STORE,
            parameters={"service": AUTH, "mode": "5xx"},
            edit=_act("http_errors"),
            lacking="expected answers with status 503.*'HTTP/1.1 404",
        ),
    ],
    "node_cut": [
        Ineffective(
            target=_NODE, edit=_act("cut_node"), lacking="the API server reaches the kubelet of node2"
        )
    ],
    "node_power_loss": [Ineffective(target=_NODE, edit=_POWER, lacking="the kubelet of node2 answers")],
    "kubelet_stop": [
        Ineffective(target=_NODE, edit=_act("freeze_program"), lacking="the kubelet of node2 answers")
    ],
    "runtime_stop": [
        Ineffective(
            target=_NODE, edit=_act("freeze_program"), lacking="the runtime of node2 answers its kubelet"
        )
    ],
    "node_drain": [
        Ineffective(
            target=_NODE,
            parameters={"deadline": "3s"},
            edit=Edit(
                file="chaos/faults/node_drain.py",
                old="cluster.evict(pod, namespace, uid=uid)",
                new="pass",
            ),
            lacking=r"node node2 still has .*on its way",
        ),
        Ineffective(
            target=_NODE,
            parameters={"deadline": "3s"},
            edit=Edit(
                file="chaos/faults/node_drain.py",
                old='cluster.patch("nodes", node.name, None, {"spec": {"unschedulable": True}})',
                new="pass",
            ),
            lacking="node node2 still takes pods",
        ),
    ],
    "api_server_outage": [Ineffective(edit=_POWER, lacking="kube-apiserver answers")],
    "etcd_pause": [Ineffective(edit=_POWER, lacking="the API server reads from etcd")],
    "scheduler_outage": [Ineffective(edit=_POWER, lacking=r"kube-scheduler put a new pod on node\d")],
}
