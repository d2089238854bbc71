"""Have a name answered wrongly."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import ClassVar

from chaos.fault import Evidence, Place
from chaos.network_fault import NetworkFault, Planned
from chaos.pod_networks import PodNetwork
from core.errors import RefusedError

_NO_SUCH_NAME = "nxdomain"
_TIMEOUT_S = 1.0


class DnsWrongAnswer(NetworkFault):
    """The pods get `answer`, an IPv4 address or `nxdomain`, for the name `lookup`; for all others the truth.

    `lookup` is the name as the pods ask for it; the default address is one that nobody has (RFC 5737). Proved
    by asking from the pod's network.
    """

    name: ClassVar[str] = "dns_wrong_answer"

    def __init__(
        self,
        place: Place,
        *,
        selector: str,
        lookup: str,
        answer: str = "192.0.2.1",
        count: int = 1,
        share: float | None = None,
        duration_s: float = 60.0,
    ) -> None:
        super().__init__(place, selector=selector, count=count, share=share, duration_s=duration_s)
        if answer != _NO_SUCH_NAME:
            try:
                ipaddress.IPv4Address(answer)
            except ValueError as error:
                expected = f"an IPv4 address or {_NO_SUCH_NAME}"
                raise RefusedError(
                    f"fault {self.name}: answer: expected {expected}, got {answer!r}"
                ) from error
        self._lookup, self._answer = lookup, answer

    def plan(self) -> Sequence[Planned]:
        """Return an act per pod."""
        params = {"names": [self._lookup], "answer": self._answer}
        return [Planned(pod=pod, kind="dns_answers", params=params) for pod in self.pods]

    def measure(self, pod: PodNetwork) -> Evidence:
        """Return the answer."""
        container_id = pod.target.container_id
        told = self.ask(pod, "resolve", container_id=container_id, name=self._lookup, timeout_s=_TIMEOUT_S)
        return {key: told[key] for key in ("outcome", "addresses", "asked", "server")}

    def unfit(self, before: Evidence) -> str | None:
        """Object to a name that has no answer, or this one."""
        if before["outcome"] != "answered":
            return f"{self._lookup} is not answered"
        return f"it is answered by {self._answer}" if self._wrong(before) else None

    def missing(self, before: Evidence, during: Evidence) -> str | None:  # noqa: ARG002
        """Demand the wrong answer."""
        return None if self._wrong(during) else f"expected {self._answer}"

    def _wrong(self, measured: Evidence) -> bool:
        if self._answer == _NO_SUCH_NAME:
            return measured["outcome"] == _NO_SUCH_NAME
        return measured["addresses"] == [self._answer]
