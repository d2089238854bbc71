"""What runs on each machine of the lab, and the configuration files that it reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.files import write_atomic
from lab.pki import Authority, Pair, kubeconfig
from lab.plan import Machine, Plan
from lab.toolchain import Toolchain

PAUSE_IMAGE = "registry.k8s.io/pause:3.10.1"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program of a machine; `when` names the file whose appearance starts it (None: at once)."""

    name: str
    argv: list[str]
    when: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Extra arguments and settings; empty means Kubernetes' own defaults."""

    controller_manager: Mapping[str, str] = field(default_factory=dict)
    kubelet: Mapping[str, Any] = field(default_factory=dict)


def started_again(argv: Sequence[str]) -> list[str]:
    """Return what runs a program, and starts it again while it fails, as a machine's service manager does.

    kubelet gives up when its runtime listens and is not ready yet, as it may where both start at once.
    """
    return ["/bin/sh", "-c", 'until "$@"; do sleep 0.5; done', Path(argv[0]).name, *argv]


def _flags(**values: object) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in values.items()]


def _node_labels(machine: Machine) -> str:
    # A zone of its own: the scheduler spreads over no node that lacks one of the keys it is to spread over.
    zone = f"topology.kubernetes.io/zone={machine.name}"
    return f"{zone},workload={machine.workload}" if machine.workload else zone


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """The control plane's certificates and programs."""

    plan: Plan
    tools: Toolchain
    authority: Authority

    @property
    def _folder(self) -> Path:
        return self.plan.control_plane.folder

    def prepare(self) -> list[Program]:
        """Sign what it needs, write its kubeconfigs and return its programs."""
        address = self.plan.control_plane.address
        sign = self.authority.sign
        serving = sign(
            "apiserver",
            "kube-apiserver",
            hosts=[
                address,
                self.plan.api_service_address,
                "127.0.0.1",
                "localhost",
                "kubernetes",
                "kubernetes.default",
                "kubernetes.default.svc",
                "kubernetes.default.svc.cluster.local",
            ],
        )
        etcd = sign("etcd", "etcd", hosts=["127.0.0.1", "localhost"])
        etcd_client = sign("apiserver-etcd-client", "kube-apiserver")
        kubelet_client = sign(
            "apiserver-kubelet-client", "kube-apiserver-kubelet-client", organizations=["system:masters"]
        )
        front = sign("front-proxy-client", "front-proxy-client")
        accounts = sign("service-accounts", "service-accounts")
        admin = sign("admin", "ecochain-admin", organizations=["system:masters"])
        self._write_kubeconfig(self.plan.kubeconfig, admin, context=f"ecochain-{self.plan.name}")
        users = {name: sign(name, f"system:{name}") for name in ("kube-controller-manager", "kube-scheduler")}
        for name, pair in users.items():
            self._write_kubeconfig(self._folder / f"{name}.kubeconfig", pair, context=name)
        return [
            self._etcd(etcd),
            self._api_server(serving, etcd_client, kubelet_client, front, accounts),
        ]

    def later(self, when: Path, tuning: Tuning) -> list[Program]:
        """Return the controller manager and the scheduler, which start when the API answers."""
        accounts = self.plan.folder / "pki" / "service-accounts.key"
        manager = self._folder / "kube-controller-manager.kubeconfig"
        scheduler = self._folder / "kube-scheduler.kubeconfig"
        return [
            Program(
                name="kube-controller-manager",
                when=when,
                argv=[
                    str(self.tools.program("kube-controller-manager")),
                    *_flags(
                        kubeconfig=manager,
                        authentication_kubeconfig=manager,
                        authorization_kubeconfig=manager,
                        bind_address="127.0.0.1",
                        leader_elect="false",
                        use_service_account_credentials="true",
                        root_ca_file=self.authority.cert,
                        service_account_private_key_file=accounts,
                        cluster_signing_cert_file=self.authority.cert,
                        cluster_signing_key_file=self.authority.pair.key,
                        service_cluster_ip_range=self.plan.service_subnet,
                        # At the usual 20 requests/s its forty controllers take four seconds to get
                        # their credentials. No timing of a controller depends on it.
                        kube_api_qps=200,
                        kube_api_burst=400,
                        # The lab's own routes carry the pod subnets.
                        allocate_node_cidrs="false",
                        # Its usual one, below /usr/libexec, it would make on the host.
                        flex_volume_plugin_dir=self._folder / "volume-plugins",
                    ),
                    *[f"--{k}={v}" for k, v in tuning.controller_manager.items()],
                ],
            ),
            Program(
                name="kube-scheduler",
                when=when,
                argv=[
                    str(self.tools.program("kube-scheduler")),
                    *_flags(
                        kubeconfig=scheduler,
                        authentication_kubeconfig=scheduler,
                        authorization_kubeconfig=scheduler,
                        bind_address="127.0.0.1",
                        leader_elect="false",
                    ),
                ],
            ),
        ]

    def _write_kubeconfig(self, path: Path, pair: Pair, *, context: str) -> None:
        write_atomic(path, kubeconfig(self.plan.api_url, self.authority.cert, pair, context=context), 0o600)

    def _etcd(self, pair: Pair) -> Program:
        # On the loopback of the control plane's own namespace, and with client certificates.
        return Program(
            name="etcd",
            argv=[
                str(self.tools.program("etcd")),
                *_flags(
                    name="lab",
                    data_dir=self._folder / "etcd",
                    listen_client_urls="https://127.0.0.1:2379",
                    advertise_client_urls="https://127.0.0.1:2379",
                    listen_peer_urls="https://127.0.0.1:2380",
                    initial_advertise_peer_urls="https://127.0.0.1:2380",
                    initial_cluster="lab=https://127.0.0.1:2380",
                    cert_file=pair.cert,
                    key_file=pair.key,
                    client_cert_auth="true",
                    trusted_ca_file=self.authority.cert,
                    peer_cert_file=pair.cert,
                    peer_key_file=pair.key,
                    peer_client_cert_auth="true",
                    peer_trusted_ca_file=self.authority.cert,
                    # The lab's data does not outlive the lab, so it need not outlive a power cut.
                    unsafe_no_fsync="true",
                    log_level="warn",
                ),
            ],
        )

    def _api_server(self, serving: Pair, etcd: Pair, kubelet: Pair, front: Pair, accounts: Pair) -> Program:
        return Program(
            name="kube-apiserver",
            argv=[
                str(self.tools.program("kube-apiserver")),
                *_flags(
                    bind_address=self.plan.control_plane.address,
                    advertise_address=self.plan.control_plane.address,
                    secure_port=6443,
                    tls_cert_file=serving.cert,
                    tls_private_key_file=serving.key,
                    client_ca_file=self.authority.cert,
                    authorization_mode="Node,RBAC",
                    enable_admission_plugins="NodeRestriction",
                    etcd_servers="https://127.0.0.1:2379",
                    etcd_cafile=self.authority.cert,
                    etcd_certfile=etcd.cert,
                    etcd_keyfile=etcd.key,
                    kubelet_certificate_authority=self.authority.cert,
                    kubelet_client_certificate=kubelet.cert,
                    kubelet_client_key=kubelet.key,
                    kubelet_preferred_address_types="InternalIP",
                    service_cluster_ip_range=self.plan.service_subnet,
                    service_account_issuer="https://kubernetes.default.svc.cluster.local",
                    service_account_key_file=accounts.cert,
                    service_account_signing_key_file=accounts.key,
                    requestheader_client_ca_file=self.authority.cert,
                    # One authority signs clients and proxies alike, so the proxy's name must be given.
                    requestheader_allowed_names="front-proxy-client",
                    requestheader_username_headers="X-Remote-User",
                    requestheader_group_headers="X-Remote-Group",
                    requestheader_extra_headers_prefix="X-Remote-Extra-",
                    proxy_client_cert_file=front.cert,
                    proxy_client_key_file=front.key,
                ),
            ],
        )


