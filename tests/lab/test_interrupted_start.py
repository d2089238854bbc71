"""An interrupt of a lab's start, at the moments when its nodes already wait in threads of their own."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from lab import starting
from lab.components import Tuning
from lab.plan import Plan


@pytest.mark.parametrize("during", ["Cluster", "_wait_for_api", "addons"])
def test_an_interrupt_frees_the_nodes_that_wait_for_the_api_server(
    during: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C anywhere after the nodes' threads began ends the start at once, not after their wait."""
    monkeypatch.setenv("ECOCHAIN_VERIFY_STATE", str(tmp_path))
    for name in ("network", "cgroups", "machines", "Authority", "ControlPlane", "Cluster", "_wait_for_api"):
        monkeypatch.setattr(starting, name, MagicMock())
    for module in ("addons", "registry", "volumes"):
        monkeypatch.setattr(starting, module, MagicMock())
    waiting = threading.Barrier(2, timeout=10)

    def node(self: starting.Start, *_: Any) -> None:
        waiting.wait()
        self._wait("an API server that will not come", tmp_path / "never")

    def interrupted(*_: Any) -> None:
        waiting.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(starting.Start, "_start_node", node)
    target = starting.addons if during == "addons" else starting
    monkeypatch.setattr(target, "install" if during == "addons" else during, interrupted)
    plan = Plan(name="interrupted", subnet="10.201.0.0/16", nodes=1)
    start = starting.Start(
        plan=plan,
        tools=MagicMock(),
        registry=tmp_path,
        provisioner=tmp_path,
        volume_helper=MagicMock(),
        images=[],
        tuning=Tuning(),
        progress=lambda _line: None,
    )
    ended: list[BaseException] = []

    def run() -> None:
        try:
            start.run(0.0)
        except BaseException as error:  # noqa: BLE001 - an interrupt is what this is about
            ended.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert isinstance(ended[0], KeyboardInterrupt)
