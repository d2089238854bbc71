"""Powers over whole machines, which only an environment's provider has (the lab; EKS through boto3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class Powers(Protocol):
    """What a provider can do that nobody inside the cluster can.

    `what` is power_loss {node} or, where the control plane is not managed by somebody else, pause
    {component: kube-apiserver | etcd | kube-scheduler}. Each undoes itself after `longest_s` on the
    machine's own clock, whatever becomes of the harness; where `ends_with_owner`, as soon as the process that
    began it has gone.
    """

    @property
    def ends_with_owner(self) -> bool:
        """Whether nobody else has to undo what a dead process began."""

    def offers(self) -> frozenset[str]:
        """Return the names of what it can do, such as power_loss, pause:kube-apiserver."""

    def begin(self, what: str, longest_s: float, **args: Any) -> Mapping[str, Any]:
        """Do it. RefusedError for what is not offered."""

    def end(self, what: str, **args: Any) -> None:
        """Undo it; harmless when it is undone, or was never begun."""
