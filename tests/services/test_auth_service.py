"""Tenants, registration, login, sessions, tokens and their keys, through the front door."""

import base64
import json
import threading
import time
from typing import Any

import httpx
import jwt
import pytest
from answers import PASSWORD, Front, assert_problem, granted
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from platform_under_test import Platform, running, signing_key

from core.waiting import wait_until


def verified(front: Front, token: str) -> httpx.Response:
    return front.ask("GET", "/auth/verify", {"token": token})


def test_a_registered_user_logs_in_and_the_token_says_who_it_is(front: Front) -> None:
    """Addresses are the same in any case; the token carries tenant and role."""
    registered = front.person("Ada", role="collector")
    body = {"email": "ADA@example.org", "password": PASSWORD, "tenant": registered["tenant"]}
    login = granted(front.client.post("/auth/login", json=body))
    told = verified(front, login["token"]).json()
    assert (told["user_id"], told["email"]) == (registered["user_id"], "ada@example.org")
    assert (told["tenant"], told["role"]) == (front.admin["tenant"], "collector")
    assert told["expires_at"] == pytest.approx(time.time() + login["expires_in"], abs=10)


@pytest.mark.parametrize("wrong", [{"password": "wrong horse"}, {"email": "e@x.y"}, {"tenant": "nobody"}])
def test_a_login_with_anything_wrong_is_refused_in_the_same_words(
    front: Front, wrong: dict[str, str]
) -> None:
    """Nobody learns whether an address exists."""
    front.person()
    body = {"email": "ada@example.org", "password": PASSWORD, "tenant": front.admin["tenant"], **wrong}
    document = assert_problem(front.client.post("/auth/login", json=body), 401)
    assert document["type"].endswith("invalid-credentials")


def test_an_address_belongs_to_one_user_of_a_tenant(front: Front) -> None:
    """Registered twice, also at the same moment, it gives one user; another tenant has its own."""
    body = {"email": "eve@example.org", "password": PASSWORD, "tenant": front.admin["tenant"]}
    statuses: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: statuses.append(
                httpx.post(f"{front.client.base_url}/auth/register", json=body, timeout=20).status_code
            )
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201, 409, 409, 409, 409, 409]
    assert front.client.post("/auth/register", json={**body, "tenant": "nobody"}).status_code == 404


def test_a_refresh_token_is_good_once_and_its_theft_ends_the_session(front: Front) -> None:
    """The second use of one refuses it, and the newest one of that family too."""
    first = front.person()["refresh_token"]
    second = granted(front.client.post("/auth/refresh", json={"refresh_token": first}))
    assert verified(front, second["token"]).status_code == 200
    for stolen in (first, second["refresh_token"]):
        assert_problem(front.client.post("/auth/refresh", json={"refresh_token": stolen}), 401)


def test_a_logout_ends_the_session_and_is_repeatable(front: Front) -> None:
    """Its refresh token is refused; to end what is ended is no error."""
    body = {"refresh_token": front.person()["refresh_token"]}
    assert [front.client.post("/auth/logout", json=body).status_code for _ in "12"] == [204, 204]
    assert_problem(front.client.post("/auth/refresh", json=body), 401)


def test_a_removed_tenant_takes_its_users_and_sessions_with_it(front: Front) -> None:
    """Only its administrator may; afterwards nobody logs in or refreshes."""
    ada = front.person()
    assert_problem(front.ask("DELETE", "/auth/tenant", ada), 403)
    removed = front.ask("DELETE", "/auth/tenant", front.admin).json()["removed"]
    assert removed == {"users": 2, "sessions": 2}
    body = {"email": "ada@example.org", "password": PASSWORD, "tenant": ada["tenant"]}
    assert_problem(front.client.post("/auth/login", json=body), 401)
    assert_problem(front.client.post("/auth/refresh", json={"refresh_token": ada["refresh_token"]}), 401)


def unsigned(claims: dict[str, Any], **header: str) -> str:
    parts = [{"alg": "none", "typ": "JWT", **header}, claims]
    return (
        ".".join(base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in parts)
        + "."
    )


