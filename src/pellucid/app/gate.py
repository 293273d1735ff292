"""Filter of requests before gradio, which has more routes than this page needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response

from ..errors import PellucidError
from .attempts import Attempts

if TYPE_CHECKING:
    from .desk import Desk

# Whatever a page's script may ask for, it asks for here; no other page shows this one in a frame.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}

BACK = "/gradio_api/app_id"
FILE = "/gradio_api/file="
HEARTBEAT = "/gradio_api/heartbeat/"
PREDICT = "/gradio_api/run/predict"
SESSION = "/session"
UPLOAD = "/gradio_api/upload"
_READ = ("GET", "HEAD")
_PAGE = r"[0-9a-z]{4,32}"

OPEN: tuple[tuple[tuple[str, ...], str], ...] = (
    (_READ, "/"),
    (_READ, "/theme.css"),
    (_READ, "/favicon.ico"),
    (_READ, r"/assets/[\w./-]+"),
    (_READ, r"/static/[\w./-]+"),
    (("POST",), "/login"),
    (("GET",), "/logout"),
    (("GET",), HEARTBEAT + _PAGE),
    # Asked for by a page whose connection broke, until it can load itself anew.
    (("GET",), BACK),
    (("POST",), PREDICT),
    (("POST",), SESSION),
    (("POST",), UPLOAD),
    # No addresses: the server fetches nothing.
    (_READ, re.escape(FILE) + r"(?!/*(?i:https?:)).+"),
)
"""All allowed requests: methods, and a pattern of the whole path. Everything else is 404."""

_BEFORE_LOGIN = 7
"""The first entries of `OPEN` that need no login."""

PATIENCE = 20.0
"""Seconds to wait for the next piece of a request's body."""

_MOST_SAID = 32_000_000
"""Largest size of a call in bytes: ten times a painted mask of the largest picture."""

_MOST_TYPED = 10_000
"""Largest size of a login in bytes."""

_MOST_FILES = 1000
_MOST_PAGES = 20
"""Most loadings of the page that a visitor may have open."""


def is_open(method: str, path: str) -> bool:
    """True if the page needs a request."""
    return _door(method, path) is not None


def _door(method: str, path: str) -> int | None:
    if ".." in path.split("/") and not path.startswith(FILE):
        return None
    for number, (methods, pattern) in enumerate(OPEN):
        if method in methods and re.fullmatch(pattern, path):
            return number
    return None


def foreign(request: Request) -> bool:
    """True if another site's page makes a request; links to the page itself are not foreign."""
    site = request.headers.get("sec-fetch-site", "same-origin")
    if site not in ("same-origin", "none"):
        linked = request.headers.get("sec-fetch-mode") == "navigate" and request.url.path == "/"
        return not (linked and request.method in _READ)
    origin = request.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()


