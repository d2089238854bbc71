"""What every chart promises of its surroundings: who reaches it, whom it reaches, what it holds."""

from __future__ import annotations

import re
from typing import Any

from chart_schemas import SERVICES, STORES
from promise import DEFAULTS, LIBRARY, broken, promise
from rendered import Rendered

# Who calls whom. The suite's own pods look and load from inside, where something is rehearsed.
CALLERS = {
    "api": set[str](),
    "auth-service": set(SERVICES) - {"auth-service"},
    "user-service": {"api", "collection-service"},
    "collection-service": {"api"},
    "vision-service": {"api", "marketplace-service"},
    "marketplace-service": {"api"},
    "ferretdb": {"auth-service", "user-service", "collection-service", "marketplace-service"},
    "valkey": {"auth-service", "user-service", "marketplace-service"},
}
VERIFIERS = {"loadtest", "verify-agent"}
DOORS = {"api", "auth-service"}
# The NodePort of what is rehearsed, and the front door.
FROM_ANYWHERE = {("auth-service", "lab"), *(("api", name) for name in ("lab", "staging", "production"))}
OUTSIDE = {"MONGODB_URI": ("cidr", "192.168.248.0/21", 27017), "REDIS_URL": ("cidr", "10.0.0.0/16", 6379)}
STORE_PEERS = {
    "MONGODB_URI": ("component", "mongodb", 27017),
    "REDIS_URL": ("component", "redis", 6379),
}


@promise(
    broken(
        LIBRARY + "_deployment.tpl",
        "prometheus.io/port: {{ .Values.service.metricsPort | quote }}",
        'prometheus.io/port: "1"',
    ),
    broken(LIBRARY + "_objects.tpl", "  ports:\n", "  ports:\n    - {name: metrics, port: 9090}\n"),
    broken("values/staging/user-service.yaml", "type: ClusterIP", "type: NodePort", environment="staging"),
    broken(
        "values/lab/collection-service.yaml",
        "environment: lab",
        "environment: lab\nservice: {type: NodePort}",
        chart="collection-service",
    ),
)
def only_the_doors_are_open_and_metrics_never(found: Rendered) -> None:
    service = found.one("Service")["spec"]
    outside = {"lab": "NodePort", "staging": "LoadBalancer", "production": "LoadBalancer"}[found.environment]
    rehearsed = found.environment == "lab" and found.chart == "auth-service"
    assert service["type"] == (outside if found.chart == "api" or rehearsed else "ClusterIP")
    assert [port["name"] for port in service["ports"]] == ["http"]
    ports = {port["name"]: port["containerPort"] for port in found.container["ports"]}
    assert ports == {"http": 3000, "metrics": 9090}
    assert found.annotations["prometheus.io/scrape"] == "true"
    assert found.annotations["prometheus.io/port"] == str(ports["metrics"])
    assert found.annotations["prometheus.io/path"] == "/metrics"


_CREDENTIAL = re.compile(r"://[^/\s\"']*:[^/\s\"']*@|-----BEGIN|requirepass (?!\"\$password\")")
_SECRET_NAME = re.compile(r"(_URI|SECRET|PASSWORD|TOKEN|KEY|CREDENTIALS?)$|^REDIS_URL$")


