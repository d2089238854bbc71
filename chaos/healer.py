"""The healer: carries out what the ledgers say, however often, and whoever calls it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chaos.agents import Agents
from chaos.cluster_ledger import NAMESPACE
from chaos.powers import Powers
from chaos.undo import Undo
from clients.kubernetes import ApiError, Cluster
from core.errors import EnvironmentFailedError, VerifyError


class NotHealedError(EnvironmentFailedError):
    """Steps of undoing that failed, with why; the others were carried out."""

    def __init__(self, failed: Sequence[tuple[Undo, str]]) -> None:
        self.failed = list(failed)
        told = "; ".join(f"{step.as_json()}: {why}" for step, why in failed)
        super().__init__(f"not undone: {told}; `verify heal` tries again")


class Healer:
    """Undoes by the cluster's API, by the nodes' agents and by the provider's powers, if there are any."""

    def __init__(self, cluster: Cluster, agents: Agents | None = None, powers: Powers | None = None) -> None:
        self._cluster, self._agents, self._powers = cluster, agents, powers

    def heal(self, steps: Sequence[Undo]) -> None:
        """Carry out every step, the last one first. NotHealedError: some failed, all were tried."""
        failed: list[tuple[Undo, str]] = []
        for step in reversed(steps):
            try:
                self._carry_out(step)
            except VerifyError as error:
                failed.append((step, str(error)))
        if failed:
            raise NotHealedError(failed)

    def _carry_out(self, step: Undo) -> None:
        args = dict(step.args)
        match step.verb:
            case "agent":
                self._end_act(args["node"], args["act_id"])
            case "uncordon":
                self._change("nodes", args["node"], None, {"spec": {"unschedulable": None}})
            case "delete":
                self._cluster.delete(args["resource"], args["name"], args.get("namespace"))
            case "patch":
                self._change(args["resource"], args["name"], args.get("namespace"), args["patch"])
            case "provider":
                alone = args.pop("ends_with_owner", False)
                if self._powers is None and alone:
                    return  # the provider has ended it, since the harness is gone
                if self._powers is None:
                    raise EnvironmentFailedError("the environment's provider is not at hand here")
                self._powers.end(args.pop("what"), **args)

    def _end_act(self, node: str, act_id: str) -> None:
        if self._agents is None:
            # Agents that were removed have undone all that they did as they went.
            if self._is_gone("namespaces", NAMESPACE):
                return
            raise EnvironmentFailedError("there are no agents on the nodes")
        try:
            self._agents.end(node, act_id)
        except VerifyError:
            if not self._is_gone("nodes", node):
                raise

    def _is_gone(self, resource: str, name: str) -> bool:
        """Tell whether it is known not to be there: who may not look does not know."""
        try:
            return self._cluster.get(resource, name) is None
        except ApiError:
            return False

    def _change(self, resource: str, name: str, namespace: str | None, patch: dict[str, Any]) -> None:
        try:
            self._cluster.patch(resource, name, namespace, patch)
        except ApiError as error:
            if error.status != 404:  # what is gone has nothing left to be undone
                raise
