"""Volumes of the lab: local-path-provisioner and the default StorageClass.

A volume is a folder below the lab's own, so that it goes with the lab. The provisioner is a program of the
control plane's machine; the pods that make and remove the folders run one static program.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from clients.kubernetes import Cluster
from core.files import write_atomic
from lab import programs
from lab.components import Program
from lab.images import Image, static_image
from lab.pki import Authority, kubeconfig
from lab.plan import Plan

STORAGE_CLASS = "local-path"
_PROVISIONER = "rancher.io/local-path"
_NAME, _NAMESPACE = "local-path-provisioner", "kube-system"
_HELPER = "/volume-folder"
_RULES = [
    {"apiGroups": [""], "resources": ["nodes", "persistentvolumeclaims"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get", "list"]},
    {
        "apiGroups": [""],
        "resources": ["persistentvolumes", "pods"],
        "verbs": ["get", "list", "watch", "create", "patch", "update", "delete"],
    },
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
    {"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get", "list", "watch"]},
]


def helper_image() -> Image:
    """Return the image of the pods that make and remove a volume's folder."""
    program = programs.ensure("volume-folder")
    return static_image(
        "docker.io/ecochain/volume-folder",
        programs.key("volume-folder"),
        files={_HELPER: program},
        entrypoint=[_HELPER],
        user="0",
    )


def program(plan: Plan, authority: Authority, binary: Path, helper: Image, when: Path) -> Program:
    """Write the provisioner's settings and return it as a program of the control plane's machine."""
    folder = plan.control_plane.folder / _NAME
    settings = {
        "nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [str(plan.volumes)]}],
        "setupCommand": _HELPER,
        "teardownCommand": _HELPER,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "priorityClassName": "system-node-critical",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "helper-pod", "image": helper.pinned}],
        },
    }
    pair = authority.sign(_NAME, _NAME)
    text = kubeconfig(plan.api_url, authority.cert, pair, context=_NAME)
    write_atomic(folder / "kubeconfig", text, 0o600)
    write_atomic(folder / "config.json", json.dumps(settings))
    write_atomic(folder / "helper-pod.json", json.dumps(pod))
    flags = {
        "kubeconfig": folder / "kubeconfig",
        "config": folder / "config.json",
        "helper-pod-file": folder / "helper-pod.json",
        "helper-image": helper.pinned,
        "namespace": _NAMESPACE,
        "service-account-name": _NAME,
    }
    argv = [str(binary), "start", *(f"--{name}={value}" for name, value in flags.items())]
    return Program(name=_NAME, argv=argv, when=when)


def install(cluster: Cluster) -> None:
    """Give the provisioner its rights and create the default StorageClass."""
    for resource, manifest in _manifests():
        cluster.create(resource, manifest)


def _manifests() -> list[tuple[str, dict[str, Any]]]:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _NAME}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": _NAME}
    return [
        ("serviceaccounts", {"metadata": {"name": _NAME, "namespace": _NAMESPACE}}),
        ("clusterroles", {"metadata": {"name": _NAME}, "rules": _RULES}),
        ("clusterrolebindings", {"metadata": {"name": _NAME}, "roleRef": role, "subjects": [user]}),
        (
            "storageclasses",
            {
                "metadata": {
                    "name": STORAGE_CLASS,
                    "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
                },
                "provisioner": _PROVISIONER,
                "volumeBindingMode": "WaitForFirstConsumer",
                "reclaimPolicy": "Delete",
            },
        ),
    ]
