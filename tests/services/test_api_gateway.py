"""The front door passes on what it gets, and says so when nobody is behind it."""

import json
import socket
import time

import httpx
from answers import Front, assert_problem
from platform_under_test import Platform, running


def test_each_service_is_described_and_its_answers_name_who_gave_them(
    front: Front, core_platform: Platform
) -> None:
    """The description is the service's own; version and pod of the service stand beside the door's."""
    door = front.client.get("/openapi/auth-service.json")
    assert door.json() == httpx.get(f"{core_platform.url('auth-service')}/openapi.json").json()
    assert (door.headers["x-pod-name"], door.headers["x-upstream-pod"]) == ("api-0", "auth-service-0")
    assert door.headers["x-upstream-version"] == "1.2.3"
    assert_problem(front.client.get("/openapi/nobody.json"), 404)


def test_one_request_id_goes_all_the_way(front: Front, core_platform: Platform) -> None:
    """The client's own is kept, returned once, and in the log of the service behind."""
    identity = f"given-{front.tag}"
    answer = front.client.get("/auth/keys", headers={"x-request-id": identity})
    assert answer.headers.get_list("x-request-id") == [identity]
    lines = [json.loads(line) for line in core_platform.services["auth-service"].said().splitlines()]
    assert [line["path"] for line in lines if line.get("request_id") == identity] == ["/auth/keys"]


def test_a_lost_service_is_503_within_the_deadline_and_the_others_serve_on(front: Front) -> None:
    """Nobody listens there in this test: the answer says which service, and when to come again."""
    began = time.monotonic()
    answer = front.client.get("/vision/model")
    assert_problem(answer, 503)
    assert "vision-service" in answer.json()["detail"]
    assert answer.headers["retry-after"] == "1"
    assert time.monotonic() - began < 6
    assert front.client.get("/health").status_code == 200
    assert front.client.get("/auth/keys").status_code == 200


def test_a_hanging_service_is_given_up_when_the_caller_would_be_gone() -> None:
    """The caller's deadline bounds the wait, and a POST is sent once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(1)
        with running("api", USER_URL=f"http://127.0.0.1:{silent.getsockname()[1]}") as platform:
            began = time.monotonic()
            headers = {"x-deadline-ms": "700"}
            answer = httpx.post(f"{platform.url()}/users/me", headers=headers, json={}, timeout=10)
            assert_problem(answer, 503)
            assert 0.6 < time.monotonic() - began < 2
            connections = 0
            try:
                while silent.accept():
                    connections += 1
            except TimeoutError:
                pass
            assert connections == 1


def test_an_unknown_path_is_the_doors_own_404(front: Front) -> None:
    """It is counted under one label, however many there are."""
    for path in ("/", "/nobody", "/authx", "/users2/me"):
        assert_problem(front.client.get(path), 404)
