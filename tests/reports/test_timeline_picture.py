"""The picture of a timeline: what failed is seen, whatever else is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from reports.picture import BLUE, GREEN, GREY, ORANGE, RED, Series, draw
from reports.picture_rows import FAULTY, RECOVERING
from reports.samples import read_series

SVG = "{http://www.w3.org/2000/svg}"


def series(count: int, **states: int) -> Series:
    """Make `count` good samples, 10 ms apart from 1000 s, except those at the given indices."""
    state = np.full(count, "good", dtype="<U5")
    for name, index in states.items():
        state[index] = name
    return Series(sent_s=1000 + np.arange(count) * 0.01, state=state)


def colours(svg: str) -> list[str]:
    return [str(rect.get("fill")) for rect in ET.fromstring(svg).iter(f"{SVG}rect")][1:]


def test_a_single_failure_among_thousands_is_seen_on_top() -> None:
    """One failed sample of 6,000 is a red bar of at least two pixels, drawn after the green ones."""
    svg = draw([], {"auth/new": series(6000, bad=3000)}, 1000, 1060, "upgrade")
    assert colours(svg) == [GREEN, GREEN, RED]
    red = next(rect for rect in ET.fromstring(svg).iter(f"{SVG}rect") if rect.get("fill") == RED)
    assert float(str(red.get("width"))) >= 2
    assert 0.49 < (float(str(red.get("x"))) - 190) / 800 < 0.51


def test_good_samples_alone_are_one_green_bar_and_silence_stays_white() -> None:
    """Sparse samples leave no false gaps; a span without samples has no colour."""
    assert colours(draw([], {"a": series(500)}, 1000, 1005, "t")) == [GREEN]
    svg = draw([], {"a": series(500)}, 1000, 1010, "t")
    bar = list(ET.fromstring(svg).iter(f"{SVG}rect"))[1]
    assert abs(float(str(bar.get("width"))) - 400) < 10


def test_stalls_and_blind_spans_have_colours_of_their_own() -> None:
    """A stall is orange, a runner's own failure grey, neither is red."""
    assert sorted(colours(draw([], {"a": series(500, stall=100, blind=300)}, 1000, 1005, "t"))) == sorted(
        [GREEN, GREEN, GREEN, ORANGE, GREY]
    )


def test_phases_and_pods_are_on_the_same_axis() -> None:
    """Release and fault phases are labelled; a pod is orange until ready, grey while deleting, then gone."""
    pod: dict[str, Any] = {"kind": "k8s.pod", "namespace": "e", "name": "auth-1", "deleting": False}
    events = [
        {**pod, "t": 990.0, "type": "ADDED", "ready": False},
        {**pod, "t": 1002.0, "type": "MODIFIED", "ready": True},
        {**pod, "t": 1006.0, "type": "MODIFIED", "ready": True, "deleting": True},
        {**pod, "t": 1008.0, "type": "DELETED"},
        {"t": 1003.0, "kind": "release.started", "service": "auth"},
        {"t": 1003.1, "kind": "release.serving", "service": "auth"},
        {"t": 1009.5, "kind": "fault.failed", "fault": "<kill>"},
        {"t": 2000.0, "kind": "fault.healed", "fault": "later"},
    ]
    svg = draw(events, {}, 1000, 1010, "a & b")
    root = ET.fromstring(svg)
    assert colours(svg) == [ORANGE, GREEN, GREY]
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert {"a & b", "started", "failed", "release", "fault", "pod auth-1"} <= set(texts)
    assert "healed" not in texts
    assert "serving" not in texts, "too near to the word before it"
    lines = {line.get("x1"): line.get("stroke") for line in root.iter(f"{SVG}line")}
    assert lines["430.0"] == lines["438.0"] == BLUE
    assert lines["950.0"] == RED


def test_alerts_are_on_the_same_axis() -> None:
    """Red while one begins to fire, and named; blue when it is resolved."""
    events = [
        {"t": 1002.0, "kind": "alert.firing", "alert": "AuthDown", "labels": {}},
        {"t": 1008.0, "kind": "alert.resolved", "alert": "AuthDown", "labels": {}},
    ]
    root = ET.fromstring(draw(events, {}, 1000, 1010, "t"))
    assert {"alert", "firing", "resolved"} <= {text.text for text in root.iter(f"{SVG}text")}
    assert "firing AuthDown" in {title.text for title in root.iter(f"{SVG}title")}
    lines = {line.get("x1"): line.get("stroke") for line in root.iter(f"{SVG}line")}
    assert (lines["350.0"], lines["830.0"]) == (RED, BLUE)


