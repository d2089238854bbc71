"""Access to an EKS cluster: a token that AWS vouches for, and a kubeconfig that asks for one when needed."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.exceptions

from clients.aws import Aws
from core.errors import EnvironmentFailedError
from core.files import write_atomic
from core.places import checkout

PREFIX = "k8s-aws-v1."
# The header that binds a token to one cluster.
CLUSTER_HEADER = "x-k8s-aws-id"
# EKS takes a token for 15 minutes after it was signed, whatever its own expiry says; a minute is kept back.
LIFETIME = timedelta(minutes=14)
_SIGNED_FOR_S = 60


@dataclass(frozen=True, kw_only=True)
class Token:
    """A bearer token for one cluster, good until `expires`. Its text hides it."""

    value: str
    expires: datetime

    def __repr__(self) -> str:
        return f"Token(…, expires={self.expires:%H:%M:%S})"

    def as_exec_credential(self) -> str:
        """Return it as kubectl and the clients expect it of a credential plugin (JSON)."""
        status = {"token": self.value, "expirationTimestamp": f"{self.expires:%Y-%m-%dT%H:%M:%SZ}"}
        return json.dumps(
            {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
        )


def token(aws: Aws, cluster: str, *, now: datetime | None = None) -> Token:
    """Return a token for `cluster`: a presigned question to STS who the caller is, bound to the cluster.

    Nothing is asked of AWS: signing is done here. Raises EnvironmentFailedError if it cannot be signed.
    """
    client = aws.fresh_client("sts")
    client.meta.events.register(
        "before-sign.sts.GetCallerIdentity",
        lambda request, **_: request.headers.add_header(CLUSTER_HEADER, cluster),
    )
    try:
        url = client.generate_presigned_url("get_caller_identity", ExpiresIn=_SIGNED_FOR_S, HttpMethod="GET")
    except botocore.exceptions.BotoCoreError as error:
        raise EnvironmentFailedError(f"EKS cluster {cluster}: no token can be signed: {error}") from error
    text = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    return Token(value=f"{PREFIX}{text}", expires=(now or datetime.now(UTC)) + LIFETIME)


def kubeconfig(aws: Aws, cluster: str) -> dict[str, Any]:
    """Return a kubeconfig for `cluster` without any credential: it calls `verify env token` for one.

    Raises EnvironmentFailedError if there is no such cluster or it has no address yet.
    """
    try:
        found: Mapping[str, Any] = aws.client("eks").describe_cluster(name=cluster)["cluster"]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        raise EnvironmentFailedError(f"EKS cluster {cluster}: {error}") from error
    authority = (found.get("certificateAuthority") or {}).get("data")
    if not found.get("endpoint") or not authority:
        raise EnvironmentFailedError(
            f"EKS cluster {cluster}: expected an endpoint and a certificate, got status {found.get('status')}"
        )
    command = ["-m", "cli.main", "env", "token", cluster, f"--region={aws.region}"]
    call = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": sys.executable,
        "args": [*command, *([f"--endpoint-url={aws.endpoint_url}"] if aws.endpoint_url else [])],
        "env": [{"name": "PYTHONPATH", "value": str(checkout())}],
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": cluster,
        "clusters": [
            {
                "name": cluster,
                "cluster": {"server": found["endpoint"], "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": cluster, "user": {"exec": call}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": cluster}}],
    }


def write_kubeconfig(aws: Aws, cluster: str, file: Path) -> Path:
    """Write the kubeconfig of `cluster`, for its owner alone (JSON is YAML), and return the file."""
    write_atomic(file, json.dumps(kubeconfig(aws, cluster), indent=1), mode=0o600)
    return file
