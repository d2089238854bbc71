"""What the lab runs inside the cluster: CoreDNS, and the pod that shows that names resolve."""

from __future__ import annotations

from typing import Any

from clients.kubernetes import Cluster
from core.waiting import wait_until
from lab.components import PAUSE_IMAGE
from lab.plan import Plan

DNS_IMAGE = "registry.k8s.io/coredns/coredns:v1.15.0"
_DNS_LABELS = {"k8s-app": "kube-dns"}
_CHECK = "lab-dns-check"
_COREFILE = """.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
    }
    prometheus :9153
    cache 5
    reload
    loadbalance
}
"""


def install(cluster: Cluster, plan: Plan) -> None:
    """Create CoreDNS (two replicas, so that a lost node does not take all names along) and the check pod."""
    for resource, manifest in _manifests(plan):
        cluster.create(resource, manifest)


def wait_for_names(cluster: Cluster, timeout_s: float) -> None:
    """Wait until a pod has resolved Service names through the cluster's DNS, then remove that pod."""

    def state() -> dict[str, Any]:
        pod = cluster.get("pods", _CHECK, "kube-system")
        containers = (pod or {}).get("status", {}).get("containerStatuses") or [{}]
        return dict(containers[0].get("state", {}))

    # The container's own end, not the pod's phase: that follows one to three seconds later.
    wait_until(
        "a pod to resolve the names of Services",
        lambda: state().get("terminated", {}).get("exitCode") == 0,
        timeout_s,
        interval_s=0.1,
        last=lambda: f"pod {_CHECK}: {state() or 'not started'}",
    )
    cluster.delete("pods", _CHECK, "kube-system", grace_s=0)


def _meta(name: str) -> dict[str, Any]:
    return {"name": name, "namespace": "kube-system", "labels": dict(_DNS_LABELS)}


def _manifests(plan: Plan) -> list[tuple[str, dict[str, Any]]]:
    rules = [
        {
            "apiGroups": [""],
            "resources": ["endpoints", "services", "pods", "namespaces"],
            "verbs": ["list", "watch"],
        },
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"}
    return [
        ("serviceaccounts", {"metadata": _meta("coredns")}),
        ("clusterroles", {"metadata": {"name": "system:coredns"}, "rules": rules}),
        (
            "clusterrolebindings",
            {
                "metadata": {"name": "system:coredns"},
                "roleRef": role,
                "subjects": [{"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}],
            },
        ),
        ("configmaps", {"metadata": _meta("coredns"), "data": {"Corefile": _COREFILE}}),
        (
            "services",
            {
                "metadata": _meta("kube-dns"),
                "spec": {
                    "clusterIP": plan.dns_address,
                    "selector": _DNS_LABELS,
                    "ports": [
                        {"name": "dns", "port": 53, "protocol": "UDP"},
                        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                    ],
                },
            },
        ),
        ("deployments", {"metadata": _meta("coredns"), "spec": _deployment()}),
        ("pods", _check_pod()),
    ]


def _deployment() -> dict[str, Any]:
    container = {
        "name": "coredns",
        "image": DNS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": 8181},
            "periodSeconds": 1,
            "failureThreshold": 3,
        },
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "periodSeconds": 10,
            "failureThreshold": 5,
        },
        "resources": {"requests": {"cpu": "20m", "memory": "30Mi"}, "limits": {"memory": "170Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    return {
        "replicas": 2,
        "selector": {"matchLabels": _DNS_LABELS},
        "template": {
            "metadata": {"labels": _DNS_LABELS},
            "spec": {
                "serviceAccountName": "coredns",
                "dnsPolicy": "Default",
                "priorityClassName": "system-cluster-critical",
                "topologySpreadConstraints": [
                    {
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": _DNS_LABELS},
                    }
                ],
                "containers": [container],
                "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
            },
        },
    }


def _check_pod() -> dict[str, Any]:
    return {
        "metadata": {"name": _CHECK, "namespace": "kube-system"},
        "spec": {
            "restartPolicy": "OnFailure",
            "terminationGracePeriodSeconds": 0,
            # The namespace's default account may not be there yet; this one was just made.
            "serviceAccountName": "coredns",
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "resolve",
                    "image": PAUSE_IMAGE,
                    "imagePullPolicy": "Never",
                    "command": [
                        "/pause",
                        "resolve",
                        "kubernetes.default",
                        "kube-dns.kube-system.svc.cluster.local",
                    ],
                }
            ],
        },
    }
