"""An experiment: one fault taken through its phases, each written to the timeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.disturbance import Disturbance, Emit, Exclusive, Laboratory
from chaos.fault import Evidence, Fault
from chaos.ledger import Ledger
from chaos.targets import Target


@dataclass(frozen=True, kw_only=True)
class Conducted:
    """A fault that was proved to land and whose workload was proved to be back."""

    fault_id: str
    targets: Sequence[Target]
    injected_s: float
    proof: Evidence
    recovery: Evidence


def conduct(
    fault: Fault,
    *,
    lease: Exclusive,
    ledger: Ledger,
    emit: Emit,
    now: Callable[[], float],
    prove_timeout_s: float,
    recovery_timeout_s: float,
    laboratory: Laboratory | None = None,
    duration_s: float = 0.0,
) -> Conducted:
    """Select, inject, prove, hold for `duration_s`, undo, see its end, and wait for the recovery.

    Raises RefusedError (nothing touched), InconclusiveError (no targets, not seen landing or ending, or
    stopped; event `fault.failed`), WaitTimeoutError (landed, but the workload did not come back; event
    `fault.unrecovered`), EnvironmentFailedError (lease lost, API gone, not undone). Whatever is raised, what
    was begun is undone first. An entry of a ledger stays open unless the end of the fault was seen.
    """
    one = Disturbance(
        fault=fault,
        lease=lease,
        ledger=ledger,
        emit=emit,
        now=now,
        laboratory=laboratory,
        prove_timeout_s=prove_timeout_s,
    )
    one.prepare()
    proof = one.begin()
    one.hold(duration_s)
    one.end()
    recovery = one.recover(recovery_timeout_s)
    return Conducted(
        fault_id=one.fault_id,
        targets=one.targets,
        injected_s=one.injected_s,
        proof=proof,
        recovery=recovery,
    )
