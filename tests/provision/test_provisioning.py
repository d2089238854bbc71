"""An environment is applied by the real Terraform, destroyed, and never survives its run."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import boto3
import pytest

from cli.main import main
from clients import terraform_provider
from clients.marked import marked
from clients.terraform import MARK
from core.errors import EnvironmentFailedError, RefusedError, SettingsError
from core.files import append_line, read_lines
from core.processes import ProcessId
from core.waiting import wait_until
from fixtures.making import EnvironmentOwner
from fixtures.provision_choice import Choice
from fixtures.provision_drift import drift
from fixtures.provision_reaping import destroy, environments
from fixtures.provisioning import TTL_S, Outputs, Provision, reap, resource_run_id
from fixtures.settings import load_settings
from lab import aws_double
from reports.runs import RunStore

pytestmark = pytest.mark.usefixtures("state_folder")


def clients_of(folder: Path) -> dict[str, Any]:
    started = [line for line in read_lines(folder / "ledger.jsonl") if line["kind"] == "double.starting"]
    session: Any = boto3.Session(
        aws_access_key_id="double", aws_secret_access_key="double", region_name=aws_double.REGION
    )
    return {
        service: session.client(service, endpoint_url=started[-1]["endpoint_url"])
        for service in ("ec2", "eks", "iam", "s3")
    }


def assert_no_process(folder: Path) -> None:
    assert marked(MARK, str(folder / "data")) == []
    assert marked(terraform_provider.MARK, str(folder)) == []
    assert marked(aws_double.MARK, str(folder / "double")) == []


def test_a_whole_life(capsys: pytest.CaptureFixture[str]) -> None:
    """Applied as promised, compared, kept, taken again, destroyed; what Terraform does not know is seen."""
    provision = Provision(run_id="run-a", variables={"vpc_cidr": "10.30.0.0/16"}, keep=True)
    steps = provision.start().result(timeout_s=240)
    aws = clients_of(provision.folder)
    try:
        assert_as_promised(aws, steps)
        assert drift("run-a") == []  # a second apply would change nothing
        bucket = steps.service_environment["STORAGE_BUCKET"]
        aws["s3"].put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
        aws["s3"].create_bucket(Bucket="ecochain-lab-run-a-orphan")
        assert main(["env", "drift", "run-a"]) == 1
        assert capsys.readouterr().out.splitlines() == [
            "module.platform.module.storage[0].aws_s3_bucket_versioning.this: update",
            "s3-bucket ecochain-lab-run-a-orphan: not in the state",
        ]
        aws["s3"].create_bucket(Bucket="nobody-knows")
        provision.destroy()
        assert [(one.run_id, one.state) for one in environments()] == [("run-a", "kept")]
        assert reap() == []
        again = Provision(run_id="run-b", reuse="run-a")
        assert again.apply().service_environment == steps.service_environment
        assert [(one.run_id, one.state) for one in environments()] == [("run-a", "in use")]
        again.destroy()
        assert environments()[0].expires_s == pytest.approx(time.time() + TTL_S, abs=600)
    finally:
        provision.destroy()
        reaped = destroy("run-a")
    left = ("s3-bucket ecochain-lab-run-a-orphan", "s3-bucket nobody-knows")
    assert (reaped.remains, reaped.error) == (left, None)
    assert not provision.folder.exists()
    assert_no_process(provision.folder)


def assert_as_promised(aws: dict[str, Any], steps: Outputs) -> None:
    expected = {
        "AWS_REGION": "us-east-1",
        "STORAGE_BUCKET": "ecochain-lab-run-a-storage",
        "EKS_CLUSTER": "ecochain-lab-run-a",
    }
    assert steps.service_environment == expected
    assert list(steps.seconds) == ["open", "init", "plan", "apply", "outputs", "inventory"]
    assert steps.plan is not None
    assert "module.platform.module.storage[0].aws_s3_bucket.this will be created" in steps.plan.read_text()
    assert steps.kubeconfig is None  # the double runs no cluster
    versioning = aws["s3"].get_bucket_versioning(Bucket=expected["STORAGE_BUCKET"])
    assert versioning["Status"] == "Enabled"
    group = aws["eks"].describe_nodegroup(clusterName=expected["EKS_CLUSTER"], nodegroupName="ai")
    assert group["nodegroup"]["taints"] == [{"key": "workload", "value": "ai", "effect": "NO_SCHEDULE"}]
    vpc = aws["ec2"].describe_vpcs(VpcIds=[steps.values["vpc_id"]])["Vpcs"][0]
    tags = {tag["Key"]: tag["Value"] for tag in vpc["Tags"]}
    assert (vpc["CidrBlock"], tags["ecochain.dev/run"]) == ("10.30.0.0/16", "run-a")
    assert (tags["Project"], tags["Environment"]) == ("ecochain", "lab")


def test_a_dead_runs_folder_whose_double_is_gone_is_removed(state_folder: Path) -> None:
    """Resources that went with their double need no Terraform."""
    folder = state_folder / "terraform" / "run-d"
    folder.mkdir(parents=True)
    dead = {"pid": os.getpid(), "start_ticks": 1}
    append_line(folder / "ledger.jsonl", {"kind": "owner", **dead})
    starting = {"kind": "double.starting", "endpoint_url": "http://127.0.0.1:9"}
    append_line(folder / "ledger.jsonl", starting)
    append_line(folder / "ledger.jsonl", {"kind": "double.started", **dead})
    assert [reaped.run_id for reaped in reap()] == ["run-d"]
    assert not folder.exists()


def test_a_double_that_was_started_but_not_recorded_is_reaped(state_folder: Path) -> None:
    """A run killed between starting the double and writing its number leaves no process."""
    folder = state_folder / "terraform" / "run-u"
    folder.mkdir(parents=True)
    append_line(folder / "ledger.jsonl", {"kind": "owner", "pid": os.getpid(), "start_ticks": 1})
    double = aws_double.start(folder / "double", record=lambda _line: None)
    assert [reaped.run_id for reaped in reap()] == ["run-u"]
    assert not double.alive()
    double.stop()


def test_a_bad_variable_is_refused_before_anything_is_made(state_folder: Path) -> None:
    """Neither folder nor process exists after a refused variable, in the background or not."""
    provision = Provision(run_id="run-b", variables={"vpc_cidr": "not a range"})
    for attempt in (provision.start, provision.apply):
        with pytest.raises(SettingsError, match="vpc_cidr"):
            attempt()
    assert list(state_folder.rglob("*.jsonl")) == []
    assert not provision.folder.exists()


def test_a_variable_of_the_harness_cannot_be_set() -> None:
    """A settings file cannot point the lab's Terraform at another account."""
    with pytest.raises(SettingsError, match="aws_endpoint_url: expected not to be set"):
        Provision(run_id="run-b", variables={"aws_endpoint_url": "http://elsewhere"}).check()


