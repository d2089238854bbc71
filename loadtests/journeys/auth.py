"""The journey through auth-service: register once, then mostly check the token, with some logins."""

from __future__ import annotations

from uuid import uuid4

from locust import FastHttpUser, task


class AuthUser(FastHttpUser):
    """A user with an account of its own. Every task sends exactly one request, so rates mean requests."""

    abstract = True

    # An account of the reference service in a disposable environment, not a secret.
    password = "correct-horse-battery-staple"  # noqa: S105

    def on_start(self) -> None:
        """Start without account and token."""
        self.email = ""
        self.token = ""
        self.credential = ""

    @task(18)
    def check_token(self) -> None:
        """Check the token, or get one first."""
        if not self.token:
            self.register()
            return
        with self.client.get(
            "/auth/verify", headers={"Authorization": f"Bearer {self.token}"}, catch_response=True
        ) as answer:
            if answer.status_code != 200:
                answer.failure(_what(answer))

    @task(1)
    def log_in(self) -> None:
        """Log in with the account, or make one first."""
        if not self.email:
            self.register()
            return
        # The service keeps no accounts: the record it gave at registration comes back with the login.
        self._credentials("/auth/login", self.email, credential=self.credential)

    @task(1)
    def register(self) -> None:
        """Make a new account."""
        self._credentials("/auth/register", f"load-{uuid4().hex[:16]}@example.test")

    def _credentials(self, path: str, email: str, **record: str) -> None:
        body = {"email": email, "password": self.password, **record}
        with self.client.post(path, json=body, catch_response=True) as answer:
            if answer.status_code not in {200, 201}:
                answer.failure(_what(answer))
                return
            try:
                granted = answer.json()
                self.token = str(granted["token"])
                self.credential = str(granted["credential"]) if path == "/auth/register" else self.credential
            except (ValueError, KeyError, TypeError):
                answer.failure("the answer lacks the token or the credential")
                return
            self.email = email


def _what(answer: object) -> str:
    """Name a failed answer by its status, or by its error where there was none."""
    status = getattr(answer, "status_code", 0)
    error = getattr(answer, "error", None)
    return f"status {status}" if status else f"{type(error).__name__}: {error}"
