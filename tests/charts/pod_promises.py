"""What every chart promises of its pods."""

from __future__ import annotations

from typing import Any

from chart_schemas import SERVICES, STORES
from promise import DEFAULTS, LIBRARY, broken, promise
from rendered import DIGEST, Rendered

REPLICAS = {
    "lab": dict.fromkeys(SERVICES, 2) | {"vision-service": 1},
    "staging": dict.fromkeys(SERVICES, 2),
    "production": dict.fromkeys(SERVICES, 3) | {"vision-service": 2},
}
# Kubernetes calls a node lost after 50 s (its node-monitor-grace-period).
NOTICED_S, LEFT_WITHIN_S = 50, 60
# nodeStatusUpdateFrequency of a kubelet.
KUBELET_TELLS_EVERY_S = 10


@promise(
    broken(LIBRARY + "_deployment.tpl", "{{- if .Values.drain.seconds }}", "{{- if false }}"),
    broken(
        LIBRARY + "_deployment.tpl", "{{ add .Values.drain.seconds .Values.drain.shutdownSeconds }}", "15"
    ),
    broken(LIBRARY + "_deployment.tpl", "maxUnavailable: 0", "maxUnavailable: 1"),
)
def a_rolling_update_loses_no_request(found: Rendered) -> None:
    hook = found.container["lifecycle"]["preStop"]["httpGet"]
    path, _, seconds = hook["path"].partition("?seconds=")
    assert (hook["port"], path) == ("metrics", "/drain")
    assert int(seconds) >= 4
    assert found.pod["terminationGracePeriodSeconds"] > int(seconds) + 15
    assert found.workload["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


@promise(
    broken(DEFAULTS, "path: /ready", "path: /health"),
    broken(DEFAULTS, "liveness: {path: /health", "liveness: {path: /ready"),
)
def liveness_and_readiness_ask_different_questions(found: Rendered) -> None:
    assert found.container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert found.container["readinessProbe"]["httpGet"]["path"] == "/ready"


@promise(
    *[
        broken(LIBRARY + "_security.tpl", old, new, chart=chart)
        for chart in ("user-service", "ferretdb")
        for old, new in [
            ("runAsNonRoot: true", "runAsNonRoot: false"),
            ("runAsUser: 10001", "runAsUser: 0"),
            ("type: RuntimeDefault", "type: Unconfined"),
            ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
            ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
            ("    - ALL", "    - NET_RAW"),
        ]
    ],
    broken(
        LIBRARY + "_store.tpl",
        "automountServiceAccountToken: false",
        "automountServiceAccountToken: true",
        chart="valkey",
    ),
    broken(LIBRARY + "_deployment.tpl", "automountServiceAccountToken: {{ .Values.vault.enabled }}", ""),
    broken(LIBRARY + "_deployment.tpl", "\n  containers:", "\n  hostNetwork: true\n  containers:"),
    charts=(*SERVICES, *STORES),
)
def the_container_may_do_nothing_it_need_not(found: Rendered) -> None:
    security = found.pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == security["runAsGroup"] == 10001
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert found.pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & found.pod.keys()
    assert found.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@promise(
    broken(
        LIBRARY + "_names.tpl",
        '"%s@%s" .Values.image.repository .Values.image.digest',
        '"%s:1" .Values.image.repository',
    ),
    broken(
        LIBRARY + "_store.tpl",
        '{{ printf "%s@%s" .Values.image.repository',
        '{{ printf "%s:1%.0s" .Values.image.repository',
        chart="valkey",
    ),
    broken(
        LIBRARY + "_variables.tpl",
        "value: {{ $values.image.digest | quote }}",
        "value: {{ $values.image.tag | quote }}",
    ),
    charts=(*SERVICES, *STORES),
)
def the_image_is_pinned_and_the_pod_knows_it(found: Rendered) -> None:
    assert found.container["image"] == f"docker.io/ecochain/{found.chart}@{DIGEST}"
    if found.chart in SERVICES:
        assert found.variables["IMAGE_DIGEST"]["value"] == DIGEST
        assert found.variables["POD_NAME"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"


def _stay_s(found: Rendered, trouble: str) -> list[float]:
    stay = [
        one.get("tolerationSeconds", float("inf"))
        for one in found.pod["tolerations"]
        if tolerates(one, f"node.kubernetes.io/{trouble}", "", "NoExecute")
    ]
    assert stay, f"nothing said of {trouble}: Kubernetes adds 300 s"
    return stay


@promise(
    broken(LIBRARY + "_deployment.tpl", "node.kubernetes.io/unreachable", "node.kubernetes.io/unreached"),
    broken(
        LIBRARY + "_deployment.tpl",
        "tolerationSeconds: {{ .Values.tolerationSeconds }}",
        "tolerationSeconds: 300",
    ),
)
def a_lost_node_is_left_in_under_a_minute(found: Rendered) -> None:
    assert NOTICED_S + max(_stay_s(found, "unreachable")) < LEFT_WITHIN_S


@promise(
    broken(LIBRARY + "_deployment.tpl", "node.kubernetes.io/not-ready", "node.kubernetes.io/unready"),
    broken(LIBRARY + "_deployment.tpl", ".Values.notReadyTolerationSeconds", ".Values.tolerationSeconds"),
)
def a_kubelet_that_hung_for_a_moment_moves_nothing(found: Rendered) -> None:
    stay = _stay_s(found, "not-ready")
    assert KUBELET_TELLS_EVERY_S < min(stay) <= max(stay) < LEFT_WITHIN_S


def tolerates(toleration: dict[str, Any], key: str, value: str, effect: str) -> bool:
    """Return whether a toleration covers a taint, by Kubernetes' own rules."""
    if toleration.get("effect") not in (None, "", effect):
        return False
    if toleration.get("operator", "Equal") == "Exists":
        return toleration.get("key") in (None, "", key)
    return toleration.get("key") == key and toleration.get("value", "") == value


@promise(
    broken(
        DEFAULTS, "tolerations: []", "tolerations: [{key: workload, operator: Exists, effect: NoSchedule}]"
    ),
    broken(
        "values/lab/api.yaml",
        "environment: lab",
        "environment: lab\ntolerations: [{key: workload, value: ai, effect: NoSchedule}]",
        chart="api",
    ),
    broken(
        LIBRARY + "_store.tpl",
        "      containers:",
        "      tolerations: [{operator: Exists}]\n      containers:",
        chart="valkey",
    ),
    broken(
        "charts/vision-service/values.yaml",
        "nodeSelector: {workload: ai}",
        "nodeSelector: {}",
        chart="vision-service",
    ),
    broken("charts/vision-service/values.yaml", "value: ai,", "value: gpu,", chart="vision-service"),
    charts=(*SERVICES, *STORES),
)
def only_vision_lands_on_the_nodes_of_the_ai(found: Rendered) -> None:
    tolerated = any(
        tolerates(one, "workload", "ai", "NoSchedule") for one in found.pod.get("tolerations", [])
    )
    selected = found.pod.get("nodeSelector", {}).get("workload") == "ai"
    assert (tolerated, selected) == (found.chart == "vision-service",) * 2


@promise(
    broken(
        DEFAULTS,
        "topologySpread: [kubernetes.io/hostname, topology.kubernetes.io/zone]",
        "topologySpread: []",
    ),
    broken(
        LIBRARY + "_deployment.tpl", '"service-library.selectorLabels" $ |', '"service-library.labels" $ |'
    ),
)
def replicas_are_spread_over_nodes_and_zones(found: Rendered) -> None:
    spread = found.pod["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}
    for one in spread:
        assert one["labelSelector"]["matchLabels"].items() <= found.labels.items()
        assert one["maxSkew"] == 1
        # A hard rule would leave a replica nowhere to go when a node is lost.
        assert one["whenUnsatisfiable"] == "ScheduleAnyway"


@promise(
    broken(LIBRARY + "_objects.tpl", "  maxUnavailable: 1", "  maxUnavailable: 0"),
    broken(
        DEFAULTS, "podDisruptionBudget:\n      enabled: true", "podDisruptionBudget:\n      enabled: false"
    ),
)
def a_drained_node_takes_one_replica_at_a_time(found: Rendered) -> None:
    if found.workload["replicas"] == 1:
        # A budget on a single replica only gets in the way of node maintenance.
        assert not found.every("PodDisruptionBudget")
        return
    budget = found.one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"] == found.workload["selector"]["matchLabels"]


@promise(
    broken(
        LIBRARY + "_objects.tpl",
        '  selector:\n    {{- include "service-library.selectorLabels"',
        '  selector:\n    {{- include "service-library.labels"',
    ),
    broken(
        LIBRARY + "_deployment.tpl", '    {{- include "service-library.selectorLabels" . | nindent 4 }}\n', ""
    ),
    broken(
        LIBRARY + "_store.tpl",
        '  selector:\n    {{- include "service-library.selectorLabels"',
        '  selector:\n    {{- include "service-library.storeMetadata"',
        chart="ferretdb",
    ),
    charts=(*SERVICES, *STORES),
)
def every_selector_finds_the_pods(found: Rendered) -> None:
    wanted = {"app.kubernetes.io/name": found.chart, "app.kubernetes.io/instance": found.chart}
    assert wanted.items() <= found.labels.items()
    # A version among them would make an upgrade impossible: a Deployment's selector cannot change.
    assert found.workload["selector"]["matchLabels"] == wanted
    assert found.one("Service")["spec"]["selector"] == wanted
    assert found.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == wanted


@promise(
    broken(
        LIBRARY + "_deployment.tpl",
        "resources:\n  {{- toYaml .Values.resources | nindent 2 }}",
        "resources: {}",
    ),
    broken(
        LIBRARY + "_store.tpl",
        "resources:\n            {{- toYaml .Values.resources | nindent 12 }}",
        "resources: {}",
        chart="ferretdb",
    ),
    broken(LIBRARY + "_store.tpl", "            medium: Memory\n", "", chart="valkey"),
    charts=(*SERVICES, *STORES),
)
def what_it_may_use_is_bounded(found: Rendered) -> None:
    resources = found.container["resources"]
    assert resources["requests"].keys() == resources["limits"].keys() == {"cpu", "memory"}
    temporary = [one["emptyDir"] for one in found.pod.get("volumes", []) if "emptyDir" in one]
    assert all(one["medium"] == "Memory" and one["sizeLimit"] for one in temporary)
    assert len(temporary) == (found.chart in STORES)


@promise(
    broken(
        "values/production/api.yaml",
        "replicaCount: 3",
        "replicaCount: 2",
        chart="api",
        environment="production",
    )
)
def replicas_are_as_the_document_says(found: Rendered) -> None:
    assert found.workload["replicas"] == REPLICAS[found.environment][found.chart]


@promise(
    broken("values/lab/ferretdb.yaml", "className: local-path", "className: fast", chart="ferretdb"),
    broken("charts/valkey/values.yaml", "service: redis", "service: valkey", chart="valkey"),
    broken("charts/valkey/templates/_pod.tpl", "appendonly yes", "appendonly no", chart="valkey"),
    broken("charts/ferretdb/templates/_pod.tpl", "file:/data/", "file:/tmp/", chart="ferretdb"),
    broken(LIBRARY + "_store.tpl", "replicas: 1", "replicas: 2", chart="ferretdb"),
    charts=STORES,
)
def a_store_has_one_writer_and_its_data_outlives_the_pod(found: Rendered) -> None:
    assert found.workload["replicas"] == 1
    (claim,) = found.workload["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "local-path"
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    mounts = {mount["mountPath"]: mount["name"] for mount in found.container["volumeMounts"]}
    assert mounts["/data"] == claim["metadata"]["name"]
    service = found.one("Service")
    address = (service["metadata"]["name"], service["spec"]["ports"][0]["port"])
    if found.chart == "ferretdb":
        assert address == ("mongodb", 27017)
        assert found.variables["FERRETDB_SQLITE_URL"]["value"].partition("?")[0] == "file:/data/"
        assert found.variables["FERRETDB_TELEMETRY"]["value"] == "disable"
    else:
        assert address == ("redis", 6379)
        script = found.container["command"][-1]
        assert {"dir /data", "appendonly yes"} <= set(script.splitlines())
    assert found.labels["app.kubernetes.io/component"] == address[0]


@promise(
    broken("values/lab/ferretdb.yaml", ", fsync: false", "", chart="ferretdb"),
    broken("values/lab/valkey.yaml", ", fsync: false", "", chart="valkey"),
    broken("charts/ferretdb/templates/_pod.tpl", "if not", "if", chart="ferretdb"),
    charts=STORES,
)
def a_store_waits_for_the_disk_except_where_all_nodes_share_one(found: Rendered) -> None:
    waits = found.environment != "lab"
    if found.chart == "ferretdb":
        query = "" if waits else "?_pragma=synchronous(off)"
        assert found.variables["FERRETDB_SQLITE_URL"]["value"] == f"file:/data/{query}"
    else:
        assert ("appendfsync everysec" in found.container["command"][-1].splitlines()) == waits


@promise(
    broken("values/lab/ferretdb.yaml", "preferredNode: node1", "preferredNode: node2", chart="ferretdb"),
    broken("values/lab/valkey.yaml", ", preferredNode: node1", "", chart="valkey"),
    broken(LIBRARY + "_store.tpl", ".Values.storage.preferredNode", ".Values.storage.size", chart="valkey"),
    charts=STORES,
)
def the_labs_stores_stand_together(found: Rendered) -> None:
    affinity = found.pod.get("affinity", {}).get("nodeAffinity", {})
    preferred = affinity.get("preferredDuringSchedulingIgnoredDuringExecution")
    wanted = [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["node1"]}]
    assert preferred == [{"weight": 100, "preference": {"matchExpressions": wanted}}]
