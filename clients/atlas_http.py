"""Requests to the Administration API of MongoDB Atlas: authorized, paged, repeated where that is safe."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from core.errors import EnvironmentFailedError, RefusedError

# A version of each resource is a date; an answer of another version may lack fields.
_ACCEPT = "application/vnd.atlas.2024-08-05+json"
_PAGE = 500
_ATTEMPTS = 5
_LONGEST_PAUSE_S = 30.0
_BUSY = {429, 500, 502, 503, 504}

Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ApiKey:
    """A programmatic key: HTTP digest. Its text hides it."""

    public_key: str
    private_key: str

    def __repr__(self) -> str:
        return "ApiKey(…)"


@dataclass(frozen=True, kw_only=True)
class ServiceAccount:
    """A service account: OAuth 2 client credentials. Its text hides it."""

    client_id: str
    client_secret: str

    def __repr__(self) -> str:
        return "ServiceAccount(…)"


class AtlasError(EnvironmentFailedError):
    """Atlas refused or failed: the request, the status, its error code and its words."""

    def __init__(self, request: str, status: int, code: str, detail: str) -> None:
        self.status, self.code = status, code
        super().__init__(f"Atlas: {request}: {status} {code}: {detail}")


class AtlasHttp:
    """The API below one path. What is asked is asked again when the service is busy or the connection breaks.

    What would make something is sent again only if the service says that it refused it unread (429), or
    was not reached: after anything else it may have been made, so the caller has to look.
    """

    def __init__(
        self,
        *,
        base_url: str,
        root: str,
        credentials: ApiKey | ServiceAccount,
        timeout_s: float,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._root = root
        auth: httpx.Auth = (
            httpx.DigestAuth(credentials.public_key, credentials.private_key)
            if isinstance(credentials, ApiKey)
            else _ServiceAccountAuth(credentials, base_url)
        )
        self._http = httpx.Client(
            base_url=base_url, auth=auth, timeout=timeout_s, headers={"Accept": _ACCEPT}, trust_env=False
        )
        self._sleep = sleep

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str) -> Object:
        """Return one object. Raises AtlasError."""
        return self.json("GET", path, again=True)

    def found(self, path: str) -> Object | None:
        """Return one object, or None if there is none."""
        try:
            return self.get(path)
        except AtlasError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return None
            raise

    def make(self, path: str, body: Mapping[str, Any]) -> Object:
        """Make something, once; return what is answered."""
        return self.json("POST", path, body=body, again=False)

    def remove(self, path: str) -> bool:
        """Delete; False if there was nothing to delete."""
        try:
            self._request("DELETE", path, again=True)
        except AtlasError as error:
            if error.status == httpx.codes.NOT_FOUND:
                return False
            raise
        return True

    def pages(self, path: str) -> Iterator[Object]:
        """Yield the entries of a listing, page by page."""
        number = 1
        while True:
            joint = "&" if "?" in path else "?"
            page = self.get(f"{path}{joint}pageNum={number}&itemsPerPage={_PAGE}&includeCount=true")
            yield from page["results"]
            if not any(link["rel"] == "next" for link in page.get("links") or ()):
                return
            number += 1

    def json(self, method: str, path: str, *, again: bool, body: Mapping[str, Any] | None = None) -> Object:
        """Send one request; `again` tells that it may be repeated. Raises AtlasError, RefusedError."""
        answer = self._request(method, path, again=again, body=body)
        try:
            return dict(answer.json())
        except ValueError as error:
            request = f"{method} {path}"
            raise AtlasError(request, answer.status_code, "NO_JSON", answer.text[:200]) from error

    def _request(
        self, method: str, path: str, *, again: bool, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        request = f"{method} {path}"
        for attempt in range(1, _ATTEMPTS + 1):
            last = attempt == _ATTEMPTS
            try:
                answer = self._http.request(
                    method,
                    self._root + path,
                    json=body,
                    headers={"Content-Type": _ACCEPT} if body is not None else None,
                )
            except httpx.TransportError as error:
                unsent = isinstance(error, httpx.ConnectError)
                if last or not (again or unsent):
                    may = "" if again or unsent else "; it may have been done: look before it is sent again"
                    raise EnvironmentFailedError(
                        f"Atlas: {request}: {error or type(error).__name__}{may}"
                    ) from error
                self._sleep(_pause_s(attempt, None))
                continue
            refused_unread = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
            if answer.status_code in _BUSY and (again or refused_unread) and not last:
                self._sleep(_pause_s(attempt, answer.headers.get("Retry-After")))
                continue
            if answer.is_success:
                return answer
            raise _error(request, answer)
        raise AssertionError("unreachable")


class _ServiceAccountAuth(httpx.Auth):
    """Gets a bearer token when there is none or it was refused, and gives it to each request."""

    requires_response_body = True

    def __init__(self, account: ServiceAccount, base_url: str) -> None:
        self._account, self._base_url = account, base_url.rstrip("/")
        self._token: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if self._token is None:
            self._token = yield from self._fetch()
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED:  # it lives for an hour
            self._token = yield from self._fetch()
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _fetch(self) -> Generator[httpx.Request, httpx.Response, str]:
        basic = httpx.BasicAuth(self._account.client_id, self._account.client_secret)
        asked = httpx.Request(
            "POST",
            f"{self._base_url}/api/oauth/token",
            data={"grant_type": "client_credentials"},
            headers={"Accept": "application/json"},
        )
        answer = yield next(basic.auth_flow(asked))
        if not answer.is_success:
            raise RefusedError(f"Atlas: the service account was refused ({answer.status_code})")
        return str(answer.json()["access_token"])


def _pause_s(attempt: int, told: str | None) -> float:
    """Return how long to wait: what the service says, else twice as long each time."""
    if told is not None and told.isdigit():
        return min(float(told), _LONGEST_PAUSE_S)
    return float(2 ** (attempt - 1))


def _error(request: str, answer: httpx.Response) -> EnvironmentFailedError | RefusedError:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        return RefusedError(f"Atlas: {request}: the credentials were refused")
    try:
        told = answer.json()
        code, detail = str(told["errorCode"]), str(told["detail"])
    except (ValueError, KeyError, TypeError):
        code, detail = "UNEXPECTED", answer.text[:200]
    return AtlasError(request, answer.status_code, code, detail)
