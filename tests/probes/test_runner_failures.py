"""What fails on the machine that probes, each produced for real: it is never the product's downtime."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import pytest

from core.processes import run
from slas.downtime import measure
from slas.samples import OUTCOMES, RUNNER
from slas.segments import read_segments

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes a network namespace: needs root")


def with_few_ports(ports, probes, connection="new", held=0, ending="reset"):
    """Probe in a namespace that has this many local ports; return the outcomes with their counts."""
    script = Path(__file__).with_name("few_ports.py")
    words = [ports, probes, connection, held, ending]
    argv = ["unshare", "--net", sys.executable, script, *map(str, words)]
    return json.loads(run(argv, timeout_s=90).stdout)


@needs_root
@pytest.mark.parametrize("connection", ["new", "reused"])
def test_no_local_port_is_the_runners_failure(connection):
    """With every local port taken a probe cannot begin: that says nothing of the product."""
    assert with_few_ports(2, 3, connection, held=2) == {"runner none EADDRNOTAVAIL": 3}
    assert with_few_ports(2, 1, connection, held=1) == {"ok done": 1}


@needs_root
def test_new_connections_never_run_out_of_ports():
    """Tens of thousands of new connections to one address get along with a thousand local ports."""
    assert with_few_ports(1000, 32_000) == {"ok done": 32_000}


@needs_root
def test_without_the_reset_the_ports_would_run_out():
    """Sabotage: connections that end in the ordinary way leave their ports waiting."""
    outcomes = with_few_ports(1000, 4_000, ending="fin")
    assert outcomes["runner none EADDRNOTAVAIL"] > 100


def test_a_resolver_that_fails_is_the_runners_failure(sampler, tmp_path):
    """While the name is not resolved no probe begins, and no downtime comes of it."""
    child = sampler("http://nowhere.invalid/")
    time.sleep(0.7)
    assert child.stop(10) == 0
    samples, _ = read_segments(tmp_path / "samples")
    assert set(samples) == {"p/new", "p/reused"}
    for series, columns in samples.items():
        assert len(columns) > 50
        assert {OUTCOMES[code] for code in columns.outcome} == {"runner"}
        assert {columns.texts[code].partition(":")[0] for code in columns.error} == {"resolver"}
        assert found(series, columns).outages == 0
        assert found(series, columns).total.lower == 0
        # Sabotage: were it anything else than the runner's, it would be an outage.
        as_refused = columns.outcome.copy()
        as_refused[as_refused == RUNNER] = OUTCOMES.index("refused")
        assert found(series, type(columns)(**{**vars(columns), "outcome": as_refused})).outages == 1


def found(series, columns):
    """Measure the downtime of one series over its own span."""
    return measure(
        {series: columns},
        start_s=float(columns.scheduled_s[0]),
        end_s=float(columns.scheduled_s[-1]),
        slow_s={series: 0.25},
        rate={series: 100.0},
    )
