"""The journey through auth-service: register once, then mostly check the token, with some new tokens."""

from __future__ import annotations

from locust import task

from loadtests.journeys.account import AccountUser, Person


class AuthUser(AccountUser):
    """A user with an account of its own. Every task sends exactly one request, so rates mean requests."""

    abstract = True

    @task(17)
    def check_token(self) -> None:
        """Check the token, or get one first."""
        self.ask("GET", "/auth/verify")

    @task(1)
    def renew(self) -> None:
        """Exchange the refresh token, or log in where there is none (the sessions' store may be lost)."""
        person = self.person()
        if not person.refresh_token:
            self.sign_in(person)
            return
        # It counts once: whatever becomes of the answer, the next time is a login.
        used, person.refresh_token = person.refresh_token, ""
        self.granted("/auth/refresh", person, {"refresh_token": used})

    @task(1)
    def log_in(self) -> None:
        """Log in with the account, or make one first."""
        self.sign_in(self.person())

    @task(1)
    def register(self) -> None:
        """Make a new account."""
        self.people["citizen"] = Person(role="citizen")
        self.sign_in(self.person())