@promise(
    broken(
        LIBRARY + "_variables.tpl",
        '  valueFrom:\n    {{- include "service-library.secret" (list $ "redis" .) | nindent 4 }}',
        "  value: redis://:hunter2@redis:6379",
    ),
    broken(
        LIBRARY + "_variables.tpl", "- name: PORT\n", "- name: API_TOKEN\n  value: hunter2\n- name: PORT\n"
    ),
    broken(
        "charts/user-service/templates/objects.yaml",
        "{{ include",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: mongodb}\n---\n{{ include",
    ),
    broken(
        "charts/valkey/templates/_pod.tpl", 'requirepass "$password"', "requirepass hunter2", chart="valkey"
    ),
    charts=(*SERVICES, *STORES),
)
def credentials_come_by_reference_only(found: Rendered) -> None:
    assert not found.every("Secret")
    assert not _CREDENTIAL.search(found.text)
    for name, variable in found.variables.items():
        if _SECRET_NAME.search(name):
            assert "secretKeyRef" in variable.get("valueFrom", {}), f"{name} is in the open"


@promise(
    broken(LIBRARY + "_networkpolicy.tpl", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]"),
    broken(LIBRARY + "_networkpolicy.tpl", "  egress:\n", "  egress:\n    - {}\n"),
    broken(
        LIBRARY + "_networkpolicy.tpl", "      ports:\n        - port: http\n          protocol: TCP\n", ""
    ),
    broken(LIBRARY + "_networkpolicy.tpl", "k8s-app: kube-dns", "k8s-app: coredns"),
    broken(LIBRARY + "_networkpolicy.tpl", "        - port: 53\n          protocol: TCP\n", ""),
    broken(
        "charts/user-service/values.yaml", "from: [api, collection-service]", "from: [api, vision-service]"
    ),
    broken(
        "charts/user-service/values.yaml",
        "upstreams:\n",
        "upstreams:\n  VISION_URL: http://vision-service:3000\n",
    ),
    broken("charts/user-service/values.yaml", "mongodb:\n  enabled: true", "mongodb:\n  enabled: false"),
    broken("values/staging/user-service.yaml", "10.0.0.0/16", "0.0.0.0/0", environment="staging"),
    broken(
        "charts/valkey/values.yaml",
        "from: [auth-service,",
        "from: [vision-service, auth-service,",
        chart="valkey",
    ),
    broken(
        LIBRARY + "_store.tpl", "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]", chart="ferretdb"
    ),
    broken(DEFAULTS, "networkPolicy:\n      enabled: true", "networkPolicy:\n      enabled: false"),
    charts=(*SERVICES, *STORES),
)
def only_the_declared_peers_are_let_through(found: Rendered) -> None:
    policy = found.one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    entry = "store" if found.chart in STORES else "http"
    callers = set(CALLERS[found.chart])
    if found.chart in DOORS and found.environment != "production":
        callers |= VERIFIERS
    wanted: set[Peer] = {("name", name, entry) for name in callers}
    wanted |= {("cidr", "0.0.0.0/0", entry)} if (found.chart, found.environment) in FROM_ANYWHERE else set()
    wanted |= {("namespace", "monitoring", "metrics")} if found.chart != "valkey" else set()
    assert peers(policy["ingress"], "from") == wanted

    wanted = {("dns", "kube-dns", 53)} if found.chart in SERVICES else set()
    wanted |= {("name", called, 3000) for called in SERVICES if found.chart in CALLERS[called]}
    # On the lab the reference service of today still keeps nothing in stores.
    stores = {"MONGODB_URI": "ferretdb", "REDIS_URL": "valkey"}
    for variable, store in stores.items():
        uses = found.chart in CALLERS[store]
        if found.chart != "auth-service":
            assert uses == (variable in found.variables)
        wanted |= {STORE_PEERS[variable]} if variable in found.variables else set()
        wanted |= {OUTSIDE[variable]} if uses and found.environment != "lab" else set()
    assert peers(policy.get("egress", []), "to") == wanted


Peer = tuple[str, str, str | int]


def peers(rules: list[dict[str, Any]], side: str) -> set[Peer]:
    """Return who is let through to which port; a rule that admits everybody or every port is an error."""
    found: set[Peer] = set()
    for rule in rules:
        assert rule.get(side), f"a rule that names nobody admits everybody: {rule}"
        assert rule.get("ports"), f"a rule that names no port admits all: {rule}"
        who = {_who(peer) for peer in rule[side]}
        if who == {("dns", "kube-dns")}:
            assert {(port["port"], port["protocol"]) for port in rule["ports"]} == {(53, "UDP"), (53, "TCP")}
        else:
            assert {port["protocol"] for port in rule["ports"]} == {"TCP"}
        found |= {(*one, port["port"]) for one in who for port in rule["ports"]}
    return found


def _who(peer: dict[str, Any]) -> tuple[str, str]:
    match peer:
        case {"podSelector": {"matchLabels": {"app.kubernetes.io/name": str(name), **none}}} if not none:
            assert len(peer) == 1
            return "name", name
        case {"podSelector": {"matchLabels": {"app.kubernetes.io/component": str(name), **none}}} if not none:
            assert len(peer) == 1
            return "component", name
        case {"ipBlock": {"cidr": str(cidr)}}:
            return "cidr", cidr
        case {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }:
            return "dns", "kube-dns"
        case {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": str(name)}}}:
            assert len(peer) == 1
            return "namespace", name
    raise AssertionError(f"a peer of no known form: {peer}")


@promise(
    broken(
        "charts/auth-service/values.yaml",
        "networkPolicy:\n",
        "temporarySpace: 1Gi\nnetworkPolicy:\n",
        chart="auth-service",
    ),
    broken(
        LIBRARY + "_variables.tpl",
        "- name: ENVIRONMENT\n",
        "- name: JWT_KEYS_FILE\n  value: /x\n- name: ENVIRONMENT\n",
    ),
)
def only_auth_holds_signing_keys_and_none_may_write(found: Rendered) -> None:
    assert ("JWT_KEYS_FILE" in found.variables) == (found.chart == "auth-service")
    writable = {
        mount["mountPath"] for mount in found.container.get("volumeMounts", []) if not mount.get("readOnly")
    }
    assert writable == set()
