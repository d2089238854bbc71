"""The name of a series: what is probed, over which kind of connection, and from where."""

from __future__ import annotations

from dataclasses import dataclass

RUNNER = "runner"


@dataclass(frozen=True, kw_only=True)
class SeriesName:
    """`<target>/<connection>` as seen from the runner, `<target>/<connection>@<vantage>` from elsewhere."""

    target: str
    connection: str
    vantage: str = RUNNER

    @classmethod
    def parse(cls, text: str) -> SeriesName:
        """Take a name apart; one without a slash is all connection, as no target is known."""
        target, _, rest = text.rpartition("/")
        connection, _, vantage = rest.partition("@")
        return cls(target=target, connection=connection, vantage=vantage or RUNNER)

    def at(self, target: str) -> str:
        """Return the name of another target's series over the same connection, from the same place."""
        suffix = "" if self.vantage == RUNNER else f"@{self.vantage}"
        return f"{target}/{self.connection}{suffix}"
