"""The seam at which defects are put in: around the whole application, as uvicorn runs it."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvicorn

Forward = Callable[[], Awaitable[None]]
Defect = Callable[["Exchange", Forward], Awaitable[None]]
#: what defects remember between requests; emptied when the defect changes
MEMORY: dict[Any, Any] = {}
_DEFECTS: dict[str, Defect] = {}
_last = [""]


class Exchange:
    """One request and its answer, both whole, both changeable."""

    def __init__(self, scope: dict[str, Any], body: bytes) -> None:
        self.scope, self.body = scope, body
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.status = 0
        self.answer_headers: list[tuple[bytes, bytes]] = []
        self.answer_body = b""

    def asks(self, method: str, path: str) -> bool:
        """Whether it is this request; `*` stands for one part of the path."""
        wanted, parts = path.split("/"), self.path.split("/")
        fits = len(wanted) == len(parts) and all(w in ("*", p) for w, p in zip(wanted, parts, strict=True))
        return fits and self.method == method

    def header(self, name: str) -> str | None:
        """Return a header of the request."""
        return next((v.decode() for k, v in self.scope["headers"] if k == name.encode()), None)

    def set_header(self, name: str, value: str | None) -> None:
        """Set a header of the request, or remove it."""
        kept = [(k, v) for k, v in self.scope["headers"] if k != name.encode()]
        self.scope["headers"] = kept + ([] if value is None else [(name.encode(), value.encode())])

    @property
    def sent(self) -> dict[str, Any]:
        """The JSON object of the request; empty where it is none."""
        return _object(self.body)

    def send_instead(self, **members: Any) -> None:
        """Change members of the request's JSON."""
        self.body = json.dumps(self.sent | members).encode()
        self.set_header("content-length", str(len(self.body)))

    @property
    def answer(self) -> dict[str, Any]:
        """The JSON object of the answer; empty where it is none."""
        return _object(self.answer_body)

    def edit(self, **members: Any) -> None:
        """Change members of the answer's JSON."""
        self.answer_with(self.status, self.answer | members)

    def answer_with(self, status: int, content: Any, media_type: str = "application/json") -> None:
        """Answer something else, with the headers there are."""
        self.status = status
        self.answer_body = b"" if content is None else json.dumps(content).encode()
        self.drop("content-type")
        self.answer_headers.append((b"content-type", media_type.encode()))

    def drop(self, header: str) -> None:
        """Leave a header of the answer out."""
        self.answer_headers = [(k, v) for k, v in self.answer_headers if k.lower() != header.encode()]


def _object(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def defect(act: Defect) -> Defect:
    """Enter a defect under the name of its function."""
    _DEFECTS[act.__name__.replace("_", "-")] = act
    return act


def active() -> str:
    """Return the name of the defect that is on now; empty: none."""
    name = os.environ["DEFECT"]
    if name.startswith("@"):
        file = Path(name[1:])
        if file.is_dir():
            file /= os.environ["POD_NAME"]
        name = file.read_text().strip() if file.exists() else ""
    if name != _last[0]:
        MEMORY.clear()
        _last[0] = name
    return name


class _Defective:
    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        act = _DEFECTS.get(active())
        if scope["type"] != "http" or act is None:
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        exchange = Exchange(scope, body)

        async def forward() -> None:
            told = [False]

            async def received() -> Any:
                if told[0]:
                    return await receive()
                told[0] = True
                return {"type": "http.request", "body": exchange.body, "more_body": False}

            async def sent(message: Any) -> None:
                if message["type"] == "http.response.start":
                    exchange.status = message["status"]
                    exchange.answer_headers, exchange.answer_body = list(message["headers"]), b""
                elif message["type"] == "http.response.body":
                    exchange.answer_body += message.get("body", b"")

            await self._app(scope, received, sent)

        await act(exchange, forward)
        exchange.drop("content-length")
        if exchange.status not in (204, 304):
            exchange.answer_headers.append((b"content-length", str(len(exchange.answer_body)).encode()))
        await send(
            {
                "type": "http.response.start",
                "status": exchange.status,
                "headers": exchange.answer_headers,
            }
        )
        await send({"type": "http.response.body", "body": exchange.answer_body})


def install() -> None:
    """Have uvicorn run every application inside the seam, and put the defects of libraries in."""
    import answer_defects  # noqa: F401, PLC0415 - it enters its defects
    import library_defects  # noqa: PLC0415

    library_defects.install()
    load = uvicorn.Config.load

    def loaded(config: uvicorn.Config) -> None:
        load(config)
        config.loaded_app = _Defective(config.loaded_app)

    uvicorn.Config.load = loaded  # type: ignore[method-assign]