def test_a_background_failure_is_delivered_where_the_result_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An error in the thread is the caller's error, and destroying afterwards leaves nothing."""

    def fail(*_: object, **__: object) -> None:
        raise RefusedError("uv: not found")

    monkeypatch.setattr(aws_double, "start", fail)
    provision = Provision(run_id="run-f")
    with pytest.raises(RefusedError, match="uv: not found"):
        provision.start().result(timeout_s=20)
    provision.destroy()
    assert not provision.folder.exists()


@pytest.mark.long
def test_destroying_during_the_apply_stops_it_and_leaves_nothing() -> None:
    """A run interrupted early waits for no apply: it is cancelled, and its waiter is told."""
    provision = Provision(run_id="run-c")
    handle = provision.start()
    wait_until("Terraform to run", lambda: marked(MARK, str(provision.folder / "data")), 60)
    provision.destroy()
    assert not provision.folder.exists()
    assert_no_process(provision.folder)
    with pytest.raises(EnvironmentFailedError, match="cancelled"):
        handle.result(timeout_s=1)


def test_a_session_that_ends_lets_an_apply_in_the_background_stop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Who makes the environment in another thread is told at once; one that has not begun does not begin."""

    def applying(provision: Provision, _program: object) -> Outputs:
        wait_until("the apply to be cancelled", lambda: provision._site._cancelled, 20)
        raise EnvironmentFailedError("cancelled")

    monkeypatch.setattr(Provision, "_apply", applying)
    run, this = RunStore(tmp_path).create("lab", [], 1), ProcessId.of(os.getpid())
    assert this is not None
    going = EnvironmentOwner(load_settings("lab"), run, this, print, Choice())
    handle = going._start_provision()
    going.abandon()
    assert handle is not None
    with pytest.raises(EnvironmentFailedError, match="cancelled"):
        handle.result(timeout_s=20)
    assert going._provision is not None
    going._provision.destroy()
    assert environments() == []
    with pytest.raises(EnvironmentFailedError, match="the session ended before"):
        going._start_provision()


def test_a_run_id_in_use_is_refused(state_folder: Path) -> None:
    """Two runs never share a state."""
    (state_folder / "terraform" / "run-t").mkdir(parents=True)
    with pytest.raises(RefusedError, match="another run has this run id"):
        Provision(run_id="run-t").apply()


@pytest.mark.parametrize("given", ["20261123T181500Z-Ab12", "x" * 60, "äöü", "a", "ok-id"])
def test_any_run_id_becomes_a_valid_and_distinct_name(given: str) -> None:
    """A run id of any form gives names that AWS takes, and two give two."""
    name = resource_run_id(given)
    assert 3 <= len(name) <= 32
    assert name.strip("-") == name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert resource_run_id(given + "2") != name
