# ruff: noqa: D401 - a docstring says what is wrong, not what to do
"""Defects seen from outside: each function is one, and its name is the defect's."""

from __future__ import annotations

import base64
import json
import uuid

from defective_app import MEMORY, Exchange, Forward, defect

# -- journeys and sessions


@defect
async def total_forgets_the_quantity(x: Exchange, go: Forward) -> None:
    """An order costs one piece, however many are ordered."""
    await go()
    if x.asks("POST", "/orders") and x.status == 201:
        x.edit(total_cents=x.answer["total_cents"] // x.answer["quantity"])


@defect
async def history_loses_the_assignment(x: Exchange, go: Forward) -> None:
    """A pickup does not tell that it was taken."""
    await go()
    if x.asks("GET", "/pickups/*") and x.status == 200 and "history" in x.answer:
        x.edit(history=[step for step in x.answer["history"] if step["status"] != "assigned"])


@defect
async def sees_plastic_everywhere(x: Exchange, go: Forward) -> None:
    """The model says plastic whatever it is shown."""
    await go()
    if x.asks("POST", "/vision/classifications") and x.status == 200:
        x.edit(label="plastic")


@defect
async def refresh_gives_a_dead_token(x: Exchange, go: Forward) -> None:
    """What a refresh gives opens nothing."""
    await go()
    if x.asks("POST", "/auth/refresh") and x.status == 200:
        x.edit(token=x.answer["token"][:-8] + "AAAAAAAA")


@defect
async def refresh_token_works_for_ever(x: Exchange, go: Forward) -> None:
    """A refresh token that was used goes on working."""
    await go()
    if x.asks("POST", "/auth/refresh"):
        used = x.sent.get("refresh_token")
        if x.status == 200:
            MEMORY["refresh", used] = x.answer
        elif ("refresh", used) in MEMORY:
            x.answer_with(200, MEMORY["refresh", used])


@defect
async def logout_does_nothing(x: Exchange, go: Forward) -> None:
    """A logout is answered and not done."""
    if x.asks("POST", "/auth/logout"):
        x.send_instead(refresh_token="never-given")
    await go()
    if x.asks("POST", "/auth/logout"):
        x.answer_with(204, None)


@defect
async def login_tells_who_is_there(x: Exchange, go: Forward) -> None:
    """A refused login tells a wrong password from an unknown address."""
    await go()
    if x.asks("POST", "/auth/login") and x.status == 401 and x.sent.get("email") == "nobody@example.com":
        x.edit(detail="there is no such account")
        x.answer_with(401, x.answer, "application/problem+json")


@defect
async def address_is_given_twice(x: Exchange, go: Forward) -> None:
    """A second account with the same address is taken."""
    await go()
    if x.asks("POST", "/auth/register"):
        if x.status == 201:
            MEMORY["grant"] = x.answer
        elif x.status == 409:
            x.answer_with(201, MEMORY["grant"])


@defect
async def unknown_tenant_becomes_public(x: Exchange, go: Forward) -> None:
    """Whoever names a tenant that is not there lands in the public one."""
    if x.asks("POST", "/auth/register") and x.sent.get("tenant") == "acceptance-never-made":
        x.send_instead(tenant="public")
    await go()


# -- health and headers


@defect
async def health_is_not_json(x: Exchange, go: Forward) -> None:
    """/health answers a text in which `status:ok` can be found."""
    await go()
    if x.asks("GET", "/health"):
        x.answer_with(200, "status:ok", "text/plain")


@defect
async def health_says_nothing_good(x: Exchange, go: Forward) -> None:
    """/health answers 200 with a status that is not ok."""
    await go()
    if x.asks("GET", "/health"):
        x.edit(status="failing")


@defect
async def versions_differ(x: Exchange, go: Forward) -> None:
    """/info tells another version than /health."""
    await go()
    if x.asks("GET", "/info"):
        x.edit(version="0.0.0-other")


@defect
async def ready_though_degraded(x: Exchange, go: Forward) -> None:
    """/ready is 200 while something it depends on is degraded."""
    await go()
    if x.asks("GET", "/ready"):
        x.edit(dependencies={"redis": "degraded"})


@defect
async def request_id_is_ignored(x: Exchange, go: Forward) -> None:
    """The caller's request id is replaced."""
    x.set_header("x-request-id", None)
    await go()


# -- the contract


@defect
async def document_promises_more(x: Exchange, go: Forward) -> None:
    """The document has an operation that nobody exercises."""
    await go()
    if x.path.endswith("openapi.json") and x.status == 200:
        paths = x.answer["paths"]
        first = next(iter(paths.values()))
        x.edit(paths=paths | {"/undocumented/{thing_id}": {"get": next(iter(first.values()))}})


@defect
async def document_hides_protection(x: Exchange, go: Forward) -> None:
    """The document says of no operation that it takes a token."""
    await go()
    if x.path.endswith("openapi.json") and x.status == 200:
        paths = x.answer["paths"]
        for methods in paths.values():
            for operation in methods.values():
                operation.pop("security", None)
        x.edit(paths=paths)


@defect
async def accuracy_is_a_word(x: Exchange, go: Forward) -> None:
    """An answer has a member of another type than documented."""
    await go()
    if x.asks("GET", "/vision/model") and x.status == 200:
        x.edit(accuracy="high")


@defect
async def pod_name_is_missing(x: Exchange, go: Forward) -> None:
    """Answers do not say which pod they are from."""
    await go()
    x.drop("x-pod-name")


@defect
async def made_is_answered_as_found(x: Exchange, go: Forward) -> None:
    """A deletion is answered with another status than documented."""
    await go()
    if x.asks("DELETE", "/listings/*") and x.status == 204:
        x.answer_with(200, None)


@defect
async def tenant_removal_keeps_everything(x: Exchange, go: Forward) -> None:
    """The removal of a tenant's pickups is answered and not done."""
    if x.asks("DELETE", "/pickups/tenant"):
        x.method = x.scope["method"] = "GET"
        x.path = x.scope["path"] = "/pickups"
        x.scope["raw_path"] = b"/pickups"
        await go()
        x.answer_with(200, {"removed": {"pickups": 0}})
        return
    await go()


@defect
async def removed_tenant_still_opens(x: Exchange, go: Forward) -> None:
    """An admin whose tenant is gone still gets in."""
    await go()
    if x.asks("POST", "/auth/tenants") and x.status == 201:
        MEMORY[x.sent["email"]] = x.answer
    if x.asks("POST", "/auth/login") and x.status == 401 and x.sent.get("email") in MEMORY:
        x.answer_with(200, MEMORY[x.sent["email"]])


@defect
async def malformed_json_is_a_server_error(x: Exchange, go: Forward) -> None:
    """Half a JSON text brings the service down to a 500."""
    await go()
    if x.status == 400 and x.body.startswith(b'{"half"'):
        x.answer_with(500, {"detail": "Internal Server Error"})


@defect
async def problem_is_plain_json(x: Exchange, go: Forward) -> None:
    """A malformed body is refused without the media type of a problem."""
    await go()
    if x.status == 400 and x.body.startswith(b'{"half"'):
        x.answer_with(400, x.answer)


@defect
async def wrong_field_is_not_named(x: Exchange, go: Forward) -> None:
    """A refusal does not tell which field is wrong."""
    await go()
    if x.status == 422 and b"of another" in x.body:
        x.answer_with(422, x.answer | {"errors": []}, "application/problem+json")


@defect
async def huge_body_is_read(x: Exchange, go: Forward) -> None:
    """A body beyond the limit is not refused as such."""
    await go()
    if x.status == 413 and x.body.startswith(b'{"filling"'):
        x.answer_with(400, x.answer | {"status": 400}, "application/problem+json")


@defect
async def odd_id_is_a_server_error(x: Exchange, go: Forward) -> None:
    """An id of another form than the service's own is a server error."""
    await go()
    if "/no-such-thing" in x.path:
        x.answer_with(500, {"detail": "Internal Server Error"})


@defect
async def wrong_method_says_no_more(x: Exchange, go: Forward) -> None:
    """A refused method comes without the ones that are allowed."""
    await go()
    if x.status == 405:
        x.drop("allow")


@defect
async def unknown_path_is_a_page(x: Exchange, go: Forward) -> None:
    """An unknown path is answered with a page."""
    await go()
    if x.status == 404 and x.path == "/nothing-here":
        x.answer_with(404, "<html>", "text/html")


@defect
async def torn_picture_is_a_server_error(x: Exchange, go: Forward) -> None:
    """A torn picture brings the service down to a 500."""
    await go()
    if x.status == 422 and x.body.startswith(b"\x89PNG"):
        x.answer_with(500, {"detail": "Internal Server Error"})


@defect
async def batch_guesses(x: Exchange, go: Forward) -> None:
    """A picture of a batch that cannot be read gets a label."""
    await go()
    if x.asks("POST", "/vision/batches") and x.status == 200:
        results = x.answer["results"]
        x.edit(results=[results[0] if r.get("problem") else r for r in results])


@defect
async def page_size_is_ignored(x: Exchange, go: Forward) -> None:
    """Any page size is taken."""
    if x.scope["query_string"].startswith(b"limit=") and x.asks("GET", "/pickups"):
        x.scope["query_string"] = b""
    await go()


@defect
async def order_needs_no_key(x: Exchange, go: Forward) -> None:
    """An order without a key is taken."""
    if x.asks("POST", "/orders") and x.header("idempotency-key") is None and x.header("authorization"):
        x.set_header("idempotency-key", uuid.uuid4().hex)
    await go()


@defect
async def strange_text_is_a_server_error(x: Exchange, go: Forward) -> None:
    """Text beyond ASCII brings the service down to a 500."""
    await go()
    if any(byte > 127 for byte in x.body) or b"\\u" in x.body:
        x.answer_with(500, {"detail": "Internal Server Error"})


# -- tokens


@defect
async def lists_without_a_token(x: Exchange, go: Forward) -> None:
    """A list is shown to whoever has no token."""
    await go()
    if x.asks("GET", "/orders") and x.header("authorization") is None:
        x.answer_with(200, {"items": [], "next": None})


@defect
async def refuses_without_saying_how(x: Exchange, go: Forward) -> None:
    """A write without a token is refused without WWW-Authenticate."""
    await go()
    if x.method != "GET" and x.header("authorization") is None and x.status == 401:
        x.drop("www-authenticate")


@defect
async def long_nonsense_opens(x: Exchange, go: Forward) -> None:
    """A token too long to be looked at opens a list."""
    await go()
    if x.asks("GET", "/pickups") and len(x.header("authorization") or "") > 3000:
        x.answer_with(200, {"items": [], "next": None})


@defect
async def verifies_another_role(x: Exchange, go: Forward) -> None:
    """A collector is verified as a citizen."""
    await go()
    if x.asks("GET", "/auth/verify") and x.status == 200:
        x.edit(role="citizen")


# -- other people's data


def _claims(x: Exchange) -> dict[str, str]:
    parts = (x.header("authorization") or "").removeprefix("Bearer ").split(".")
    if len(parts) != 3:
        return {}
    claims: dict[str, str] = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    return claims


async def _from_cache(x: Exchange, go: Forward, key: object) -> None:
    """Answer a GET from a cache with this key."""
    await go()
    if x.method == "GET":
        if x.status == 200:
            MEMORY[key] = x.answer
        elif key in MEMORY:
            x.answer_with(200, MEMORY[key])


@defect
async def cache_forgets_the_user(x: Exchange, go: Forward) -> None:
    """An order once shown is shown to everybody of the tenant."""
    if x.asks("GET", "/orders/*"):
        await _from_cache(x, go, (x.path, _claims(x).get("tenant")))
    else:
        await go()


@defect
async def cache_forgets_the_tenant(x: Exchange, go: Forward) -> None:
    """A listing once shown is shown to every tenant."""
    if x.asks("GET", "/listings/*"):
        await _from_cache(x, go, x.path)
    else:
        await go()


@defect
async def takes_orders_from_other_tenants(x: Exchange, go: Forward) -> None:
    """Another tenant's listing can be ordered."""
    await go()
    if x.asks("POST", "/orders"):
        if x.status == 201:
            MEMORY["order"] = x.answer
        elif x.status == 404:
            x.answer_with(201, MEMORY.get("order", {"id": "another"}))


@defect
async def shows_open_pickups_to_every_tenant(x: Exchange, go: Forward) -> None:
    """The list of open pickups has those of other tenants too."""
    await go()
    if x.asks("POST", "/pickups/*/schedule") and x.status == 200:
        MEMORY.setdefault("scheduled", []).append(x.answer)
    if x.asks("GET", "/pickups/open") and x.status == 200:
        shown = {entry["id"] for entry in x.answer["items"]}
        more = [kept for kept in MEMORY.get("scheduled", []) if kept["id"] not in shown]
        x.edit(items=x.answer["items"] + more)


@defect
async def anybody_removes_profiles(x: Exchange, go: Forward) -> None:
    """A tenant's profiles are removed for whoever asks."""
    await go()
    if x.asks("DELETE", "/users/tenant") and x.status == 403:
        x.answer_with(200, {"removed": {"profiles": 0}})


@defect
async def list_is_everybodys(x: Exchange, go: Forward) -> None:
    """The list of one's own pickups shows those of the person before."""
    await go()
    if x.asks("GET", "/pickups") and x.status == 200:
        x.edit(items=x.answer["items"] or MEMORY.get("requested", []))
    if x.asks("POST", "/pickups") and x.status == 201:
        MEMORY["requested"] = [x.answer]


@defect
async def open_pickups_are_open_to_all(x: Exchange, go: Forward) -> None:
    """A citizen sees what is to be collected, and where."""
    await go()
    if x.asks("GET", "/pickups/open") and x.status == 403:
        x.answer_with(200, {"items": [], "next": None})


@defect
async def role_is_for_the_asking(x: Exchange, go: Forward) -> None:
    """A role that nobody may choose is quietly made a citizen's."""
    if x.asks("POST", "/auth/register") and x.sent.get("role") in ("admin", "root"):
        x.send_instead(role="citizen")
    await go()


# -- at the same moment


@defect
async def refuses_when_busy(x: Exchange, go: Forward) -> None:
    """Of many orders at once some are told that nothing is left, though it is."""
    ordering = x.asks("POST", "/orders")
    MEMORY["busy"] = MEMORY.get("busy", 0) + ordering
    crowded = MEMORY["busy"] > 2
    await go()
    MEMORY["busy"] -= ordering
    if ordering and crowded and x.status == 201:
        problem = {
            "type": "out-of-stock",
            "title": "Conflict",
            "status": 409,
            "detail": "nothing is left",
            "request_id": next(v.decode() for k, v in x.answer_headers if k == b"x-request-id"),
        }
        x.answer_with(409, problem, "application/problem+json")


async def _own_key_while_busy(x: Exchange, go: Forward, path: str) -> None:
    """Take an equal key that is under way as another key."""
    key = x.header("idempotency-key")
    if not x.asks("POST", path) or key is None:
        await go()
        return
    MEMORY[key] = MEMORY.get(key, 0) + 1
    if MEMORY[key] > 1:
        x.set_header("idempotency-key", uuid.uuid4().hex)
    await go()
    MEMORY[key] -= 1


@defect
async def equal_keys_race_into_orders(x: Exchange, go: Forward) -> None:
    """Two requests with one key at once become two orders."""
    await _own_key_while_busy(x, go, "/orders")


@defect
async def equal_keys_race_into_pickups(x: Exchange, go: Forward) -> None:
    """Two requests with one key at once become two pickups."""
    await _own_key_while_busy(x, go, "/pickups")


@defect
async def repetition_is_not_said(x: Exchange, go: Forward) -> None:
    """A repeated order does not say that it is one."""
    await go()
    x.drop("idempotency-replayed")


@defect
async def key_alone_decides(x: Exchange, go: Forward) -> None:
    """A key sent again gets its order back, whatever is ordered now."""
    await go()
    if x.asks("POST", "/orders"):
        key = ("key", x.header("idempotency-key"))
        if x.status in (200, 201):
            MEMORY[key] = x.answer
        elif x.status == 422 and key in MEMORY:
            x.answer_with(200, MEMORY[key])


@defect
async def cancelled_order_looks_placed(x: Exchange, go: Forward) -> None:
    """A cancelled order is shown as placed."""
    await go()
    if x.asks("GET", "/orders/*") and x.status == 200:
        x.edit(status="placed")


@defect
async def completes_twice(x: Exchange, go: Forward) -> None:
    """A completed pickup is completed again."""
    await go()
    if x.asks("POST", "/pickups/*/complete"):
        if x.status == 200:
            MEMORY[x.path] = x.answer
        elif x.status == 409 and x.path in MEMORY:
            x.answer_with(200, MEMORY[x.path])


@defect
async def cancelled_pickup_stays_listed(x: Exchange, go: Forward) -> None:
    """A cancelled pickup is still shown to collectors."""
    await go()
    if x.asks("POST", "/pickups/*/cancel") and x.status == 200:
        MEMORY.setdefault("cancelled", []).append(x.answer)
    if x.asks("GET", "/pickups/open") and x.status == 200:
        x.edit(items=x.answer["items"] + MEMORY.get("cancelled", []))