def test_a_token_that_is_forged_altered_or_expired_is_refused(front: Front, core_platform: Platform) -> None:
    """Another key under our key's name, no signature, a public key used as a secret, none at all."""
    token = front.person()["token"]
    claims = jwt.decode(token, options={"verify_signature": False})
    kid = jwt.get_unverified_header(token)["kid"]
    foreign = load_pem_private_key(signing_key("x")["private_key"].encode(), None)
    ours = json.loads(core_platform.keys_file.read_text())["keys"][0]
    own = load_pem_private_key(ours["private_key"].encode(), None)
    head, body, signature = token.split(".")
    changed = base64.urlsafe_b64encode(json.dumps({**claims, "role": "admin"}).encode()).decode().rstrip("=")
    bad = [
        jwt.encode(claims, foreign, "ES256", headers={"kid": kid}),
        jwt.encode(claims, foreign, "ES256", headers={"kid": "unknown"}),
        jwt.encode(claims, foreign, "ES256"),
        unsigned(claims, kid=kid),
        f"{head}.{changed}.{signature}",
        f"{head}.{body}.",
        "not-a-token",
        jwt.encode({**claims, "exp": int(time.time()) - 1}, own, "ES256", headers={"kid": kid}),
        jwt.encode({**claims, "iss": "other"}, own, "ES256", headers={"kid": kid}),
    ]
    for forged in bad:
        answer = verified(front, forged)
        assert_problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert_problem(front.ask("GET", "/users/me", {"token": forged}), 401)
    good = jwt.encode(claims, own, "ES256", headers={"kid": kid})
    assert verified(front, good).status_code == 200, "what these tests forge with would be accepted unforged"
    assert_problem(front.client.get("/auth/verify"), 401)


def test_a_token_of_a_shorter_life_expires(front: Front) -> None:
    """A client may ask for less than usual, and gets what it asked for."""
    front.person()
    body = {"email": "ada@example.org", "password": PASSWORD, "tenant": front.admin["tenant"], "ttl_s": 1}
    login = granted(front.client.post("/auth/login", json=body))
    assert login["expires_in"] == 1
    wait_until("the token to expire", lambda: verified(front, login["token"]).status_code == 401, 5)


def test_keys_are_published_without_their_secret_half(front: Front) -> None:
    """The key set has what verifies and nothing that signs."""
    (key,) = front.client.get("/auth/keys").json()["keys"]
    assert (key["kty"], key["crv"], key["alg"], key["kid"]) == ("EC", "P-256", "ES256", "first")
    assert "d" not in key


def test_keys_rotate_without_a_restart_and_without_a_refused_token() -> None:
    """A key that is added verifies at once, in front it signs; the old one verifies until it is taken out."""
    with (
        running("auth-service", "user-service", "api") as platform,
        httpx.Client(base_url=platform.url()) as client,
    ):
        front = Front(client=client, tag="rotation")
        old = front.person()
        assert front.ask("GET", "/users/me", old).status_code == 404
        both = [signing_key("second"), *json.loads(platform.keys_file.read_text())["keys"]]
        platform.keys_file.write_text(json.dumps({"keys": both[::-1]}))
        wait_until("it to be published", lambda: len(client.get("/auth/keys").json()["keys"]) == 2, 10)
        platform.keys_file.write_text(json.dumps({"keys": both}))
        body = {"email": "ada@example.org", "password": PASSWORD, "tenant": old["tenant"]}

        def signed_by_the_new_one() -> str | None:
            token = str(granted(client.post("/auth/login", json=body))["token"])
            return token if jwt.get_unverified_header(token)["kid"] == "second" else None

        new = wait_until("the new key to sign", signed_by_the_new_one, 10, interval_s=0.3)
        for token in (old["token"], new):
            assert verified(front, token).status_code == 200
        # A service that has just asked for keys asks again for an unknown one a few seconds later.
        wait_until(
            "user-service to know it",
            lambda: front.ask("GET", "/users/me", {"token": new}).status_code == 404,
            8,
        )
        assert front.ask("GET", "/users/me", old).status_code == 404
        platform.keys_file.write_text(json.dumps({"keys": both[:1]}))
        wait_until("the old key to be refused", lambda: verified(front, old["token"]).status_code == 401, 10)
        platform.keys_file.write_text("{")
        time.sleep(2.5)
        assert verified(front, new).status_code == 200, "a broken file is no reason to forget the keys"


