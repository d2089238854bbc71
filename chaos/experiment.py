"""An experiment: one fault taken through its phases, each written to the timeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from chaos.fault import Evidence, Fault
from chaos.ledger import Entry, Ledger
from chaos.targets import Target
from core.errors import VerifyError, WaitTimeoutError


class Emit(Protocol):
    """Appends an event to the timeline, stamped with the present unless a field `t` says otherwise."""

    def __call__(self, kind: str, **fields: object) -> None:
        """Append the event."""


class Exclusive(Protocol):
    """What holds the environment alone, such as ExclusiveLease."""

    def check(self) -> None:
        """Raise EnvironmentFailedError when it is no longer held."""


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
) -> Conducted:
    """Select, inject, prove and wait for the recovery.

    Raises RefusedError (nothing touched), InconclusiveError (no targets, or not seen landing; event
    `fault.failed`), WaitTimeoutError (landed, but the workload did not come back; event
    `fault.unrecovered`), EnvironmentFailedError (lease lost, API gone). The ledger's entry stays open
    unless the recovery was seen.
    """
    fault_id = f"{fault.name}-{uuid4().hex[:8]}"
    try:
        targets = fault.select()
        emit("fault.selected", fault=fault.name, fault_id=fault_id, targets=[t.as_event() for t in targets])
        lease.check()
        named = [t.as_event() for t in targets]
        entry = ledger.open(
            Entry(kind="fault", details={"fault": fault.name, "fault_id": fault_id, "targets": named})
        )
        injected_s = now()
        fault.inject()
        emit("fault.injected", t=injected_s, fault=fault.name, fault_id=fault_id, returned_s=now())
        proof = fault.prove(prove_timeout_s)
    except VerifyError as error:
        emit("fault.failed", fault=fault.name, fault_id=fault_id, reason=str(error))
        raise
    emit("fault.proved", fault=fault.name, fault_id=fault_id, evidence=proof)
    # A kill is over once done: Kubernetes heals it, there is no act of ours.
    emit("fault.healed", fault=fault.name, fault_id=fault_id, by="kubernetes")
    try:
        recovery = fault.recovered(recovery_timeout_s)
    except WaitTimeoutError as error:
        emit(
            "fault.unrecovered",
            fault=fault.name,
            fault_id=fault_id,
            waited_s=now() - injected_s,
            reason=str(error),
        )
        raise
    moment = recovery["recovered_s"]
    emit("fault.gone", t=moment, fault=fault.name, fault_id=fault_id, evidence=recovery)
    emit("fault.recovered", t=moment, fault=fault.name, fault_id=fault_id, evidence=recovery)
    ledger.close(entry)
    return Conducted(
        fault_id=fault_id, targets=targets, injected_s=injected_s, proof=proof, recovery=recovery
    )
