"""What auth-service answers, asked in-process."""

import asyncio
import base64
import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import jwt
import pytest
from auth_service import application, operations
from auth_service.draining import RESUME_AFTER_S, Drain
from auth_service.metrics import Metrics
from auth_service.settings import BadSettingError, Settings
from auth_service.tokens import ISSUER, TOKEN_AUDIENCE, Signer
from hypothesis import given, settings
from hypothesis import strategies as st

SECRET = "a-secret-of-this-test-and-nothing-else"
PERSON = {"email": "Ada@Example.org", "password": "correct horse"}


class Replica:
    """One replica and both of its ports."""

    def __init__(self, wrap: Callable[[Any], Any] = lambda app: app, **environment: str) -> None:
        variables = {"JWT_SECRET": SECRET, "SCRYPT_LOG2_N": "10", "VERSION": "1.2.3", "POD_NAME": "auth-0"}
        self.settings = Settings.read({**variables, **environment})
        self.metrics, self.drain = Metrics(self.settings.version, self.settings.pod_name), Drain()
        self._public = application.build(self.settings, self.metrics, self.drain, wrap)
        self._private = operations.build(self.metrics, self.drain)

    def ask(self, method: str, path: str, *, private: bool = False, **request: Any) -> httpx.Response:
        async def once() -> httpx.Response:
            transport = httpx.ASGITransport(self._private if private else self._public)
            async with httpx.AsyncClient(transport=transport, base_url="http://auth") as client:
                return await client.request(method, path, **request)

        return asyncio.run(once())

    def register(self, person: Mapping[str, str] = PERSON) -> dict[str, Any]:
        answer = self.ask("POST", "/auth/register", json=person)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def verify(self, token: str) -> httpx.Response:
        return self.ask("GET", "/auth/verify", headers={"authorization": f"Bearer {token}"})

    def series(self) -> str:
        return self.ask("GET", "/metrics", private=True).text


@pytest.fixture
def replica() -> Replica:
    return Replica()


def assert_problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = dict(answer.json())
    assert document["status"] == status
    assert {"type", "title", "detail"} <= document.keys()
    assert answer.headers["x-version"] == "1.2.3"
    assert answer.headers["x-pod-name"] == "auth-0"
    return document


def test_a_user_registered_on_one_replica_logs_in_on_another(replica: Replica) -> None:
    """Nothing that a login needs is kept in the memory of one replica."""
    registered = replica.register()
    other = Replica(POD_NAME="auth-1")
    credential = {"credential": registered["credential"]}
    answer = other.ask("POST", "/auth/login", json={**PERSON, **credential})
    assert answer.status_code == 200, answer.text
    assert answer.json()["user_id"] == registered["user_id"]
    checked = replica.verify(answer.json()["token"])
    assert checked.json()["user_id"] == registered["user_id"]
    assert checked.json()["email"] == "ada@example.org"


@pytest.mark.parametrize(
    "change",
    [
        {"password": "wrong horse"},
        {"email": "eve@example.org"},
        {"credential": "not.a.credential"},
    ],
    ids=["password", "address", "credential"],
)
def test_a_login_with_anything_wrong_is_refused(replica: Replica, change: dict[str, str]) -> None:
    """The three parts of a login must belong together."""
    body = {**PERSON, "credential": replica.register()["credential"], **change}
    assert_problem(replica.ask("POST", "/auth/login", json=body), 401)


def test_a_token_is_no_credential_and_a_credential_is_no_token(replica: Replica) -> None:
    """What is signed for one purpose is refused for the other."""
    registered = replica.register()
    assert_problem(replica.verify(registered["credential"]), 401)
    body = {**PERSON, "credential": registered["token"]}
    assert_problem(replica.ask("POST", "/auth/login", json=body), 401)


def test_the_credential_does_not_reveal_what_a_guess_could_be_checked_against(replica: Replica) -> None:
    """Without the service's secret, the kept hash is not that of the password."""
    record = jwt.decode(replica.register()["credential"], options={"verify_signature": False})
    ours = Signer(SECRET.encode(), ttl_s=60, scrypt_log2_n=10)
    foreign = Signer(b"another-secret-of-this-test-and-nothing-else", ttl_s=60, scrypt_log2_n=10)
    salt = base64.b64decode(record["salt"])
    assert ours._hash(PERSON["password"], salt, 10) == record["hash"]
    assert foreign._hash(PERSON["password"], salt, 10) != record["hash"]


