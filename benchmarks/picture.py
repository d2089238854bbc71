"""The plot of the comparison: how many outages each detector found, and how wrong their lengths were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.scoring import Score
from probes.control import MODES

_COLOURS = {"refused": "#4477aa", "reset": "#66ccee", "stall": "#ccbb44", "503": "#ee6677"}


def draw(scores: Mapping[str, Score], outages: int, file: Path) -> None:
    """Write the plot as SVG, the same bytes for the same scores."""
    import matplotlib as mpl  # noqa: PLC0415 - of the group `bench`, and slow to load

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what it draws with

    plt.rcParams["svg.hashsalt"] = "ecochain-verify"
    figure, (found, wrong) = plt.subplots(
        1, 2, figsize=(11, 0.5 * len(scores) + 1.4), sharey=True, layout="constrained"
    )
    names = list(scores)
    left = [0] * len(names)
    for mode in MODES:
        counts = [
            sum(one.found for one in score.findings if one.truth.mode == mode) for score in scores.values()
        ]
        found.barh(names, counts, left=left, color=_COLOURS[mode], label=mode)
        left = [a + b for a, b in zip(left, counts, strict=True)]
    found.axvline(outages, color="black", linewidth=1, linestyle=":")
    found.set_xlabel(f"outages found, of {outages}")
    found.legend(loc="lower right", fontsize="small")
    found.invert_yaxis()
    errors_ms = [(score.mean_error_s or 0.0) * 1000 for score in scores.values()]
    bars = wrong.barh(names, errors_ms, color="#888888")
    wrong.bar_label(bars, [f"{error:.1f}" for error in errors_ms], padding=3, fontsize="small")
    wrong.set_xscale("log")
    wrong.set_xlabel("mean error of the length of those found, ms (log scale)")
    wrong.margins(x=0.15)
    figure.savefig(file, format="svg", metadata={"Date": None})
    plt.close(figure)
