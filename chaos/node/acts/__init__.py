"""The kinds of acts by name: a file each, and a line each here."""

from __future__ import annotations

from collections.abc import Mapping

from chaos.node.act_kind import ActKind
from chaos.node.acts import (
    cpu_hog,
    cut_node,
    dns_answers,
    fill_volume,
    freeze_container,
    freeze_program,
    http_errors,
    memory_hog,
    network_bandwidth,
    network_delay,
    network_filter,
    read_only_volume,
    signal_container,
)

_KINDS: tuple[ActKind, ...] = (
    cpu_hog,
    cut_node,
    dns_answers,
    fill_volume,
    freeze_container,
    freeze_program,
    http_errors,
    memory_hog,
    network_bandwidth,
    network_delay,
    network_filter,
    read_only_volume,
    signal_container,
)
ACTS: Mapping[str, ActKind] = {kind.KIND: kind for kind in _KINDS}
