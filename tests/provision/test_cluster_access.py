"""A token for an EKS cluster is a presigned question that AWS answers; a kubeconfig holds none."""

from __future__ import annotations

import base64
import json
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from account import ACCESS_KEY, REGION, SECRET_KEY
from botocore.stub import Stubber

from cli.main import main
from clients.aws import Aws, Credentials
from clients.eks import CLUSTER_HEADER, PREFIX, Token, token, write_kubeconfig
from core.errors import EnvironmentFailedError
from lab.aws_double import AwsDouble

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def account(endpoint_url: str | None = None, session_token: str | None = None) -> Aws:
    credentials = Credentials(access_key=ACCESS_KEY, secret_key=SECRET_KEY, session_token=session_token)
    return Aws(credentials=credentials, region=REGION, endpoint_url=endpoint_url)


def url_of(made: Token) -> str:
    assert made.value.startswith(PREFIX)
    text = made.value.removeprefix(PREFIX)
    assert "=" not in text
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


def test_a_token_has_the_form_that_eks_expects() -> None:
    """It is a presigned GET of GetCallerIdentity, good for a minute, bound to the cluster."""
    made = token(account(session_token="session"), "ecochain-lab", now=NOW)
    url = urlsplit(url_of(made))
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    assert (url.scheme, url.netloc) == ("https", "sts.us-east-1.amazonaws.com")
    assert (query["Action"], query["Version"]) == ("GetCallerIdentity", "2011-06-15")
    assert query["X-Amz-Expires"] == "60"
    assert query["X-Amz-SignedHeaders"] == f"host;{CLUSTER_HEADER}"
    assert query["X-Amz-Credential"].startswith(f"{ACCESS_KEY}/")
    assert query["X-Amz-Security-Token"] == "session"
    assert made.expires == datetime(2026, 1, 2, 3, 18, 5, tzinfo=UTC)


def test_tokens_of_two_clusters_differ_and_a_token_hides_itself() -> None:
    """The cluster is part of what is signed; nothing of a token is printed by accident."""
    first, second = (token(account(), name, now=NOW) for name in ("one", "two"))
    signatures = {parse_qs(urlsplit(url_of(made)).query)["X-Amz-Signature"][0] for made in (first, second)}
    assert len(signatures) == 2
    assert first.value not in repr(first)


def test_the_double_answers_who_the_caller_is(double: AwsDouble) -> None:
    """The question in a token is one that STS answers."""
    url = url_of(token(account(double.endpoint_url), "ecochain-lab"))
    asked = urllib.request.Request(url, headers={CLUSTER_HEADER: "ecochain-lab"})
    with urllib.request.urlopen(asked, timeout=10) as answer:
        assert b"<Account>000000000000</Account>" in answer.read()


def test_a_cluster_that_is_absent_or_has_no_address_is_an_error(double: AwsDouble, tmp_path: Path) -> None:
    """The double keeps a record of a cluster and runs none: no kubeconfig is made up for it."""
    aws = account(double.endpoint_url)
    with pytest.raises(EnvironmentFailedError, match=r"EKS cluster ecochain-lab: .*ResourceNotFound"):
        write_kubeconfig(aws, "ecochain-lab", tmp_path / "kubeconfig")
    aws.client("eks").create_cluster(
        name="ecochain-lab",
        roleArn="arn:aws:iam::000000000000:role/any",
        resourcesVpcConfig={"subnetIds": ["subnet-1", "subnet-2"]},
    )
    try:
        with pytest.raises(EnvironmentFailedError, match="expected an endpoint and a certificate, got"):
            write_kubeconfig(aws, "ecochain-lab", tmp_path / "kubeconfig")
    finally:
        aws.delete_clusters(prefix="ecochain-lab")


def test_a_kubeconfig_asks_for_a_token_and_holds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Address and certificate are the cluster's; the user is a command, which prints a fresh token."""
    aws = account()
    described = {
        "name": "ecochain-lab",
        "endpoint": "https://x.eks",
        "certificateAuthority": {"data": "Q0E="},
    }
    with Stubber(aws.client("eks")) as eks:
        eks.add_response("describe_cluster", {"cluster": described}, {"name": "ecochain-lab"})
        file = write_kubeconfig(aws, "ecochain-lab", tmp_path / "kubeconfig")
    assert file.stat().st_mode & 0o077 == 0
    made = json.loads(file.read_text())
    assert made["clusters"][0]["cluster"] == {
        "server": "https://x.eks",
        "certificate-authority-data": "Q0E=",
    }
    call = made["users"][0]["user"]["exec"]
    assert call["args"][:2] == ["-m", "cli.main"]
    assert SECRET_KEY not in file.read_text()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    assert main(call["args"][2:]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["kind"] == "ExecCredential"
    assert printed["status"]["token"].startswith(PREFIX)
