"""Verdicts in words: the table, the summary, the file and the outcome of a test."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from core.errors import InconclusiveError, SettingsError
from reports.measures import allowed, figure, measured
from reports.outcomes import SlaFailed, raise_for
from reports.table import print_verdicts, summary
from slas.judge import read_verdicts, write_verdicts
from slas.verdicts import Bracket, Outcome, Verdict


def verdict(outcome: Outcome = Outcome.PASS, **changes: object) -> Verdict:
    fields: dict[str, object] = {
        "sla": "downtime",
        "subject": "auth-service",
        "scenario": "pod-kill",
        "verdict": outcome,
        "measured": Bracket(lower=0.13, upper=0.19),
        "allowed": 2.0,
        "unit": "s",
        "samples": 4200,
    }
    return Verdict(**{**fields, **changes})  # type: ignore[arg-type]


FAILED = verdict(Outcome.FAIL, scenario="rolling-upgrade", allowed=0.0, cause="pod [auth-1] had no preStop")
UNKNOWN = verdict(Outcome.INCONCLUSIVE, measured=None, cause="no samples", sla="latency_p95", unit="ms")


def printed(*verdicts: Verdict) -> str:
    stream = io.StringIO()
    print_verdicts(verdicts, stream)
    return stream.getvalue()


def test_the_table_shows_measured_against_allowed_with_the_cause() -> None:
    """A row holds scenario, SLA, subject, bracket, bound, verdict and cause, in the order given."""
    rows = [
        line.split() for line in printed(verdict(), FAILED, UNKNOWN).splitlines() if "auth-service" in line
    ]
    assert [" ".join(row) for row in rows] == [
        "pod-kill downtime auth-service 0.13\N{EN DASH}0.19 s ≤ 2 s PASS",
        "rolling-upgrade downtime auth-service 0.13\N{EN DASH}0.19 s ≤ 0 s FAIL pod [auth-1] had no preStop",
        "pod-kill latency_p95 auth-service nothing ≤ 2 ms INCONCLUSIVE no samples",
    ]


def test_without_a_terminal_the_table_is_plain_and_no_figure_is_cut() -> None:
    """A log gets no escape codes, and long names are whole."""
    text = printed(verdict(subject="auth-service-with-a-very-long-name-indeed", scenario="s" * 40))
    assert "\x1b" not in text
    assert "auth-service-with-a-very-long-name-indeed" in text
    assert "s" * 40 in text


def test_on_a_terminal_the_verdict_is_coloured(monkeypatch: pytest.MonkeyPatch) -> None:
    """PASS is green and FAIL red where colours can be seen."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = printed(verdict(), FAILED)
    assert "\x1b[1;32mPASS" in text
    assert "\x1b[1;31mFAIL" in text


def test_the_summary_is_the_worst_verdict_with_the_counts() -> None:
    """One FAIL outweighs the rest, and no verdict at all is INCONCLUSIVE."""
    assert summary([verdict(), FAILED, UNKNOWN, verdict()]) == "FAIL: 1 FAIL, 1 INCONCLUSIVE, 2 PASS"
    assert summary([verdict(), UNKNOWN]).startswith("INCONCLUSIVE: 0 FAIL, 1")
    assert summary([verdict()]).startswith("PASS: ")
    assert printed() == "INCONCLUSIVE: no verdict was reached\n"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "s", "0"),
        (0.004, "s", "0.004"),
        (12.0, "s", "12"),
        (12.345, "s", "12.35"),
        (120.0, "ms", "120"),
        (0.3, "ms", "0.3"),
        (0.00001, "ratio", "1e-05"),
        (0.0125, "ratio", "0.0125"),
        (1.0, "bool", "yes"),
        (0.0, "bool", "no"),
    ],
)
def test_a_figure_never_hides_what_is_not_zero(value: float, unit: str, text: str) -> None:
    """Rounding keeps whole numbers whole and small numbers visible."""
    assert figure(value, unit) == text


def test_a_plain_number_a_closed_bracket_and_a_property_read_well() -> None:
    """A bracket whose ends agree is one figure; a property that must hold has no ≤."""
    assert measured(verdict(measured=0.5)) == "0.5 s"
    assert measured(verdict(measured=Bracket(lower=0.0, upper=0.0))) == "0 s"
    assert measured(verdict(measured=0.0, unit="bool")) == "no"
    assert allowed(verdict(allowed=1.0, unit="bool")) == "yes"
    assert allowed(verdict(allowed=None)) == "none"


def test_a_verdict_ends_its_test() -> None:
    """FAIL is a failed assertion and INCONCLUSIVE an error, each with measured, allowed and cause."""
    raise_for(verdict())
    with pytest.raises(
        SlaFailed,
        match=r"FAIL downtime of auth-service in rolling-upgrade: measured 0\.13.0\.19 s, allowed ≤ 0 s",
    ):
        raise_for(FAILED)
    assert issubclass(SlaFailed, AssertionError)
    with pytest.raises(InconclusiveError, match="measured nothing, allowed ≤ 2 ms: no samples"):
        raise_for(UNKNOWN)


def test_verdicts_survive_their_file(tmp_path: Path) -> None:
    """What is read back equals what was written, brackets and evidence included."""
    all_of_them = [
        verdict(evidence={"intervals": [{"start_s": 1.5}]}),
        FAILED,
        UNKNOWN,
        verdict(measured=0.2),
    ]
    write_verdicts(tmp_path, all_of_them)
    assert read_verdicts(tmp_path) == all_of_them
    assert json.loads((tmp_path / "verdicts.json").read_text())["verdicts"][0]["measured"] == {
        "lower": 0.13,
        "upper": 0.19,
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"schema": 9}', "got 9"),
        ('{"schema": 1}', "KeyError"),
        ('{"schema": 1, "verdicts": [{"measured": 1, "verdict": "MAYBE"}]}', "MAYBE"),
    ],
)
def test_a_damaged_verdict_file_is_one_clear_error(tmp_path: Path, text: str, reason: str) -> None:
    """A file that is not ours, or not whole, is refused with its path and the reason."""
    file = tmp_path / "verdicts.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match=reason) as caught:
        read_verdicts(tmp_path)
    assert caught.value.file == str(file)
