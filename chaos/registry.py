"""The faults by name."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.faults.container_kill import ContainerKill
from chaos.faults.pod_delete import PodDelete

FAULTS: Mapping[str, type[PodDelete | ContainerKill]] = {
    fault.name: fault for fault in (PodDelete, ContainerKill)
}