@dataclass(frozen=True, kw_only=True)
class Worker:
    """One node's certificates, files and programs."""

    plan: Plan
    machine: Machine
    tools: Toolchain
    authority: Authority

    def prepare(self, when: Path, tuning: Tuning) -> list[Program]:
        """Write the node's files and return its programs: containerd now, the others at `when`."""
        folder, name = self.machine.folder, self.machine.name
        node = self.authority.sign(f"{name}-client", f"system:node:{name}", organizations=["system:nodes"])
        serving = self.authority.sign(f"{name}-kubelet", name, hosts=[name, self.machine.address])
        proxy = self.authority.sign(f"{name}-proxy", "system:kube-proxy")
        for file, pair in (("kubelet", node), ("kube-proxy", proxy)):
            text = kubeconfig(self.plan.api_url, self.authority.cert, pair, context=name)
            write_atomic(folder / f"{file}.kubeconfig", text, 0o600)
        write_atomic(folder / "containerd.toml", self._containerd())
        write_atomic(folder / "certs.d" / "_default" / "hosts.toml", self._hosts())
        write_atomic(folder / "cni" / "10-lab.conflist", json.dumps(self._cni(), indent=1))
        write_atomic(folder / "kubelet.json", json.dumps(self._kubelet(serving, tuning), indent=1))
        write_atomic(folder / "kube-proxy.json", json.dumps(self._proxy(), indent=1))
        # Pods get the cluster's DNS; nothing outside this machine is to be asked.
        write_atomic(folder / "resolv.conf", "nameserver 127.0.0.1\n")
        return [
            Program(
                name="containerd",
                argv=[str(self.tools.program("containerd")), "--config", str(folder / "containerd.toml")],
            ),
            Program(
                name="kubelet",
                when=when,
                argv=started_again(
                    [
                        str(self.tools.program("kubelet")),
                        *_flags(
                            config=folder / "kubelet.json",
                            kubeconfig=folder / "kubelet.kubeconfig",
                            root_dir=folder / "kubelet",
                            cert_dir=folder / "kubelet-pki",
                            hostname_override=name,
                            node_labels=_node_labels(self.machine),
                            node_ip=self.machine.address,
                        ),
                    ]
                ),
            ),
            Program(
                name="kube-proxy",
                when=when,
                argv=[
                    str(self.tools.program("kube-proxy")),
                    *_flags(config=folder / "kube-proxy.json", hostname_override=name),
                ],
            ),
        ]

    def _containerd(self) -> str:
        folder = self.machine.folder
        return f"""version = 3
root = "{folder / "containerd"}"
state = "/run/containerd"
oom_score = 0
disabled_plugins = ["io.containerd.nri.v1.nri", "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.differ.v1.erofs"]
[grpc]
  address = "/run/containerd/containerd.sock"
[debug]
  level = "warn"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "{folder / "certs.d"}"
[plugins."io.containerd.cri.v1.runtime"]
  # A negative oom_score_adj needs CAP_SYS_RESOURCE, which not every machine grants.
  restrict_oom_score_adj = true
  enable_selinux = false
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{self.tools.bin}"]
    conf_dir = "{folder / "cni"}"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    runtime_path = "{self.tools.program("containerd-shim-runc-v2")}"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""

    def _hosts(self) -> str:
        # Every name is asked for at the lab's registry, and only there.
        url = f"http://{self.plan.registry}"
        return f'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'

    def _cni(self) -> dict[str, Any]:
        return {
            "cniVersion": "1.0.0",
            "name": "lab",
            "plugins": [
                {
                    "type": "ptp",
                    "mtu": 1500,
                    "ipam": {
                        "type": "host-local",
                        "dataDir": str(self.machine.folder / "ipam"),
                        "ranges": [[{"subnet": self.machine.pod_subnet}]],
                        "routes": [{"dst": "0.0.0.0/0"}],
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }

    def _kubelet(self, serving: Pair, tuning: Tuning) -> dict[str, Any]:
        folder = self.machine.folder
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": self.machine.address,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self.authority.cert)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(serving.cert),
            "tlsPrivateKeyFile": str(serving.key),
            "registerWithTaints": [
                {"key": "workload", "value": self.machine.workload, "effect": "NoSchedule"}
            ]
            if self.machine.workload
            else [],
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self.plan.cgroup}/{self.machine.name}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [self.plan.dns_address],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "resolvConf": str(folder / "resolv.conf"),
            "volumePluginDir": str(folder / "volume-plugins"),
            "oomScoreAdj": 0,
            "localStorageCapacityIsolation": True,
            # A full disk of the host is the host's matter: 1 % left, not the usual 10 to 15 %.
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "imagefs.available": "1%",
                "nodefs.inodesFree": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            **tuning.kubelet,
        }

    def _proxy(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "bindAddress": self.machine.address,
            "clusterCIDR": self.plan.pod_range,
            "clientConnection": {"kubeconfig": str(self.machine.folder / "kube-proxy.kubeconfig")},
            "oomScoreAdj": 0,
            # The table's size is the host's, which a network namespace can not set.
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
        }
