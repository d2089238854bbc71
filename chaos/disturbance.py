"""A disturbance: one fault on its way, phase by phase; several may be on their way at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, cast
from uuid import uuid4

from chaos import audit, permissions
from chaos.cluster_ledger import ClusterLedger, OpenFault, identity
from chaos.fault import Evidence, Fault, UndoneFault
from chaos.healer import Healer
from chaos.ledger import Entry, Ledger
from chaos.permissions import Permission
from chaos.phases import reached
from chaos.targets import Target
from chaos.undo import Undo
from clients.kubernetes import ApiError, Cluster
from core.errors import EnvironmentFailedError, InconclusiveError, VerifyError, WaitTimeoutError
from core.waiting import wait_until

_LOOK_S = 0.1
_ASK_S = 0.5
GoOn = Callable[[], str | None]


class Emit(Protocol):
    """Appends an event to the timeline, stamped with the present unless a field `t` says otherwise."""

    def __call__(self, kind: str, **fields: object) -> None:
        """Append the event."""


class Exclusive(Protocol):
    """What is held, and renewed: the environment alone, or the heartbeat (ExclusiveLease)."""

    def check(self) -> None:
        """Raise EnvironmentFailedError when it is no longer held."""


def _go_on() -> str | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """What faults need beside the run: who heals, the cluster's ledger, and who may end them early.

    `heartbeat` keeps the watchdog from healing; None where there is no watchdog. `stopped`, `aborted` and
    `undone` return a reason, None to go on. After a stop nothing is concluded, nor when a node has undone an
    act before its time; an abort is a bound that was broken, so the recovery is still watched. `cluster` is
    asked for permissions.
    """

    cluster: Cluster
    healer: Healer
    books: ClusterLedger
    run_id: str
    heartbeat: Exclusive | None = None
    stopped: GoOn = field(default=_go_on)
    aborted: GoOn = field(default=_go_on)
    undone: GoOn = field(default=_go_on)


def lasts(fault: Fault) -> bool:
    """Tell whether a fault lasts until it is undone (chaos.fault.UndoneFault)."""
    return hasattr(fault, "undo")


def permissions_of(fault: Fault) -> Sequence[Permission]:
    """Return what a fault has to be allowed to do, with what undoing it and the audit after it take."""
    own = cast("Sequence[Permission]", getattr(fault, "permissions", ()))
    return [*own, *(permissions.LASTING if lasts(fault) else ()), *audit.PERMISSIONS]


@dataclass(kw_only=True)
class Disturbance:
    """A fault on its way: `prepare`, `begin`, `hold`, `end`, `recover`, in this order.

    `prepare` touches nothing. Once `begin` was called the fault is undone whatever is raised, there or in
    `hold`, KeyboardInterrupt included. `steps` undo it; none where Kubernetes does.
    """

    fault: Fault
    lease: Exclusive
    ledger: Ledger
    emit: Emit
    now: Callable[[], float]
    laboratory: Laboratory | None = None
    prove_timeout_s: float = 30.0
    fault_id: str = field(init=False)
    targets: Sequence[Target] = field(default=(), init=False)
    steps: Sequence[Undo] = field(default=(), init=False)
    injected_s: float = field(default=0.0, init=False)
    _entry: str = field(default="", init=False)
    _asked_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.fault_id = f"{self.fault.name}-{uuid4().hex[:8]}"

    def prepare(self) -> None:
        """Choose the targets, and see that all that is needed is there and allowed.

        Raises RefusedError, InconclusiveError (no targets, or stopped), EnvironmentFailedError (a lease was
        lost), each with the event `fault.failed`.
        """
        try:
            self.targets = self.fault.select()
            self.steps = list(cast("UndoneFault", self.fault).undo()) if lasts(self.fault) else []
            if self.laboratory is not None:
                permissions.require(self.laboratory.cluster, permissions_of(self.fault))
                self._raise_if_stopped()
            if self.steps and self.laboratory is None:
                raise InconclusiveError(
                    f"fault {self.fault.name} lasts, and nobody is here to undo it; nothing was touched"
                )
            self._say("fault.selected", targets=self._named())
            self._check_leases()
        except VerifyError as error:
            self._say("fault.failed", reason=str(error))
            raise
        reached("selected", self.emit)

    def begin(self) -> Evidence:
        """Write its undoing into both ledgers, inject it, and return the proof that it landed."""
        try:
            self._record()
            self.injected_s = self.now()
            self.fault.inject()
            self._say("fault.injected", t=self.injected_s, returned_s=self.now())
            reached("injected", self.emit)
            proof = self.fault.prove(self.prove_timeout_s)
            self._say("fault.proved", evidence=proof)
            reached("proved", self.emit)
        except BaseException as error:
            self._fail(error)
            raise
        return proof

    def hold(self, duration_s: float) -> None:
        """Let it last, unless it is stopped, or a bound is broken beyond its limit (event `fault.aborted`).

        Raises InconclusiveError when it was stopped or somebody else has undone it, EnvironmentFailedError
        when a lease was lost.
        """
        if not self.steps:
            return
        until_s = time.monotonic() + duration_s
        what = f"{duration_s:g} s of {self.fault.name} to pass"
        try:
            wait_until(what, lambda: self._over(until_s), duration_s + 30, interval_s=_LOOK_S)
        except BaseException as error:
            self._fail(error)
            raise

    def end(self) -> None:
        """Undo it, see its end and close the ledgers; what Kubernetes undoes is over once it was done.

        Raises EnvironmentFailedError (not undone) or InconclusiveError (its end was not seen); the ledgers'
        entries stay open then, for the watchdog and for `verify heal`.
        """
        if not self.steps or self.laboratory is None:
            self._say("fault.healed", by="kubernetes")
            return
        self._say("fault.healing")
        reached("healing", self.emit)
        self._heal(self.laboratory)
        self._say("fault.healed", by="harness")
        try:
            gone = cast("UndoneFault", self.fault).prove_gone(self.prove_timeout_s)
        except VerifyError as error:
            self._say("fault.failed", reason=f"its end was not seen: {error}")
            raise
        self._say("fault.gone", evidence=gone)
        self._close()

    def recover(self, timeout_s: float) -> Evidence:
        """Wait until the workload is back; WaitTimeoutError (event `fault.unrecovered`) if it is not."""
        try:
            recovery = self.fault.recovered(timeout_s)
        except WaitTimeoutError as error:
            self._say("fault.unrecovered", waited_s=self.now() - self.injected_s, reason=str(error))
            raise
        moment = recovery["recovered_s"]
        if not self.steps:
            self._say("fault.gone", t=moment, evidence=recovery)
            self._close()
        self._say("fault.recovered", t=moment, evidence=recovery)
        return recovery

    def _record(self) -> None:
        """Write into both ledgers what will undo it."""
        known = {"fault": self.fault.name, "fault_id": self.fault_id}
        undo = [one.as_json() for one in self.steps]
        details: dict[str, object] = {**known, "targets": self._named(), "undo": undo}
        if self.steps and self.laboratory is not None:
            details["cluster"] = identity(self.laboratory.cluster)
        self._entry = self.ledger.open(Entry(kind="fault", details=details))
        if self.steps and self.laboratory is not None:
            opened = OpenFault(
                targets=self._named(),
                undo=self.steps,
                run=self.laboratory.run_id,
                opened_s=self.now(),
                **known,
            )
            self.laboratory.books.open(opened)
        reached("recorded", self.emit)

    def _over(self, until_s: float) -> bool:
        laboratory = self.laboratory
        assert laboratory is not None
        self._raise_if_stopped()
        over = time.monotonic() >= until_s
        if over or time.monotonic() - self._asked_s >= _ASK_S:
            self._asked_s = time.monotonic()
            # Of a fault that takes the API away nothing can be asked until it is undone.
            if not getattr(self.fault, "cuts_api", False):
                self._check_leases()
                self._raise_if_undone(laboratory)
            reason = laboratory.aborted()
            if reason is not None:
                self._say("fault.aborted", reason=reason)
                return True
        return over

    def _check_leases(self) -> None:
        self.lease.check()
        if self.steps and self.laboratory is not None and self.laboratory.heartbeat is not None:
            self.laboratory.heartbeat.check()

    def _raise_if_stopped(self) -> None:
        reason = self.laboratory.stopped() if self.laboratory is not None else None
        if reason is not None:
            raise InconclusiveError(f"stopped: {reason}")

    def _raise_if_undone(self, laboratory: Laboratory) -> None:
        reason = laboratory.undone()
        if reason is not None:
            self._say("fault.healed", by="node")
            raise InconclusiveError(f"fault {self.fault.name} was undone before its time: {reason}")
        try:
            by = laboratory.books.healed_by(self.fault_id)
        except ApiError:
            return  # the leases say when that lasts too long
        if by is not None:
            self._say("fault.healed", by=by)
            raise InconclusiveError(
                f"fault {self.fault.name} was undone by {by} before its time: it had not heard of the harness"
            )

    def _fail(self, error: BaseException) -> None:
        """Undo what was begun; what stays open is told with the error that led to it."""
        self._say("fault.failed", reason=str(error) or type(error).__name__)
        if not self.steps:
            return
        try:
            self.end()
        except VerifyError as left:
            # What was not undone is worse than what led to it; an end that was not seen is in the timeline.
            if isinstance(error, VerifyError) and isinstance(left, EnvironmentFailedError):
                raise left from error
            error.add_note(str(left))

    def _heal(self, laboratory: Laboratory) -> None:
        try:
            laboratory.healer.heal(self.steps)
        except KeyboardInterrupt:
            laboratory.healer.heal(self.steps)  # an impatient second Ctrl-C must not leave it half undone
            raise

    def _say(self, kind: str, **fields: object) -> None:
        self.emit(kind, fault=self.fault.name, fault_id=self.fault_id, **fields)

    def _named(self) -> list[dict[str, object]]:
        return [one.as_event() for one in self.targets]

    def _close(self) -> None:
        if self.steps and self.laboratory is not None:
            self.laboratory.books.close(self.fault_id)
        self.ledger.close(self._entry)
