"""Words and figures for a verdict, the same on the terminal, in Allure and in an error."""

from __future__ import annotations

import math

from slas.verdicts import Bracket, Verdict


def figure(value: float, unit: str) -> str:
    """Return a value without its unit, as exact as the unit deserves: ms whole, seconds to the hundredth.

    What is not zero never reads as zero.
    """
    if unit == "bool":
        return "yes" if value else "no"
    if unit == "share":
        # Rounded down: what is not whole never reads as whole.
        return f"{math.floor(value * 1000) / 10:g} %"
    digits = {"ms": 0, "s": 2, "ratio": 4}.get(unit, 3)
    if round(value, digits) == 0 and value != 0:
        return f"{value:.1g}"
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def with_unit(text: str, unit: str) -> str:
    """Append the unit, where it has a symbol."""
    return f"{text} {unit}" if unit in {"s", "ms"} else text


def measured(verdict: Verdict) -> str:
    """Return what was measured, a bracket as its two ends, or `nothing`."""
    value = verdict.measured
    if value is None:
        return "nothing"
    if isinstance(value, Bracket):
        lower, upper = figure(value.lower, verdict.unit), figure(value.upper, verdict.unit)
        text = lower if lower == upper else f"{lower}\N{EN DASH}{upper}"
        return with_unit(text, verdict.unit)
    return with_unit(figure(value, verdict.unit), verdict.unit)


def allowed(verdict: Verdict) -> str:
    """Return the bound, such as `≤ 2 s`, `≥ 100 %` of a share, or `yes` for what must hold."""
    if verdict.allowed is None:
        return "none"
    text = with_unit(figure(verdict.allowed, verdict.unit), verdict.unit)
    if verdict.unit == "bool":
        return text
    return f"{'≥' if verdict.unit == 'share' else '≤'} {text}"


def asked(verdict: Verdict) -> str:
    """Return the SLA, and the phase of the scenario where it was judged in one."""
    return f"{verdict.sla} ({verdict.phase})" if verdict.phase else verdict.sla


def sentence(verdict: Verdict) -> str:
    """Return the verdict in one line: what, about whom, measured, allowed, and why."""
    cause = f": {verdict.cause}" if verdict.cause else ""
    return (
        f"{verdict.verdict.value} {asked(verdict)} of {verdict.subject} in {verdict.scenario}: "
        f"measured {measured(verdict)}, allowed {allowed(verdict)}{cause}"
    )