def forged(**claims: Any) -> str:
    base = {"sub": "u", "email": "e@x.y", "iat": 1, "exp": 2**40, "iss": ISSUER, "aud": TOKEN_AUDIENCE}
    return jwt.encode({**base, **claims}, SECRET, "HS256")


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer a.b.c",
        "Bearer " + "x" * 5000,
        "Bearer \xff\xfe",
        f"Bearer {forged(exp=2)}",
        f"Bearer {forged(aud='elsewhere')}",
        f"Bearer {forged(iss='somebody')}",
        "Bearer " + jwt.encode({"sub": "u"}, None, "none"),
        "Bearer " + jwt.encode({"sub": "u"}, "a-foreign-secret-that-is-long-enough", "HS256"),
    ],
)
def test_a_bad_token_is_refused_and_never_an_error(replica: Replica, header: str | None) -> None:
    """Missing, malformed, expired, forged and foreign tokens are all a 401 that says how to come back."""
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    answer = replica.ask("GET", "/auth/verify", headers=headers)
    assert_problem(answer, 401)
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_forged_token_helper_makes_valid_tokens_when_nothing_is_wrong(replica: Replica) -> None:
    """The refusals above are not for a mistake of the test."""
    assert replica.verify(forged()).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 5000, 400),
        (b"1" * 5000, 400),
        (b"[]", 400),
        (b"null", 400),
        (b"{}", 422),
        (b'{"email": 1, "password": []}', 422),
        (b'{"email": "a@b.c", "password": "short"}', 422),
        (b'{"email": "nobody", "password": "long enough"}', 422),
        (b'{"email": "a\\u0000@b.c", "password": "long enough"}', 422),
        (b'{"email": "a@b.c", "password": "half a pair \\ud800"}', 422),
        (b'{"email": "a@b.c", "password": "' + b"x" * 200 + b'"}', 422),
        (b'{"email": "' + b"x" * 20000 + b'"}', 413),
    ],
)
@pytest.mark.parametrize("path", ["/auth/register", "/auth/login"])
def test_a_bad_body_is_a_problem_document(replica: Replica, path: str, body: bytes, status: int) -> None:
    """Each kind of bad input has its status, and none is a 500."""
    answer = replica.ask("POST", path, content=body, headers={"content-type": "application/json"})
    document = assert_problem(answer, status)
    if status == 422:
        assert {"field", "detail"} <= document["errors"][0].keys()


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["email", "password", "credential"]), inner)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_body_whatever_is_a_server_error(body: bytes) -> None:
    """Any bytes and any JSON are answered with success or a 4xx."""
    headers = {"content-type": "application/json"}
    answer = REPLICA.ask("POST", "/auth/login", content=body, headers=headers)
    assert 400 <= answer.status_code < 500, answer.text


REPLICA = Replica()


def test_a_wrong_media_type_is_a_problem(replica: Replica) -> None:
    """A form is not guessed at."""
    assert_problem(replica.ask("POST", "/auth/login", data={"email": "a@b.c"}), 415)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/auth/login", 405), ("GET", "/auth/verify/", 404)],
)
def test_unknown_paths_and_methods_are_problems(
    replica: Replica, method: str, path: str, status: int
) -> None:
    """The framework's own errors look like all others."""
    assert_problem(replica.ask(method, path), status)


def test_every_answer_names_its_version_pod_and_request(replica: Replica) -> None:
    """A probe can attribute each answer; a given request id comes back, an unsafe one is replaced."""
    answer = replica.ask("GET", "/health", headers={"x-request-id": "trace-7"})
    assert answer.json() == {"status": "ok", "version": "1.2.3"}
    assert (answer.headers["x-version"], answer.headers["x-pod-name"]) == ("1.2.3", "auth-0")
    assert answer.headers["x-request-id"] == "trace-7"
    unsafe = replica.ask("GET", "/health", headers={"x-request-id": "a b;c"})
    assert unsafe.headers["x-request-id"] not in {"", "a b;c"}


def test_draining_refuses_readiness_and_asks_clients_to_reconnect(replica: Replica) -> None:
    """While it leaves, a replica is alive, unready, still serves, and closes what it served."""
    assert replica.ask("GET", "/ready").status_code == 200
    assert "connection" not in replica.ask("GET", "/health").headers
    assert replica.ask("GET", "/drain?seconds=0", private=True).status_code == 200
    assert_problem(replica.ask("GET", "/ready"), 503)
    alive = replica.ask("GET", "/health")
    assert alive.status_code == 200
    assert alive.headers["connection"] == "close"
    assert replica.verify(replica.register()["token"]).status_code == 200
    assert "service_draining 1.0" in replica.series()


