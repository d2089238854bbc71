"""A client from a kubeconfig whose embedded keys never reach a disk.

The official client writes them into the machine's temporary folder, and removes them when its process ends
by itself: of a process that was killed, the key of an administrator would stay.
"""

from __future__ import annotations

import base64
import os
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from kubernetes.config.kube_config import KubeConfigLoader

# Where a kubeconfig embeds what could be a file's.
_EMBEDDED = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key")),
}


def new_client(kubeconfig: Path, context: str | None) -> client.ApiClient:
    """Return a client for a context of the file, by default its current one.

    Raises OSError or ValueError for what is no kubeconfig, ConfigException for a context that is not in it.
    """
    try:
        found = yaml.safe_load(kubeconfig.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("no mapping")  # noqa: TRY004 - of a file, not of an argument
    for entries, (holder, names) in _EMBEDDED.items():
        for entry in found.get(entries) or ():
            _embedded_to_memory(entry.get(holder) or {}, names)
    configuration = client.Configuration()
    loader = KubeConfigLoader(
        config_dict=found, active_context=context, config_base_path=str(kubeconfig.absolute().parent)
    )
    loader.load_and_set(configuration)
    return client.ApiClient(configuration=configuration)


def _embedded_to_memory(holder: dict[str, Any], names: tuple[str, ...]) -> None:
    for name in names:
        data = holder.pop(f"{name}-data", None)
        if data:
            holder[name] = _in_memory(base64.b64decode(data))


@cache
def _in_memory(content: bytes) -> str:
    """Return the path, for this process, of a file that has no name and goes with the process."""
    held = os.memfd_create("kubeconfig")
    os.write(held, content)
    return f"/proc/self/fd/{held}"