def test_an_empty_span_says_so() -> None:
    """Nothing recorded is said in words."""
    assert "nothing was recorded" in draw([], {}, 0, 0, "t")


def test_samples_are_read_by_series_without_retries_and_torn_segments(tmp_path: Path) -> None:
    """States follow the outcome and the time taken; what is outside the span or a retry is left out."""
    rows = [
        ("a/new", 10.0, 10.01, "ok", False),
        ("a/new", 10.1, 10.5, "ok", False),
        ("a/new", 10.2, 10.21, "reset", False),
        ("a/new", 10.2, 10.22, "ok", True),
        ("a/reused", 10.3, 10.31, "runner", False),
        ("a/new", 99.0, 99.01, "ok", False),
    ]
    names = ("series", "sent_s", "finished_s", "outcome", "retry")
    table = pa.table({name: [row[place] for row in rows] for place, name in enumerate(names)})
    for name in ("series", "outcome"):
        table = table.set_column(names.index(name), name, table[name].dictionary_encode())
    pq.write_table(table, tmp_path / "1.parquet")
    (tmp_path / "2.parquet").write_bytes((tmp_path / "1.parquet").read_bytes()[:-20])
    found = read_series(tmp_path, 9, 20, slow_ms=250)
    assert {name: list(each.state) for name, each in found.items()} == {
        "a/new": ["good", "stall", "bad"],
        "a/reused": ["blind"],
    }
    assert list(found["a/new"].sent_s) == [10.0, 10.1, 10.2]
    assert read_series(tmp_path / "none", 0, 1, slow_ms=1) == {}


def test_each_fault_has_a_row_with_its_phases() -> None:
    """Pale red until it was healed, pale orange until the recovery; one that failed has only its marks."""
    events = [
        {"t": 1001.0, "kind": "fault.injected", "fault": "node_cut", "fault_id": "f1"},
        {"t": 1004.0, "kind": "fault.healed", "fault": "node_cut", "fault_id": "f1"},
        {"t": 1006.0, "kind": "fault.recovered", "fault": "node_cut", "fault_id": "f1"},
        {"t": 1002.0, "kind": "fault.injected", "fault": "node_cut", "fault_id": "f2"},
        {"t": 1003.0, "kind": "fault.failed", "fault": "node_cut", "fault_id": "f2"},
        {"t": 1007.0, "kind": "fault.injected", "fault": "dns_failure", "fault_id": "f3"},
    ]
    svg = draw(events, {}, 1000, 1010, "t")
    assert colours(svg) == [FAULTY, RECOVERING, FAULTY]
    labels = {text.text for text in ET.fromstring(svg).iter(f"{SVG}text")}
    assert {"fault node_cut", "fault node_cut #2", "fault dns_failure"} <= labels
    first = list(ET.fromstring(svg).iter(f"{SVG}rect"))[1]
    assert (first.get("x"), first.get("width")) == ("270.0", "240.0")


def test_replicas_are_counted_where_their_number_changes() -> None:
    """Green with all of them, orange with fewer, red with none; what never changed has no row."""
    pods = [
        {"t": 1000.5 + n / 100, "kind": "k8s.pod", "type": "ADDED", "name": f"{app}-{n}", "ready": True,
         "labels": {"app.kubernetes.io/name": app}}
        for app in ("auth", "api")
        for n in range(2)
    ]  # fmt: skip
    gone = [
        {**pods[0], "t": 1003.0, "type": "DELETED"},
        {**pods[1], "t": 1005.0, "ready": False, "type": "MODIFIED"},
    ]
    back = [{**pods[1], "t": 1007.0, "type": "MODIFIED"}, {**pods[0], "t": 1008.0, "type": "ADDED"}]
    root = ET.fromstring(draw([*pods, *gone, *back], {}, 1000, 1010, "t"))
    labels = [text.text for text in root.iter(f"{SVG}text")]
    assert "replicas auth" in labels
    assert "replicas api" not in labels
    titles = [title.text for title in root.iter(f"{SVG}title") if "ready" in str(title.text)]
    assert titles[:5] == ["2 ready", "1 ready", "0 ready", "1 ready", "2 ready"]


def test_the_load_shows_its_requests_and_what_failed_of_them() -> None:
    """A second with one failure of a thousand requests has red in it."""
    second: dict[str, Any] = {"kind": "load.second", "requests": 1000, "failures": 0, "span_s": 1.0}
    svg = draw([{**second, "t": 1001.0}, {**second, "t": 1002.0, "failures": 1}], {}, 1000, 1010, "t")
    assert colours(svg) == [GREEN, GREEN, RED]
