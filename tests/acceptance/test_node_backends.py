"""Checks of nodes run over SSM or ssh as they do on a lab's machines."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.stub import Stubber
from testinfra.host import Host

from clients.aws import Aws, Credentials
from core.errors import InconclusiveError
from fixtures.acceptance.node_backends import SsmBackend, reach

INSTANCE = "i-0123456789abcdef0"
NODE: dict[str, Any] = {
    "metadata": {"name": "ip-10-0-1-2"},
    "spec": {"providerID": f"aws:///eu-west-1a/{INSTANCE}"},
    "status": {"addresses": [{"type": "InternalIP", "address": "10.0.1.2"}]},
}


@pytest.fixture
def aws() -> Aws:
    """Give an account that is never asked: its answers are given by the test."""
    return Aws(credentials=Credentials(access_key="x", secret_key="x"), region="eu-west-1")


def answer(stub: Stubber, text: str, code: int, out: str, status: str = "Success") -> None:
    sent = {
        "InstanceIds": [INSTANCE],
        "DocumentName": "AWS-RunShellScript",
        "Parameters": {"commands": [text]},
    }
    which = {"CommandId": "c" * 36, "InstanceId": INSTANCE}
    stub.add_response("send_command", {"Command": {"CommandId": "c" * 36}}, sent)
    stub.add_client_error("get_command_invocation", "InvocationDoesNotExist", expected_params=which)
    stub.add_response("get_command_invocation", {**which, "Status": "InProgress", "ResponseCode": -1}, which)
    given = {"StandardOutputContent": out, "StandardErrorContent": "", "ResponseCode": code, "Status": status}
    stub.add_response("get_command_invocation", {**which, **given}, which)


def test_a_command_on_an_instance_runs_through_ssm(aws: Aws) -> None:
    """The command is sent, waited for, and its answer is testinfra's."""
    with Stubber(aws.client("ssm")) as stub:
        answer(stub, "stat -c %a /etc/kubernetes/kubelet.conf", 0, "600\n")
        answer(stub, "test -e /absent", 1, "")
        host = Host(SsmBackend(INSTANCE, aws))
        assert host.check_output("stat -c %%a %s", "/etc/kubernetes/kubelet.conf") == "600"
        assert host.run("test -e /absent").rc == 1
        stub.assert_no_pending_responses()


def test_an_instance_that_cannot_be_asked_is_inconclusive(aws: Aws) -> None:
    """No right to send, or a command that was never run, says nothing about the node."""
    with Stubber(aws.client("ssm")) as stub:
        stub.add_client_error("send_command", "AccessDeniedException", "not yours")
        with pytest.raises(InconclusiveError, match=r"cannot be asked by SSM: .*not yours"):
            SsmBackend(INSTANCE, aws).run("true")
        answer(stub, "true", -1, "", status="Undeliverable")
        with pytest.raises(InconclusiveError, match="SSM: Undeliverable"):
            SsmBackend(INSTANCE, aws).run("true")


def test_a_node_is_reached_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its instance, by its address or by its name; without what that takes it is inconclusive."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    assert reach("ssm", NODE).backend.get_pytest_id() == f"ssm://{INSTANCE}"
    assert reach("ssh://ec2-user@{address}", NODE).backend.hostname == "10.0.1.2"
    assert reach("ssh://ec2-user@{node}", NODE).backend.hostname == "ip-10-0-1-2"
    with pytest.raises(InconclusiveError, match="no instance of EC2: providerID 'kind://x'"):
        reach("ssm", {**NODE, "spec": {"providerID": "kind://x"}})
    with pytest.raises(InconclusiveError, match="no internal address"):
        reach("ssh://{address}", {**NODE, "status": {}})