def test_without_redis_users_still_log_in_and_without_mongodb_none_is_ready() -> None:
    """Losing Redis costs the session, and is said; losing MongoDB takes readiness, not life."""
    with running("auth-service", "user-service") as platform:
        auth = platform.services["auth-service"]
        with httpx.Client(base_url=auth.url, timeout=10) as client:
            front = Front(client=client, tag="stores")
            ada = front.person()
            platform.redis.kill()
            body = {"email": "ada@example.org", "password": PASSWORD, "tenant": ada["tenant"]}
            answer = client.post("/auth/login", json=body)
            assert (granted(answer)["refresh_token"], answer.headers["x-degraded"]) == (None, "redis")
            refused = client.post("/auth/refresh", json={"refresh_token": ada["refresh_token"]})
            assert_problem(refused, 503)
            ready = client.get("/ready")
            assert (ready.status_code, ready.json()["dependencies"]["redis"]) == (200, "degraded")
            users = platform.services["user-service"]
            headers = {"authorization": f"Bearer {ada['token']}"}
            put = httpx.put(f"{users.url}/users/me", json={"name": "Ada"}, headers=headers, timeout=10)
            assert put.status_code == 200, put.text
            read = httpx.get(f"{users.url}/users/me", headers=headers, timeout=10)
            assert (read.status_code, read.headers["x-degraded"]) == (200, "redis")
            platform.redis.start()
            wait_until("redis", lambda: client.get("/ready").json()["dependencies"]["redis"] == "ok", 10)
            assert granted(client.post("/auth/login", json=body))["refresh_token"]

            platform.mongodb.kill()
            assert_problem(client.get("/ready"), 503)
            assert client.get("/health").status_code == 200
            assert_problem(client.post("/auth/login", json=body), 503)
            assert verified(front, ada["token"]).status_code == 200, "a token needs no store"
            platform.mongodb.start()
            wait_until("it to be ready again", lambda: client.get("/ready").status_code == 200, 10)
            assert granted(client.post("/auth/login", json=body))["user_id"] == ada["user_id"]
        for replica in (auth, users):
            said = replica.said()
            assert "mongodb://" not in said
            assert "redis://" not in said
            assert PASSWORD not in said
            assert ada["token"] not in said


@pytest.mark.parametrize(
    "path", ["/auth/register", "/auth/login", "/auth/tenants", "/auth/refresh", "/auth/logout"]
)
def test_bad_bodies_are_problems(front: Front, path: str) -> None:
    """Malformed, of a wrong type, unknown fields, too large, half a surrogate pair: never a 500."""
    json_type = {"content-type": "application/json"}
    post = lambda content, headers=json_type: front.client.post(path, content=content, headers=headers)  # noqa: E731
    assert_problem(post(b'{"email":'), 400)
    assert_problem(post(b"[" * 100_000), 400)
    assert_problem(post(b"\xff\xfe{}"), 400)
    for body in (b"[]", b"3", b"null", b"{}", b'{"email": 3, "password": true, "refresh_token": []}'):
        assert assert_problem(post(body), 422)["errors"]
    names = ("email", "password", "name", "refresh_token")
    surrogate = json.dumps(dict.fromkeys(names, "\ud800@aaaaaaaa")).encode()
    assert_problem(post(surrogate), 422)
    assert_problem(post(b"a=b", {"content-type": "application/x-www-form-urlencoded"}), 415)
    assert_problem(post(b'{"a": "' + b"x" * 1_100_000 + b'"}'), 413)
    assert_problem(front.client.put(path, json={}), 405)
