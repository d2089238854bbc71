"""A double of Atlas' Administration API over HTTP: keys, tokens, states that take time, snapshots that copy.

A snapshot copies a cluster's data, a restore copies it back, so what a restore brings is what was there when
the snapshot was taken. Requests are held against what the API's documentation asks of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from atlas_stores import Folders, Store, bring_back, save

PROJECT = "5f0000000000000000000001"
PUBLIC, PRIVATE = "public", "0b1c-private-key"
CLIENT, SECRET = "mdb_sa_id_1", "mdb_sa_sk_secret"
REALM, NONCE = "MMS Public API", "n0nce"
_VERSIONED = re.compile(r"application/vnd\.atlas\.\d{4}-\d\d-\d\d\+json")
_OBJECT_ID = r"[0-9a-f]{24}"
# What each request has to say, and in which form; and what it may say besides.
_SNAPSHOT: dict[str, str] = {}
_SNAPSHOT_MAY = {"description", "retentionInDays"}
_RESTORE = {
    "deliveryType": "automated",
    "snapshotId": _OBJECT_ID,
    "targetClusterName": r"[a-zA-Z0-9][a-zA-Z0-9-]*",
    "targetGroupId": _OBJECT_ID,
}
_PEERING = {
    "accepterRegionName": r"[a-z]{2}(-[a-z]+)+-\d",
    "awsAccountId": r"\d{12}",
    "containerId": _OBJECT_ID,
    "routeTableCidrBlock": r"(\d+\.){3}\d+/\d+",
    "vpcId": r"vpc-[0-9a-f]+",
}
_PEERING_MAY = {"providerName"}


class RefusalError(Exception):
    """An answer with an error of Atlas' form."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.headers = status, code, headers or {}


