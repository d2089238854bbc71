"""The seam to a cluster: the objects of the Kubernetes API as plain JSON, and its watches.

The official client carries the credentials of every kind of kubeconfig (certificates, tokens, exec
plugins such as the one of EKS); above it this module speaks paths and JSON, so that one small surface
serves every resource and a fake of it fits on a page.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException
from kubernetes.stream import stream
from kubernetes.stream.ws_client import ERROR_CHANNEL, STDERR_CHANNEL, STDOUT_CHANNEL

from clients.kubeconfig import new_client
from core.errors import EnvironmentFailedError, SettingsError

Json = dict[str, Any]
Objects = list[Json]

# resource name → (API prefix, namespaced)
RESOURCES: Mapping[str, tuple[str, bool]] = {
    "namespaces": ("/api/v1", False),
    "nodes": ("/api/v1", False),
    "pods": ("/api/v1", True),
    "services": ("/api/v1", True),
    "endpoints": ("/api/v1", True),
    "secrets": ("/api/v1", True),
    "configmaps": ("/api/v1", True),
    "events": ("/api/v1", True),
    "serviceaccounts": ("/api/v1", True),
    "deployments": ("/apis/apps/v1", True),
    "daemonsets": ("/apis/apps/v1", True),
    "statefulsets": ("/apis/apps/v1", True),
    "replicasets": ("/apis/apps/v1", True),
    "jobs": ("/apis/batch/v1", True),
    "horizontalpodautoscalers": ("/apis/autoscaling/v2", True),
    "endpointslices": ("/apis/discovery.k8s.io/v1", True),
    "leases": ("/apis/coordination.k8s.io/v1", True),
    "networkpolicies": ("/apis/networking.k8s.io/v1", True),
    "poddisruptionbudgets": ("/apis/policy/v1", True),
    "persistentvolumeclaims": ("/api/v1", True),
    "storageclasses": ("/apis/storage.k8s.io/v1", False),
    "clusterroles": ("/apis/rbac.authorization.k8s.io/v1", False),
    "clusterrolebindings": ("/apis/rbac.authorization.k8s.io/v1", False),
    "roles": ("/apis/rbac.authorization.k8s.io/v1", True),
    "rolebindings": ("/apis/rbac.authorization.k8s.io/v1", True),
}


def group_of(resource: str) -> str:
    """Return the API group of a resource, empty for the core group."""
    prefix = RESOURCES[resource][0]
    return prefix.split("/")[2] if prefix.startswith("/apis/") else ""


class ApiError(EnvironmentFailedError):
    """The API server refused or failed a call; `status` is the HTTP status, 0 for no answer."""

    def __init__(self, what: str, status: int, reason: str) -> None:
        self.status = status
        super().__init__(f"{what}: {status or 'no answer'} {reason}")


@dataclass(frozen=True, kw_only=True)
class WatchEvent:
    """One change: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR, and the object after it."""

    type: str
    object: Json


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command in a container left: whether it succeeded, its output, and why it failed."""

    ok: bool
    stdout: str
    error: str


