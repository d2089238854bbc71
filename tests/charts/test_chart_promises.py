"""Every promise of the charts holds in every environment, and is broken by each sabotage of it."""

from pathlib import Path

import peer_promises
import pod_promises
import pytest
from promise import PROMISES, Promise
from rendered import Rendered, Sabotage

from clients.helm import Helm


def test_promises_were_collected() -> None:
    """None is lost because its module was not read."""
    modules = {one.check.__module__ for one in PROMISES}
    assert modules == {pod_promises.__name__, peer_promises.__name__}
    assert [one.name for one in PROMISES if not one.sabotages] == []


@pytest.mark.parametrize("one", PROMISES, ids=lambda one: one.name)
def test_promise_holds_in_every_environment(shipped: dict[tuple[str, str], Rendered], one: Promise) -> None:
    """Whatever ships keeps the promise, chart by chart."""
    kept = [found for (chart, _), found in shipped.items() if chart in one.charts]
    assert len(kept) >= len(one.charts)
    for found in kept:
        try:
            one.check(found)
        except (AssertionError, LookupError, ValueError) as error:
            pytest.fail(f"{found.chart} in {found.environment}: {error!r}")


@pytest.mark.parametrize(
    ("one", "sabotage"),
    [(one, sabotage) for one in PROMISES for sabotage in one.sabotages],
    ids=lambda given: given.name if isinstance(given, Promise) else "",
)
def test_sabotage_breaks_the_promise(helm: Helm, tmp_path: Path, one: Promise, sabotage: Sabotage) -> None:
    """A chart with the defect still renders, and its promise is seen to be broken."""
    found = sabotage.rendered(helm, tmp_path)
    with pytest.raises((AssertionError, LookupError, ValueError)):
        one.check(found)