@dataclass
class Gate:
    """Answers the page's requests, some of them itself; passes the rest on to gradio.

    Attributes:
        app: gradio.
        desk: see `Desk`.
        user: gives the login name of a request; None if the page has no login.
        attempts: counter of wrong passwords.
    """

    app: Any
    desk: Desk
    user: Callable[[Request], str | None] | None = None
    attempts: Attempts = field(default_factory=Attempts)
    _pages: dict[str, int] = field(default_factory=dict)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """See ASGI."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            with contextlib.suppress(ClientDisconnect):
                await self._answer(Request(scope, _patient(receive)), _marked(send))

    async def _answer(self, request: Request, send: Any) -> None:
        path, door = request.url.path, _door(request.method, request.url.path)
        visitor, new = self._visitor(request)
        headers = {"set-cookie": new} if new and path == "/" else {}
        answer: Response | None = None
        if foreign(request):
            answer = _no(403, "another site asks for this")
        elif door is None or (request.query_params.keys() & {"deep_link"}) or (path == "/login" and self.user is None):
            answer = _no(404, "there is nothing here")
        elif self.user is not None and door >= _BEFORE_LOGIN and self.user(request) is None:
            answer = _no(401, "log in first")
        elif door >= _BEFORE_LOGIN and new:
            answer = _no(403, "load the page first")
        else:
            own = {SESSION: self._session, UPLOAD: self._upload, PREDICT: self._predict, "/login": self._login}
            try:
                if path in own:
                    answer = await own[path](request, visitor, send)
                elif path.startswith(FILE):
                    answer = self._file(path.removeprefix(FILE), visitor)
                elif path.startswith(HEARTBEAT):
                    answer = await self._heartbeat(request, f"{visitor} {path.removeprefix(HEARTBEAT)}", send)
                else:
                    await self.app(request.scope, request.receive, _with(send, headers))
            except (TimeoutError, asyncio.TimeoutError):
                answer = _no(408, "this takes too long")
                answer.headers["connection"] = "close"
            except HTTPException as error:
                answer = _no(error.status_code, error.detail)
            except MultiPartException as error:
                answer = _no(400, error.message)
        if answer is not None:
            await answer(request.scope, request.receive, send)

    def _visitor(self, request: Request) -> tuple[str, str | None]:
        """Identifies the visitor, with the cookie to set for a new one."""
        # Cookies do not tell ports apart.
        name = f"pellucid-{(request.scope.get('server') or ('', 0))[1]}"
        try:
            visitor = self.desk.sessions.checked(request.cookies.get(name, ""))
            if len(visitor.split("-")) == 2:
                request.scope["visitor"] = visitor
                return visitor, None
        except PellucidError:
            pass
        visitor = self.desk.sessions.visitor()
        return visitor, f"{name}={visitor}; Path=/; HttpOnly; SameSite=Lax"

    # --- what is answered here ---

    async def _session(self, request: Request, visitor: str, send: Any) -> Response:
        """Gives the tab's token back, or a new one if its token is invalid."""
        del send
        said = (await _body(request, 1000)).decode("latin-1")
        sessions = self.desk.sessions
        try:
            if sessions.visitor_of(said) == visitor:
                return PlainTextResponse(said)
        except PellucidError:
            pass
        return PlainTextResponse(sessions.token(visitor))

    def _file(self, name: str, visitor: str) -> Response:
        """Gives a file of the visitor's own sessions."""
        try:
            path = Path(name).resolve()
            found = self.desk.sessions.owns(visitor, path)
        except (OSError, ValueError, RuntimeError):
            found = False
        if not found:
            return _no(403, "there is no such file of yours")
        shown = path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".gif", ".avif")
        return FileResponse(
            path,
            filename=path.name,
            content_disposition_type="inline" if shown else "attachment",
            headers={"cache-control": "private, no-store"},
        )

    async def _upload(self, request: Request, visitor: str, send: Any) -> Response:
        """Keeps files for the visitor and returns a handle of each."""
        del send
        size = _length(request)
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            return _no(400, "these are no files")
        limits = self.desk.limits
        try:
            with self.desk.uploads.room(visitor, size):
                async with request.form(max_files=_MOST_FILES, max_fields=10) as form:
                    files = [file for file in form.getlist("files") if isinstance(file, UploadFile)]
                    if any((file.size or 0) > limits.bytes for file in files):
                        return _no(413, f"a file is larger than the {limits.bytes / 1e6:g} MB allowed here")
                    put = self.desk.uploads.put
                    handles = [
                        await asyncio.to_thread(put, visitor, file.filename or "picture", file.file) for file in files
                    ]
        except PellucidError as error:
            return _no(413, str(error))
        return JSONResponse(handles)

    # --- what gradio answers ---

    async def _predict(self, request: Request, visitor: str, send: Any) -> Response | None:
        """Passes a call on if a page of this server makes it."""
        body = await _body(request, _MOST_SAID)
        try:
            said = json.loads(body)
            fits = (
                isinstance(said, dict)
                and said.keys() <= {"data", "event_data", "fn_index", "trigger_id", "session_hash"}
                and isinstance(said["data"], list)
                and type(said["fn_index"]) is int
                and re.fullmatch(_PAGE, said["session_hash"])
            )
            # What was uploaded goes by its handle: no file's name comes from a browser.
            named = fits and _names_files([said["data"], said.get("event_data")])
        except (ValueError, KeyError, TypeError, RecursionError):
            fits = named = None
        if not fits:
            return _no(400, "the page does not ask like this")
        if named:
            return _no(403, "files are named by this server alone")
        request.scope["page"] = f"{visitor} {said['session_hash']}"
        await self.app(request.scope, _repeated(body, request.receive), send)
        return None

    async def _heartbeat(self, request: Request, page: str, send: Any) -> Response | None:
        """Keeps a page's connection and notes its end."""
        visitor = page.partition(" ")[0]
        if self._pages.get(visitor, 0) >= _MOST_PAGES:
            return _no(429, "too many pages are open")
        self._pages[visitor] = self._pages.get(visitor, 0) + 1
        self.desk.sessions.opened(page)
        try:
            await self.app(request.scope, request.receive, send)
        finally:
            self.desk.sessions.left(page)
            self._pages[visitor] -= 1
            if not self._pages[visitor]:
                del self._pages[visitor]
        return None

    async def _login(self, request: Request, visitor: str, send: Any) -> Response | None:
        """Passes a password on, at a limited rate."""
        del visitor
        address = request.client.host if request.client else ""
        body = await _body(request, _MOST_TYPED)
        wait = self.attempts.begin(address)
        if wait > 0:
            answer = _no(429, "too many wrong passwords: wait")
            answer.headers["retry-after"] = str(int(wait) + 1)
            return answer

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                self.attempts.right(address)
            await send(message)

        await self.app(request.scope, _repeated(body, request.receive), watched)
        return None


def _no(status: int, why: str) -> Response:
    return PlainTextResponse(why + "\n", status)


def _names_files(said: Any) -> bool:
    """True if a call holds a record that gradio would take for a file."""
    if isinstance(said, dict):
        return bool(said.keys() & {"path", "meta", "_type"}) or any(map(_names_files, said.values()))
    return isinstance(said, list) and any(map(_names_files, said))


def _length(request: Request) -> int:
    """Length of a request's body by its header; the server enforces it."""
    said = request.headers.get("content-length", "")
    if not said.isdecimal() or "transfer-encoding" in request.headers:
        raise HTTPException(411, "say how long it is")
    return int(said)


async def _body(request: Request, most: int) -> bytes:
    if _length(request) > most:
        raise HTTPException(413, "this is too long")
    return await request.body()


def _patient(receive: Any) -> Any:
    """Gives up on a body whose next piece takes too long; the end of a connection may take any time."""
    more = True

    async def received() -> Any:
        nonlocal more
        if not more:
            return await receive()
        message = await asyncio.wait_for(receive(), PATIENCE)
        more = message.get("more_body", False)
        return message

    return received


def _repeated(body: bytes, receive: Any) -> Any:
    """Replays a body that was read already."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Any:
        return waiting.pop() if waiting else await receive()

    return received


def _marked(send: Any) -> Any:
    """Adds the headers of every answer."""

    async def marked(message: Any) -> None:
        if message["type"] == "http.response.start":
            kept = [(key, value) for key, value in message["headers"] if key.lower() not in _HEADERS]
            message = {**message, "headers": [*kept, *_HEADERS.items()]}
        await send(message)

    return marked


def _with(send: Any, headers: dict[str, str]) -> Any:
    async def added(message: Any) -> None:
        if message["type"] == "http.response.start":
            more = [(key.encode(), value.encode()) for key, value in headers.items()]
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return added