class Cluster:
    """A cluster reached by a kubeconfig file and, optionally, a context of it."""

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        self.kubeconfig, self.context = kubeconfig, context
        if not kubeconfig.is_file():
            raise SettingsError(kubeconfig, "kubeconfig", "a readable kubeconfig file", "no such file")
        try:
            self._api = new_client(kubeconfig, context)
        except (OSError, ValueError) as error:
            raise SettingsError(kubeconfig, "kubeconfig", "a kubeconfig file", str(error)) from error
        except ConfigException as error:
            raise SettingsError(
                kubeconfig, "context", "a context of this kubeconfig", context or str(error)
            ) from error

    @property
    def server(self) -> str:
        """Return the API server's address."""
        return cast("str", self._api.configuration.host)

    def path(self, resource: str, namespace: str | None = None, name: str | None = None) -> str:
        """Return the API path of a collection or of one object."""
        prefix, namespaced = RESOURCES[resource]
        scope = f"/namespaces/{namespace}" if namespaced and namespace else ""
        return f"{prefix}{scope}/{resource}" + (f"/{name}" if name else "")

    def request(
        self,
        method: str,
        path: str,
        *,
        body: object | None = None,
        query: Mapping[str, str | int | bool] | None = None,
        content_type: str = "application/json",
        timeout_s: float = 10.0,
    ) -> Json:
        """Send one request and return the JSON answer; ApiError on any refusal or on silence."""
        what = f"{method} {path}"
        url = self.server + path + (f"?{urlencode(_plain(query))}" if query else "")
        try:
            answer = self._api.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else json.dumps(body),
                headers=self._headers(content_type),
                timeout=urllib3.Timeout(connect=min(5.0, timeout_s), read=timeout_s),
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(what, 0, f"{self.server}: {error}") from error
        if answer.status >= 400:
            raise ApiError(what, answer.status, _status_message(answer.data))
        return cast("Json", json.loads(answer.data)) if answer.data else {}

    def proxy(
        self,
        pod: str,
        namespace: str,
        port: int,
        path: str,
        *,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10.0,
    ) -> bytes:
        """Send one request to a pod's port through the API server and return the answer's body.

        Needs `get` and, for other methods, `create` on `pods/proxy`. ApiError on any refusal or silence.
        """
        where = f"{self.path('pods', namespace, pod)}:{port}/proxy/{path}"
        return self._raw(method, where, body=body, headers=headers or {}, timeout_s=timeout_s)

    def ask_node(self, node: str, path: str, *, timeout_s: float = 10.0) -> bytes:
        """Return a node's kubelet's answer to a GET, through the API server; needs `get` on nodes/proxy.

        ApiError: 0 without an answer in time, 502 to 504 where the API server does not reach the kubelet.
        """
        return self._raw("GET", f"{self.path('nodes', None, node)}/proxy/{path}", timeout_s=timeout_s)

    def _raw(
        self,
        method: str,
        where: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float,
    ) -> bytes:
        what = f"{method} {where}"
        try:
            answer = self._api.rest_client.pool_manager.request(
                method,
                self.server + where,
                body=body,
                headers={**self._headers(), **(headers or {})},
                timeout=urllib3.Timeout(connect=min(5.0, timeout_s), read=timeout_s),
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(what, 0, f"{self.server}: {error}") from error
        if answer.status >= 400:
            raise ApiError(what, answer.status, answer.data[:300].decode(errors="replace"))
        return answer.data

    def evict(self, pod: str, namespace: str, *, uid: str) -> None:
        """Have a pod evicted, with respect for disruption budgets; needs `create` on pods/eviction.

        ApiError: 429 where a budget forbids it now, 404 where it has gone, 409 where it is another pod.
        """
        self.request(
            "POST",
            f"{self.path('pods', namespace, pod)}/eviction",
            body={
                "apiVersion": "policy/v1",
                "kind": "Eviction",
                "metadata": {"name": pod, "namespace": namespace},
                "deleteOptions": {"preconditions": {"uid": uid}},
            },
        )

    def _headers(self, content_type: str = "application/json") -> dict[str, str]:
        # auth_settings() refreshes a token that an exec plugin issued and that has run out.
        auth = self._api.configuration.auth_settings().values()
        tokens = {a["key"]: a["value"] for a in auth if a["in"] == "header" and a["value"]}
        return {"Accept": "application/json", "Content-Type": content_type, **tokens}

    def get(self, resource: str, name: str, namespace: str | None = None) -> Json | None:
        """Return one object, or None where there is none."""
        try:
            return self.request("GET", self.path(resource, namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(
        self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> Objects:
        """Return the objects of a collection that match a label and a field selector."""
        return self.list_with_version(resource, namespace, labels=labels, fields=fields)[0]

    def list_with_version(
        self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = ""
    ) -> tuple[Objects, str]:
        """Return the objects and the resource version from which a watch continues."""
        query = {k: v for k, v in {"labelSelector": labels, "fieldSelector": fields}.items() if v}
        answer = self.request("GET", self.path(resource, namespace), query=query)
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    def create(self, resource: str, manifest: Json) -> Json:
        """Create an object."""
        return self.request("POST", self.path(resource, manifest["metadata"].get("namespace")), body=manifest)

    def apply(self, resource: str, manifest: Json, *, manager: str = "ecochain-verify") -> Json:
        """Create the object or make it so (server-side apply)."""
        meta = manifest["metadata"]
        return self.request(
            "PATCH",
            self.path(resource, meta.get("namespace"), meta["name"]),
            body=manifest,
            query={"fieldManager": manager, "force": True},
            content_type="application/apply-patch+yaml",
        )

    def replace(self, resource: str, manifest: Json) -> Json:
        """Replace an object; a stale resourceVersion is refused with status 409."""
        meta = manifest["metadata"]
        return self.request("PUT", self.path(resource, meta.get("namespace"), meta["name"]), body=manifest)

    def patch(self, resource: str, name: str, namespace: str | None, patch: Json) -> Json:
        """Change an object by a JSON merge patch."""
        return self.request(
            "PATCH",
            self.path(resource, namespace, name),
            body=patch,
            content_type="application/merge-patch+json",
        )

    def delete(
        self,
        resource: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_s: int | None = None,
        uid: str | None = None,
        propagation: str = "Background",
    ) -> None:
        """Delete an object; one that is not there is no error. `uid` guards against hitting a successor."""
        options: Json = {"propagationPolicy": propagation}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", self.path(resource, namespace, name), body=options)
        except ApiError as error:
            if error.status != 404:
                raise

    def watch(
        self,
        resource: str,
        namespace: str | None = None,
        *,
        version: str,
        labels: str = "",
        timeout_s: int = 30,
    ) -> Iterator[WatchEvent]:
        """Yield changes since `version` until the server ends the stream after `timeout_s`.

        Raises ApiError when the stream breaks or, with status 410, when the version is too old.
        """
        query: dict[str, str | int | bool] = {
            "watch": True,
            "resourceVersion": version,
            "allowWatchBookmarks": True,
            "timeoutSeconds": timeout_s,
        }
        if labels:
            query["labelSelector"] = labels
        path = self.path(resource, namespace)
        url = f"{self.server}{path}?{urlencode(_plain(query))}"
        try:
            answer = self._api.rest_client.pool_manager.request(
                "GET",
                url,
                headers=self._headers(),
                preload_content=False,
                timeout=urllib3.Timeout(connect=5, read=timeout_s + 10),
                retries=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(f"WATCH {path}", 0, str(error)) from error
        try:
            if answer.status >= 400:
                raise ApiError(f"WATCH {path}", answer.status, _status_message(answer.read()))
            for line in _lines(answer, path):
                change = json.loads(line)
                if change["type"] == "ERROR":
                    status = change["object"]
                    raise ApiError(f"WATCH {path}", int(status.get("code", 0)), str(status.get("message")))
                yield WatchEvent(type=change["type"], object=change["object"])
        finally:
            answer.release_conn()
            answer.close()

    def execute(
        self, pod: str, namespace: str, command: Sequence[str], *, container: str | None = None
    ) -> str:
        """Run a command in a container and return what it prints."""
        options: Json = {"container": container} if container else {}
        # The stream helper swaps the client's request method for a websocket: a client of its own.
        own = new_client(self.kubeconfig, self.context)
        return cast(
            "str",
            stream(
                client.CoreV1Api(own).connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=[*command],
                stderr=True,
                stdout=True,
                _request_timeout=30,
                **options,
            ),
        )

    def run(
        self, pod: str, namespace: str, command: Sequence[str], *, container: str, timeout_s: float = 30.0
    ) -> Ran:
        """Run a command in a container to its end. ApiError where that is refused, or takes too long."""
        what = f"EXEC {namespace}/{pod} {command[0]}"
        own = new_client(self.kubeconfig, self.context)
        try:
            socket = stream(
                client.CoreV1Api(own).connect_get_namespaced_pod_exec,
                pod,
                namespace,
                command=[*command],
                container=container,
                stderr=True,
                stdout=True,
                _preload_content=False,
            )
        except ApiException as error:
            refused = re.search(r"Handshake status (\d{3})", str(error.reason))
            raise ApiError(what, int(refused[1]) if refused else 0, str(error.reason)[:300]) from error
        try:
            socket.run_forever(timeout=timeout_s)
            status = json.loads(socket.read_channel(ERROR_CHANNEL) or "{}")
            told = [str(socket.read_channel(channel)) for channel in (STDOUT_CHANNEL, STDERR_CHANNEL)]
        finally:
            socket.close()
        if not status:
            raise ApiError(what, 0, f"it did not end within {timeout_s:g} s")
        ok = status.get("status") == "Success"
        why = "" if ok else f"{status.get('message', '')}: {told[1].strip()[-300:]}"
        return Ran(ok=ok, stdout=told[0], error=why)

    def logs(self, pod: str, namespace: str, *, tail: int = 100, previous: bool = False) -> str:
        """Return the last lines of a pod's log."""
        core = client.CoreV1Api(self._api)
        return str(
            core.read_namespaced_pod_log(
                pod, namespace, tail_lines=tail, previous=previous, _request_timeout=10
            )
        )

    def version(self) -> str:
        """Return the server's version; raises ApiError when it does not answer within 5 s."""
        return cast("str", self.request("GET", "/version", timeout_s=5)["gitVersion"])


def pod_ready(pod: Json) -> bool:
    """Tell whether the pod's Ready condition holds and it is not being deleted."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    conditions = pod.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _plain(query: Mapping[str, str | int | bool] | None) -> dict[str, str]:
    return {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in (query or {}).items()}


def _lines(answer: Any, path: str) -> Iterator[bytes]:
    pending = b""
    try:
        for chunk in answer.stream(amt=None, decode_content=False):
            pending += chunk
            *whole, pending = pending.split(b"\n")
            yield from (line for line in whole if line)
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ApiError(f"WATCH {path}", 0, f"the stream broke: {error}") from error


def _status_message(text: bytes) -> str:
    try:
        return str(json.loads(text).get("message", ""))
    except ValueError:
        return text[:200].decode(errors="replace")
