"""A promise of the rendered charts: its check, and the changes to the charts that must break it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chart_schemas import SERVICES
from rendered import Rendered, Sabotage

LIBRARY = "charts/service-library/templates/"
DEFAULTS = "charts/service-library/values.yaml"


@dataclass(frozen=True, kw_only=True)
class Promise:
    """A check that raises AssertionError, the charts it holds for, and what breaks it."""

    check: Callable[[Rendered], None]
    charts: tuple[str, ...]
    sabotages: tuple[Sabotage, ...]

    @property
    def name(self) -> str:
        return self.check.__name__


PROMISES: list[Promise] = []


def broken(
    file: str, old: str, new: str, *, chart: str = "user-service", environment: str = "lab"
) -> Sabotage:
    """Name a change that breaks the promise for that chart."""
    return Sabotage(chart=chart, file=file, old=old, new=new, environment=environment)


def promise(
    *sabotages: Sabotage, charts: tuple[str, ...] = SERVICES
) -> Callable[[Callable[[Rendered], None]], Callable[[Rendered], None]]:
    """Note the check that follows, for these charts and with these sabotages."""

    def noted(check: Callable[[Rendered], None]) -> Callable[[Rendered], None]:
        PROMISES.append(Promise(check=check, charts=charts, sabotages=sabotages))
        return check

    return noted