class AtlasDouble:
    """The double: what it holds, what it was asked, and what it is to answer instead."""

    def __init__(self, folder: Path, *, steps: int = 2, store: Store | None = None) -> None:
        #: how many looks it takes until something that was begun is done
        self.steps = steps
        self.folder = folder
        self.store: Store = store or Folders(home=folder)
        self.clusters: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, dict[str, Any]] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.schedules: dict[str, dict[str, Any]] = {}
        self.peers: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.tokens: set[str] = set()
        #: called before each request; may raise RefusalError, or return True to do it and then say nothing
        self.mood: Callable[[str], bool | None] = lambda _request: None
        self._ids = 0
        self._lock = threading.Lock()

    def data(self, cluster: str) -> Path:
        """Return the folder of a cluster's data."""
        return self.store.folder(cluster)

    def saved_data(self, snapshot_id: str) -> Path:
        """Return the folder of a snapshot's data."""
        return self.folder / f"snapshot-{snapshot_id}"

    @contextmanager
    def running(self) -> Iterator[str]:
        """Serve, and give the address."""
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                double._serve(self)

            do_GET = do_POST = do_PATCH = do_DELETE = _any  # noqa: N815 - their names

            def log_message(self, *_: object) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def _serve(self, http: BaseHTTPRequestHandler) -> None:
        body = http.rfile.read(int(http.headers.get("Content-Length") or 0))
        request = f"{http.command} {urlsplit(http.path).path}"
        with self._lock:
            try:
                if request == "POST /api/oauth/token":
                    _answer(http, 200, self._token(http, body))
                    return
                self._authorize(http)
                self.asked.append(request)
                silent = self.mood(request)
                status, made = self._do(http, body)
            except RefusalError as error:
                told = {"error": error.status, "errorCode": error.code, "detail": str(error), "reason": ""}
                _answer(http, error.status, told, error.headers)
                return
        if silent:
            http.close_connection = True
            return
        _answer(http, status, made)

    def _token(self, http: BaseHTTPRequestHandler, body: bytes) -> dict[str, Any]:
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if http.headers.get("Authorization") != f"Basic {expected}":
            raise RefusalError(401, "invalid_client", "")
        assert parse_qs(body.decode()) == {"grant_type": ["client_credentials"]}
        token = f"token-{self._id()}"
        self.tokens.add(token)
        return {"access_token": token, "expires_in": 3600, "token_type": "Bearer"}

    def _authorize(self, http: BaseHTTPRequestHandler) -> None:
        given = http.headers.get("Authorization") or ""
        challenge = {
            "WWW-Authenticate": f'Digest realm="{REALM}", nonce="{NONCE}", qop="auth", algorithm=MD5'
        }
        if given.startswith("Bearer "):
            if given.removeprefix("Bearer ") not in self.tokens:
                raise RefusalError(401, "UNAUTHORIZED", "the token is not valid")
            return
        parts = dict(re.findall(r'(\w+)="?([^",]+)"?', given))
        if not given.startswith("Digest ") or parts.get("username") != PUBLIC:
            raise RefusalError(401, "UNAUTHORIZED", "You are not authorized.", challenge)
        first = _md5(f"{PUBLIC}:{REALM}:{PRIVATE}")
        second = _md5(f"{http.command}:{parts['uri']}")
        middle = f"{parts['nonce']}:{parts['nc']}:{parts['cnonce']}:{parts['qop']}"
        if parts["response"] != _md5(f"{first}:{middle}:{second}") or parts["uri"] != http.path:
            raise RefusalError(401, "UNAUTHORIZED", "You are not authorized.", challenge)

    def _do(self, http: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, Any]]:
        accept, url = http.headers.get("Accept") or "", urlsplit(http.path)
        if not _VERSIONED.fullmatch(accept):
            raise RefusalError(406, "INVALID_VERSION_DATE", f"Accept {accept} names no version")
        if body and http.headers.get("Content-Type") != accept:
            raise RefusalError(415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type and Accept name two versions")
        prefix = f"/api/atlas/v2/groups/{PROJECT}"
        if not url.path.startswith(prefix):
            raise RefusalError(404, "GROUP_NOT_FOUND", "No group with that ID exists.")
        request = f"{http.command} {url.path.removeprefix(prefix)}"
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        for pattern, status, act in self._routes():
            found = re.fullmatch(pattern, request)
            if found:
                made = act(json.loads(body) if body else {}, *found.groups())
                return status, _page(made, query) if isinstance(made, list) else made
        raise RefusalError(404, "RESOURCE_NOT_FOUND", request)

    def _routes(self) -> list[tuple[str, int, Callable[..., Any]]]:
        """Return each request as a pattern, the status of its answer, and what it does."""
        cluster, backup = r"/clusters/([^/]+)", r"/clusters/([^/]+)/backup"
        return [
            (r"GET /clusters", 200, lambda _: [self._look(one) for one in list(self.clusters.values())]),
            (r"POST /clusters", 201, self._create),
            (rf"GET {cluster}", 200, lambda _, name: self._look(self._cluster(name))),
            (rf"DELETE {cluster}", 202, self._delete),
            (rf"GET {backup}/schedule", 200, lambda _, name: self.schedules[self._cluster(name)["name"]]),
            (rf"PATCH {backup}/schedule", 200, self._reschedule),
            (rf"GET {backup}/snapshots", 200, lambda _, name: self._snapshots(name)),
            (rf"POST {backup}/snapshots", 200, self._snapshot),
            (rf"GET {backup}/snapshots/(\w+)", 200, lambda _, _name, one: self._saved(one)),
            (rf"POST {backup}/restoreJobs", 200, self._restore),
            (rf"GET {backup}/restoreJobs/(\w+)", 200, lambda _, _name, one: self._restored(one)),
            (r"GET /peers", 200, lambda _: list(self.peers.values())),
            (r"POST /peers", 201, self._peer),
            (r"DELETE /peers/(\w+)", 202, self._unpeer),
        ]

    def _delete(self, _: object, name: str) -> dict[str, Any]:
        self._cluster(name).update(stateName="DELETING", looks=self.steps)
        return {}

    def _reschedule(self, given: dict[str, Any], name: str) -> dict[str, Any]:
        self._cluster(name)
        self.schedules[name].update(given)
        return self.schedules[name]

    def _snapshots(self, name: str) -> list[dict[str, Any]]:
        self._cluster(name)
        found = [one for one in self.snapshots.values() if one["cluster"] == name]
        return [self._ripe(one, "status", "completed") for one in found]

    def _saved(self, one: str) -> dict[str, Any]:
        return self._ripe(_one(self.snapshots, one, "SNAPSHOT_NOT_FOUND"), "status", "completed")

    def _restored(self, one: str) -> dict[str, Any]:
        job = _one(self.jobs, one, "RESTORE_JOB_NOT_FOUND")
        return self._ripe(job, "finishedAt", "2026-01-01T00:00:00Z")

    def _peer(self, given: dict[str, Any]) -> dict[str, Any]:
        _require(given, _PEERING, _PEERING_MAY)
        made = {**given, "id": self._id(), "statusName": "PENDING_ACCEPTANCE"}
        self.peers[made["id"]] = made
        return made

    def _unpeer(self, _: object, one: str) -> dict[str, Any]:
        _one(self.peers, one, "PEER_NOT_FOUND")
        del self.peers[one]
        return {}

    def _create(self, given: dict[str, Any]) -> dict[str, Any]:
        name = str(given.get("name"))
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,62}", name):
            raise RefusalError(
                400, "INVALID_CLUSTER_NAME", f"The specified cluster name {name} is not valid."
            )
        if name in self.clusters:
            raise RefusalError(409, "DUPLICATE_CLUSTER_NAME", f"Cluster {name} already exists.")
        self.clusters[name] = {**given, "id": self._id(), "stateName": "CREATING", "looks": self.steps}
        self.schedules[name] = {"clusterName": name, "policies": [], "restoreWindowDays": 7}
        self.store.make(name)
        return dict(self.clusters[name])

    def _cluster(self, name: str) -> dict[str, Any]:
        return _one(self.clusters, name, "CLUSTER_NOT_FOUND")

    def _look(self, cluster: dict[str, Any]) -> dict[str, Any]:
        """Let time pass for a cluster by one look."""
        if cluster["looks"] > 0:
            cluster["looks"] -= 1
        elif cluster["stateName"] == "DELETING":
            del self.clusters[cluster["name"]]
            self.store.drop(cluster["name"])
            raise RefusalError(404, "CLUSTER_NOT_FOUND", f"No cluster named {cluster['name']} exists.")
        else:
            cluster["stateName"] = "IDLE"
        return dict(cluster)

    def _snapshot(self, given: dict[str, Any], name: str) -> dict[str, Any]:
        _require(given, _SNAPSHOT, _SNAPSHOT_MAY)
        if given.get("retentionInDays", 1) < 1:
            raise RefusalError(400, "INVALID_ATTRIBUTE", "Invalid attribute retentionInDays specified.")
        if self._cluster(name)["stateName"] != "IDLE":
            raise RefusalError(409, "CLUSTER_NOT_IDLE", f"Cluster {name} is not idle.")
        if any(one["cluster"] == name and one["status"] == "queued" for one in self.snapshots.values()):
            # The documentation has the rule, and not the code.
            raise RefusalError(409, "SNAPSHOT_IN_PROGRESS", "Wait until the snapshot before it is completed.")
        made = {"id": self._id(), "cluster": name, "status": "queued", "looks": self.steps, **given}
        save(self.data(name), self.saved_data(made["id"]))
        self.snapshots[made["id"]] = made
        return dict(made)

    def _restore(self, given: dict[str, Any], _name: str) -> dict[str, Any]:
        _require(given, _RESTORE, set())
        if given["targetGroupId"] != PROJECT:
            raise RefusalError(404, "GROUP_NOT_FOUND", "No group with that ID exists.")
        snapshot = _one(self.snapshots, given["snapshotId"], "SNAPSHOT_NOT_FOUND")
        if snapshot["status"] != "completed":
            raise RefusalError(400, "SNAPSHOT_NOT_COMPLETED", "The snapshot is not completed.")
        target = self._cluster(given["targetClusterName"])["name"]
        with self.store.stopped(target):
            bring_back(self.saved_data(snapshot["id"]), self.data(target))
        made = {"id": self._id(), "looks": self.steps, "failed": False, "cancelled": False, **given}
        self.jobs[made["id"]] = made
        return dict(made)

    def _ripe(self, thing: dict[str, Any], key: str, value: str) -> dict[str, Any]:
        if thing["looks"] > 0:
            thing["looks"] -= 1
        elif thing.get(key) != "failed":
            thing[key] = value
        return dict(thing)

    def _id(self) -> str:
        self._ids += 1
        return f"{self._ids:024x}"


