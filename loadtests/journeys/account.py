"""What every journey begins with: people who register, and ask with their token."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

from locust import FastHttpUser

# A token is replaced when so much of its life is over, so that none expires on its way.
_USED_SHARE = 0.8
_TOKEN_LIFE_S = 900.0


class Answer(NamedTuple):
    """A good answer: its status and its JSON, an empty object where there is none."""

    status: int
    body: dict[str, Any]


@dataclass(kw_only=True)
class Person:
    """One account; `email` is empty until it is registered, `token` until it is given."""

    role: str
    email: str = ""
    token: str = ""
    refresh_token: str = ""
    until_s: float = 0.0

    @property
    def may_ask(self) -> bool:
        """Tell whether there is a token that will not expire on its way."""
        return bool(self.token) and time.monotonic() < self.until_s


class AccountUser(FastHttpUser):
    """A user whose people (one per role) have accounts of their own. Its methods send one request each."""

    abstract = True

    # An account in a disposable environment, not a secret.
    password = "correct-horse-battery-staple"  # noqa: S105

    # The tenant of all its people, none to leave it to the target.
    tenant = ""

    def on_start(self) -> None:
        """Start without accounts."""
        self.people: dict[str, Person] = {}

    def person(self, role: str = "citizen") -> Person:
        """Return this user's person of that role."""
        return self.people.setdefault(role, Person(role=role))

    def ask(
        self,
        method: str,
        path: str,
        *,
        role: str = "citizen",
        statuses: tuple[int, ...] = (200,),
        wrong: Callable[[Answer], str | None] = lambda _: None,
        headers: Mapping[str, str] | None = None,
        **request: Any,
    ) -> Answer | None:
        """Send one request as the person of that role; None where it failed, as `wrong` may find.

        Without a valid token the one request is for that instead, and the answer None.
        """
        if not self.ready(role):
            return None
        person = self.person(role)
        bearer = {"Authorization": f"Bearer {person.token}", **(headers or {})}
        answer = self._send(method, path, statuses, wrong, headers=bearer, **request)
        if answer is None and self.last_status == 401:
            person.token = ""
        return answer

    def ready(self, role: str = "citizen") -> bool:
        """Tell whether that person has a valid token; if not, the one request goes for it."""
        person = self.person(role)
        if not person.may_ask:
            self.sign_in(person)
            return False
        return True

    def sign_in(self, person: Person) -> Answer | None:
        """Get a token: by a login where there is an account, else by registering."""
        if person.email:
            return self.granted("/auth/login", person, self._account(person.email))
        email = f"load-{uuid4().hex[:16]}@example.test"
        answer = self.granted("/auth/register", person, {**self._account(email), "role": person.role})
        person.email = email if answer else ""
        return answer

    def _account(self, email: str) -> dict[str, str]:
        tenant = {"tenant": self.tenant} if self.tenant else {}
        return {"email": email, "password": self.password, **tenant}

    def granted(self, path: str, person: Person, body: Mapping[str, str]) -> Answer | None:
        """Send for a grant and keep it."""
        answer = self._send("POST", path, (200, 201), lacks("token"), json=dict(body))
        if answer is not None:
            person.token = str(answer.body["token"])
            person.refresh_token = str(answer.body.get("refresh_token") or "")
            life_s = float(answer.body.get("expires_in") or _TOKEN_LIFE_S)
            person.until_s = time.monotonic() + _USED_SHARE * life_s
        return answer

    def _send(
        self,
        method: str,
        path: str,
        statuses: tuple[int, ...],
        wrong: Callable[[Answer], str | None],
        **request: Any,
    ) -> Answer | None:
        with self.client.request(method, path, catch_response=True, **request) as response:
            self.last_status = int(response.status_code or 0)
            if self.last_status not in statuses:
                response.failure(_what(response))
                return None
            try:
                body = response.json() if response.content else {}
            except ValueError:
                body = None
            if not isinstance(body, dict):
                response.failure("the answer is no JSON object")
                return None
            answer = Answer(self.last_status, body)
            if reason := wrong(answer):
                response.failure(reason)
                return None
            response.success()
            return answer

    last_status = 0


def lacks(*names: str) -> Callable[[Answer], str | None]:
    """Return what finds that an answer lacks one of these fields."""

    def wrong(answer: Answer) -> str | None:
        missing = [name for name in names if name not in answer.body]
        return f"the answer lacks {', '.join(missing)}" if missing else None

    return wrong


def _what(response: Any) -> str:
    """Name a failed answer by its status, or by its error where there was none."""
    status, error = response.status_code, getattr(response, "error", None)
    return f"status {status}" if status else f"{type(error).__name__}: {error}"
