"""The routes of auth-service, and its start."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ecochain_kit import server
from ecochain_kit.application import degraded
from ecochain_kit.bodies import Removed
from ecochain_kit.problems import Problem, declared
from ecochain_kit.stores import Document
from ecochain_kit.tokens import Admin, Caller
from fastapi import APIRouter, Response
from prometheus_client import Counter
from starlette.types import ASGIApp

from auth_service.bodies import Checked, Grant, KeySet, Login, NewTenant, Refresh, Registration
from auth_service.keyring import Keyring
from auth_service.passwords import Passwords
from auth_service.sessions import Sessions, unknown
from auth_service.settings import Settings
from auth_service.users import INDEXES, Users


class Auth:
    """What the routes do."""

    def __init__(
        self, settings: Settings, keyring: Keyring, users: Users, sessions: Sessions, logins: Counter
    ) -> None:
        self.settings, self.keyring, self.users, self.sessions = settings, keyring, users, sessions
        self.passwords = Passwords(settings.scrypt_log2_n)
        self._logins = logins

    async def grant(self, user: Document, response: Response, ttl_s: int | None = None) -> Grant:
        """Return a token and, while Redis is there, a session for a user."""
        refresh = await self.sessions.begin(user["tenant"], user["_id"])
        if refresh is None:
            degraded(response, "redis")
        return self.granted(user, refresh, ttl_s)

    def granted(self, user: Document, refresh: str | None, ttl_s: int | None = None) -> Grant:
        """Return what a user gets."""
        life_s = min(ttl_s or self.settings.token_ttl_s, self.settings.token_ttl_s)
        return Grant(
            user_id=user["_id"],
            tenant=user["tenant"],
            role=user["role"],
            token=self.keyring.token(user, life_s),
            expires_in=life_s,
            refresh_token=refresh,
        )

    async def login(self, body: Login) -> Document:
        """Return the user; raises Problem 401, the same whichever of address and password is wrong."""
        user = await self.users.by_email(body.tenant, body.email)
        if not await self.passwords.right(body.password, user["password"] if user else None) or user is None:
            self._logins.labels("refused").inc()
            raise Problem(401, "invalid-credentials", "the address and the password do not belong together")
        self._logins.labels("granted").inc()
        return user


def _assemble(parts: server.Parts[Settings]) -> Sequence[APIRouter]:
    settings, metrics = parts.settings, parts.metrics
    keyring = Keyring(settings.jwt_keys_file)
    parts.key_of = keyring
    registrations = metrics.counter("ecochain_user_registrations_total", "Users registered.", "role")
    auth = Auth(
        settings,
        keyring,
        Users(parts.mongo(*INDEXES)),
        Sessions(parts.cache(), settings.session_ttl_s),
        metrics.counter("ecochain_logins_total", "Logins tried.", "result"),
    )
    router = APIRouter(prefix="/auth", tags=["auth"])

    @router.post("/tenants", status_code=201, responses=declared(503))
    async def new_tenant(body: NewTenant, response: Response) -> Grant:
        kept = await auth.passwords.kept(body.password)
        tenant = await auth.users.new_tenant(body.name)
        user = await auth.users.add(tenant, body.email, "admin", kept)
        registrations.labels("admin").inc()
        return await auth.grant(user, response)

    @router.post("/register", status_code=201, responses=declared(404, 409, 503))
    async def register(body: Registration, response: Response) -> Grant:
        if not await auth.users.tenant_exists(body.tenant):
            raise Problem(404, "unknown-tenant", "there is no such tenant")
        user = await auth.users.add(
            body.tenant, body.email, body.role, await auth.passwords.kept(body.password)
        )
        registrations.labels(body.role).inc()
        return await auth.grant(user, response)

    @router.post("/login", responses=declared(401, 503))
    async def login(body: Login, response: Response) -> Grant:
        return await auth.grant(await auth.login(body), response, body.ttl_s)

    @router.post("/refresh", responses=declared(401, 503))
    async def refresh(body: Refresh) -> Grant:
        # The user first: a token must not be used up by a request that then fails for want of the store.
        user = await auth.users.by_id(await auth.sessions.user_of(body.refresh_token))
        if user is None:
            raise unknown()
        return auth.granted(user, await auth.sessions.rotate(body.refresh_token))

    @router.post("/logout", status_code=204, responses=declared(503))
    async def logout(body: Refresh) -> None:
        await auth.sessions.end(body.refresh_token)

    @router.get("/verify")
    async def verify(caller: Caller) -> Checked:
        return Checked(
            user_id=caller.user_id,
            email=caller.email,
            tenant=caller.tenant,
            role=caller.role,
            expires_at=caller.expires_s,
        )

    @router.get("/keys")
    async def keys() -> KeySet:
        return KeySet.model_validate(auth.keyring.published())

    @router.delete("/tenant")
    async def remove_tenant(caller: Admin) -> Removed:
        sessions = await auth.sessions.end_tenant(caller.tenant)
        return Removed(removed={"users": await auth.users.remove_tenant(caller.tenant), "sessions": sessions})

    return [router]


def main(wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app) -> int:
    """Serve until told to stop; return the exit status."""
    return server.serve("auth-service", Settings, _assemble, wrap)