def _require(given: dict[str, Any], wanted: dict[str, str], may: set[str]) -> None:
    """Refuse a request that lacks an attribute, has one of the wrong form, or one that there is not."""
    for name, form in wanted.items():
        if name not in given:
            raise RefusalError(400, "MISSING_ATTRIBUTE", f"The required attribute {name} was not specified.")
        if not re.fullmatch(form, str(given[name])):
            raise RefusalError(400, "INVALID_ATTRIBUTE", f"Invalid attribute {name} specified.")
    for name in given.keys() - wanted.keys() - may:
        raise RefusalError(400, "INVALID_ATTRIBUTE", f"Invalid attribute {name} specified.")


def _one(things: dict[str, dict[str, Any]], name: str, code: str) -> dict[str, Any]:
    if name not in things:
        raise RefusalError(404, code, f"There is no {name}.")
    return things[name]


def _page(entries: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    size, number = min(int(query.get("itemsPerPage", "100")), 2), int(query.get("pageNum", "1"))
    more = [{"rel": "next", "href": "…"}] if len(entries) > size * number else []
    shown = entries[size * (number - 1) : size * number]
    return {"results": shown, "totalCount": len(entries), "links": [{"rel": "self", "href": "…"}, *more]}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()


def _answer(
    http: BaseHTTPRequestHandler, status: int, body: dict[str, Any], headers: dict[str, str] | None = None
) -> None:
    text = json.dumps(body).encode()
    http.send_response(status)
    for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
        http.send_header(name, value)
    http.send_header("Content-Length", str(len(text)))
    http.end_headers()
    http.wfile.write(text)
