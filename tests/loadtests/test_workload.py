"""Workload files: what is in them is what is sent, and a mistake is one clear line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import MisuseError, SettingsError
from core.places import checkout
from loadtests.workload import FOLDER, SCHEMA_FILE, Workload, schema
from slas.thresholds import Threshold

GOOD = """
journeys: {auth: 1}
users: 5
stages:
  - {rate: 10.0, to_rate: 50.0, duration_s: 20.0}
  - {rate: 50.0, duration_s: 10.0}
"""


def read(tmp_path: Path, text: str) -> Workload:
    file = tmp_path / "made.yaml"
    file.write_text(text)
    return Workload.read(str(file))


@pytest.mark.parametrize("name", sorted(path.stem for path in (checkout() / FOLDER).glob("*.yaml")))
def test_the_shipped_workloads_are_good(name: str) -> None:
    """Each can be sent, and each has thresholds that can be judged."""
    workload = Workload.read(name)
    assert workload.settings().plan.arrivals > 100
    assert [Threshold.parse(text) for text in workload.thresholds]


def test_the_shapes_that_people_ask_for_are_there() -> None:
    """Ramp, steady, spike and soak."""
    assert {"ramp", "steady", "spike", "soak"} <= {path.stem for path in (checkout() / FOLDER).glob("*.yaml")}


def test_the_schema_in_docs_is_the_present_one() -> None:
    """`python -m loadtests.workload` writes it anew."""
    assert json.loads((checkout() / SCHEMA_FILE).read_text()) == schema()


def test_rate_and_duration_scale_the_whole_shape(tmp_path: Path) -> None:
    """The peak becomes the rate, the sum of the stages the duration; proportions stay."""
    plan = read(tmp_path, GOOD).settings(rate=100, duration_s=60).plan
    assert [(stage.rate, stage.end_rate, stage.duration_s) for stage in plan.stages] == [
        (20, 100, 40),
        (100, 100, 20),
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("auth: 1", "nowhere: 1", r"journeys: expected some of \['auth'.*\], got 'nowhere'"),
        ("auth: 1", "auth: 0", "journeys.auth: .*greater than 0, got 0"),
        ("users: 5", "users: many", "users: .*valid integer, got 'many'"),
        (
            "users: 5",
            "people: 5",
            "people: expected one of the keys description, journeys, users, .*, got 'people'",
        ),
        ("duration_s: 10.0", "duration_s: -1.0", "stages.1.duration_s: .*greater than 0, got -1.0"),
        ("duration_s: 10.0", "name: x", "stages.1.duration_s: expected how long it lasts, got None"),
        ("rate: 10.0, to_rate: 50.0", "rate: .nan", "stages.0.rate: .*finite number, got nan"),
        ("stages:", "shapes:", "got"),
    ],
)
def test_a_mistake_names_file_key_expected_and_got(tmp_path: Path, old: str, new: str, words: str) -> None:
    """In one line, before anything is started."""
    with pytest.raises(SettingsError, match=words) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert "made.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "- a", "a: [", "journeys: {auth: 1}\nstages: []", "\0"])
def test_what_is_no_workload_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, a list, broken YAML, no stage."""
    with pytest.raises(SettingsError):
        read(tmp_path, text)


def test_stages_without_any_request_are_refused(tmp_path: Path) -> None:
    """A load of nothing would be a success that proves nothing."""
    with pytest.raises(SettingsError, match="at least one request"):
        read(tmp_path, GOOD.replace("50.0", "0.0").replace("10.0,", "0.0,"))


def test_an_unknown_name_lists_the_known_ones() -> None:
    """The file that is not there, and those that are."""
    with pytest.raises(SettingsError, match="one of platform, ramp, soak, spike, steady"):
        Workload.read("nowhere")


@pytest.mark.parametrize(
    "text",
    ["", "p95", "p95<", "p95<250", "p95<250x", "p0<1ms", "error_ratio<5ms", "rate>5s", "p95=1ms", "x<1"],
)
def test_what_is_no_threshold_is_misuse(text: str) -> None:
    """A bound without a unit, an unknown figure, a wrong unit."""
    with pytest.raises(MisuseError, match="threshold: expected"):
        Threshold.parse(text)


@pytest.mark.parametrize(
    ("text", "figure", "bound"),
    [
        ("p95<250ms", "p95", 250),
        ("max <= 2s", "max", 2000),
        ("error_ratio<1%", "error_ratio", 0.01),
        ("rate>=95", "rate", 95),
    ],
)
def test_thresholds_are_read_in_one_unit(text: str, figure: str, bound: float) -> None:
    """Milliseconds, ratios, requests per second."""
    found = Threshold.parse(text)
    assert (found.figure, found.bound) == (figure, bound)