def test_a_drain_that_no_termination_follows_ends_by_itself() -> None:
    """One stray call of the hook does not take a replica out for good; SIGTERM does."""
    now_s = 100.0
    drain = Drain(clock=lambda: now_s)
    assert not drain.active
    drain.begin(4)
    assert drain.active
    now_s += 4 + RESUME_AFTER_S
    assert not drain.active
    drain.terminate()
    now_s += 1e9
    assert drain.active


@pytest.mark.parametrize("seconds", ["", "soon", "-1", "nan", "inf", "61"])
def test_a_drain_of_nonsense_is_refused_and_changes_nothing(replica: Replica, seconds: str) -> None:
    """A mistyped hook is an error, not a drain."""
    answer = replica.ask("GET", "/drain", private=True, params={"seconds": seconds})
    assert answer.status_code == 400
    assert not replica.drain.active


def test_an_unreachable_dependency_makes_it_unready_but_not_dead() -> None:
    """Readiness follows the dependencies; liveness does not, or one failure would restart every pod."""
    replica = Replica(REQUIRED_DEPENDENCIES="127.0.0.1:1")
    document = assert_problem(replica.ask("GET", "/ready"), 503)
    assert document["errors"][0]["field"] == "127.0.0.1:1"
    assert replica.ask("GET", "/health").status_code == 200


def test_provisioned_values_are_shown() -> None:
    """What Terraform put out can be seen to reach the container; secrets cannot."""
    replica = Replica(STORAGE_BUCKET="bucket-7", AWS_REGION="eu-central-1", EKS_CLUSTER="c")
    answer = replica.ask("GET", "/info")
    assert answer.json()["platform"]["STORAGE_BUCKET"] == "bucket-7"
    assert SECRET not in answer.text


def test_the_series_count_requests_by_route_and_status(replica: Replica) -> None:
    """Rate, errors and duration move; paths and methods that clients invent make no series."""
    replica.register()
    for number in range(3):
        replica.ask("GET", f"/invented/{number}")
    replica.ask("BREW", "/auth/login")
    series = replica.series()
    assert 'http_requests_total{method="POST",route="/auth/register",status="201"} 1.0' in series
    assert 'http_requests_total{method="GET",route="unmatched",status="404"} 3.0' in series
    assert 'http_request_duration_seconds_count{method="POST",route="/auth/register"} 1.0' in series
    assert "auth_registrations_total 1.0" in series
    assert "invented" not in series
    assert "BREW" not in series


def test_a_defect_is_one_problem_and_one_log_line_with_its_trace(caplog: pytest.LogCaptureFixture) -> None:
    """Even an unexpected error is a problem document that the logs can be searched for."""

    def broken(_app: Any) -> Any:
        async def fail(*_arguments: Any) -> None:
            raise RuntimeError("planted")

        return fail

    with caplog.at_level(logging.INFO):
        answer = Replica(broken).ask("GET", "/health", headers={"x-request-id": "trace-9"})
    assert assert_problem(answer, 500)["instance"].endswith("trace-9")
    records = [record for record in caplog.records if record.exc_info]
    assert len(records) == 1
    assert "planted" not in answer.text


def test_logs_hold_request_ids_and_no_secrets(replica: Replica, caplog: pytest.LogCaptureFixture) -> None:
    """A line can be joined to its request; passwords, tokens and queries stay out."""
    with caplog.at_level(logging.INFO):
        token = replica.register()["token"]
        replica.ask("GET", f"/auth/verify?token={token}", headers={"x-request-id": "trace-8"})
    ours = [record for record in caplog.records if record.name == "auth_service"]
    lines = [str(getattr(record, "fields", "")) + record.getMessage() for record in ours]
    assert any("trace-8" in line for line in lines)
    assert not any(PERSON["password"] in line or token in line for line in lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", "short"),
        ("PORT", "http"),
        ("PORT", "70000"),
        ("METRICS_PORT", "-1"),
        ("TOKEN_TTL_S", "0"),
        ("SCRYPT_LOG2_N", "30"),
        ("VERSION", "1\r\nx-injected: 1"),
        ("REQUIRED_DEPENDENCIES", "redis"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    """A bad setting stops the start with the variable's name, and without a secret's value."""
    with pytest.raises(BadSettingError, match=name) as caught:
        Settings.read({"JWT_SECRET": SECRET, name: value})
    assert name != "JWT_SECRET" or value not in str(caught.value)
