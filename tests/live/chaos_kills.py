"""Kills of a harness in the midst of a fault: which there are, and what becomes of one."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos_ground import BACK, HEALED_WITHIN_S, SCRATCH, Ground, Harness, harness

from chaos.control_plane_fault import ControlPlaneFault
from chaos.node_fault import NodeFault
from chaos.registry import FAULTS
from core.errors import WaitTimeoutError

PHASES = ("selected", "recorded", "injected", "proved", "healing")
SEED = 20261125
# How each fault is done here; one that is not named is done as it is by default.
KEYWORDS: Mapping[str, Mapping[str, Any]] = {
    "connection_reset": {},
    "container_kill_repeated": {"duration_s": 20.0, "interval_s": 5.0},
    "dependency_outage": {"service": BACK},
    "disk_full": {"path": SCRATCH},
    "dns_wrong_answer": {"lookup": BACK},
    "network_bandwidth": {"rate_bit_s": 1_000_000},
    "network_delay": {"delay_ms": 200},
    "network_loss": {"loss_ratio": 0.5},
    "network_partition": {"peers": f"app={BACK}"},
    "volume_read_only": {"path": SCRATCH},
}
# Whole nodes and the control plane.
WHOLE = sorted(name for name, fault in FAULTS.items() if issubclass(fault, (NodeFault, ControlPlaneFault)))
LASTING = sorted(["halt", *(name for name, fault in FAULTS.items() if hasattr(fault, "undo"))])
# Kubernetes undoes these, so they have no phase of healing.
OTHERS = sorted(set(FAULTS) - set(LASTING) - {"clock_skew"})  # which refuses itself
# A random kill comes this late at most: about as long as the fault takes with a hold of HOLD_S.
LATEST_S: Mapping[str, float] = {"kubelet_stop": 30.0, "node_power_loss": 20.0}
_LATEST_S, HOLD_S = 9.0, 4.0


def kills(random_kills: int) -> list[tuple[str, str]]:
    """Return (fault, moment) of every kill: each phase, and so many random moments of what lasts."""
    return [
        *((fault, phase) for fault in LASTING for phase in PHASES),
        *((fault, phase) for fault in OTHERS for phase in PHASES if phase != "healing"),
        *((fault, f"random-{number}") for fault in LASTING for number in range(random_kills)),
    ]


def sound(fault: str, moment: str, found: Mapping[str, Any]) -> None:
    """Assert that a kill left nothing, in time, and that who had to undo it has signed it."""
    assert not found["wrong"]
    assert found["outage_s"] < HEALED_WITHIN_S
    assert found["undone_s"] < HEALED_WITHIN_S
    signed = [one.startswith("watchdog chaos-watchdog-") for one in found["healed_by"]]
    if moment in PHASES:
        assert signed == [True] * (fault in LASTING and moment != "selected")
    else:
        assert all(signed)


def killed(ground: Ground, folder: Path, fault: str, moment: str) -> dict[str, Any]:
    """Kill a harness in a phase, or after a time drawn from the seed, and see what is left.

    `wrong` says what was not as it has to be, after how long; it is empty for a kill that left nothing. A
    fault that does not come to its phase is no kill: AssertionError with the harness' words.
    """
    ground.renew()
    paused = moment if moment in PHASES else ""
    drawn = random.Random(f"{SEED} {fault} {moment}")
    latest_s, last = LATEST_S.get(fault, _LATEST_S), ""
    while not last:
        delay_s = drawn.uniform(0.0, latest_s)
        with harness(
            ground,
            folder,
            fault=fault,
            keywords=KEYWORDS.get(fault, {}),
            pause_at=paused,
            seconds=0.0 if paused else HOLD_S,
        ) as one:
            last = _kill_paused(one) if paused else _kill_after(one, delay_s)
        # It had ended before: an earlier moment then.
        latest_s = delay_s
    found: dict[str, Any] = {"last": last, "delay_s": None if paused else delay_s, "wrong": ""}
    began_s = time.monotonic()
    try:
        found["outage_s"] = ground.wait_power(began_s)
        found["undone_s"] = ground.wait_undone(began_s)
        found["healed_by"] = ground.healed_by()
        found["whole_s"] = ground.wait_whole(began_s)
    except WaitTimeoutError as error:
        found["wrong"] = str(error)
    return found


def _kill_paused(one: Harness) -> str:
    one.wait_event("fault.paused")
    one.kill()
    assert one.process.returncode == -signal.SIGKILL
    return str(one.events()[-1]["phase"])


def _kill_after(one: Harness, delay_s: float) -> str:
    """Kill so long after the choice of the targets; return the last event, or nothing if it had ended."""
    one.wait_event("fault.selected")
    time.sleep(delay_s)
    if one.process.poll() is not None:
        assert one.process.returncode == 0, one.process.communicate()[1]
        return ""
    one.kill()
    # It may have ended just now.
    return one.kinds()[-1].removeprefix("fault.") if one.process.returncode == -signal.SIGKILL else ""
