"""The faults by name."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.fault import Fault
from chaos.faults.api_server_outage import ApiServerOutage
from chaos.faults.clock_skew import ClockSkew
from chaos.faults.connection_reset import ConnectionReset
from chaos.faults.container_freeze import ContainerFreeze
from chaos.faults.container_kill import ContainerKill
from chaos.faults.container_kill_repeated import ContainerKillRepeated
from chaos.faults.cpu_pressure import CpuPressure
from chaos.faults.dependency_outage import DependencyOutage
from chaos.faults.disk_full import DiskFull
from chaos.faults.dns_failure import DnsFailure
from chaos.faults.dns_wrong_answer import DnsWrongAnswer
from chaos.faults.etcd_pause import EtcdPause
from chaos.faults.kubelet_stop import KubeletStop
from chaos.faults.memory_pressure import MemoryPressure
from chaos.faults.network_bandwidth import NetworkBandwidth
from chaos.faults.network_delay import NetworkDelay
from chaos.faults.network_loss import NetworkLoss
from chaos.faults.network_partition import NetworkPartition
from chaos.faults.node_cut import NodeCut
from chaos.faults.node_drain import NodeDrain
from chaos.faults.node_power_loss import NodePowerLoss
from chaos.faults.pod_delete import PodDelete
from chaos.faults.runtime_stop import RuntimeStop
from chaos.faults.scheduler_outage import SchedulerOutage
from chaos.faults.volume_read_only import VolumeReadOnly

_FAULTS: tuple[type[Fault], ...] = (
    PodDelete,
    ContainerKill,
    CpuPressure,
    MemoryPressure,
    DiskFull,
    VolumeReadOnly,
    NetworkPartition,
    NetworkLoss,
    NetworkDelay,
    NetworkBandwidth,
    ConnectionReset,
    DnsFailure,
    DnsWrongAnswer,
    DependencyOutage,
    ContainerKillRepeated,
    ContainerFreeze,
    NodeCut,
    NodePowerLoss,
    KubeletStop,
    RuntimeStop,
    NodeDrain,
    ApiServerOutage,
    EtcdPause,
    SchedulerOutage,
    ClockSkew,
)
FAULTS: Mapping[str, type[Fault]] = {fault.name: fault for fault in _FAULTS}
