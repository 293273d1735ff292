"""Serving the page: to this machine alone unless there is a password, and to nobody a word about it."""

from __future__ import annotations

import hmac
import ipaddress
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import PellucidError, UsageError
from .limits import Limits

if TYPE_CHECKING:
    from fastapi import FastAPI

    from .desk import Desk

# Whatever a page's script may ask for, it asks for here.
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'"
)
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Serving:
    """How the page is served.

    Attributes:
        host: address to listen on.
        port: to listen on; 0 for a free one.
        password: what people must type; needed where other machines can reach the host.
        device: where to compute; None for a GPU where there is one.
        priors: those that the page offers, the usual one first.
        limits: what may be uploaded.
        offline: whether models of the hub are taken from the cache alone.
        backend: what computes the priors' networks; see `load_prior`.
        precision: what they compute in; see `load_prior`.

    Raises:
        UsageError: other machines can reach the host, and there is no password.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    password: str | None = None
    device: str | None = None
    priors: Sequence[str] = ("natural",)
    limits: Limits = field(default_factory=Limits)
    offline: bool = False
    backend: str = "torch"
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not self.local and not self.password:
            raise UsageError(
                f"--host {self.host}: other machines can reach it: give a --password, or PELLUCID_APP_PASSWORD"
            )

    @property
    def local(self) -> bool:
        """Whether this machine alone can reach the page."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def check_installed() -> None:
    """Refuses where gradio is missing.

    Raises:
        PellucidError: it is.
    """
    if find_spec("gradio") is None:
        raise PellucidError('the web page needs gradio: pip install "pellucid[app]"')


def serve(serving: Serving, tell: Callable[[str], object] = print) -> None:
    """Serves the page until it is interrupted; then jobs are stopped and all temporary files removed.

    Args:
        serving: how.
        tell: called with the page's address as soon as it can be opened.

    Raises:
        PellucidError: gradio is missing, a prior cannot be loaded, or the address cannot be listened on.
    """
    check_installed()
    with _listening(serving) as listener, desk_of(serving) as desk:
        import uvicorn

        app = application(desk, serving)
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=2))
        host, port = listener.getsockname()[:2]
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server.run(sockets=[listener])


@contextmanager
def desk_of(serving: Serving) -> Iterator[Desk]:
    """Everything behind the page, with the usual prior loaded; at the end nothing of it is left on the disk."""
    from .desk import Desk
    from .queue import Queue
    from .sessions import Sessions
    from .work import Restorers

    restorers = Restorers(serving.device, serving.offline, serving.backend, serving.precision)
    for prior in serving.priors:
        restorers.load(prior)
    with tempfile.TemporaryDirectory(prefix="pellucid-uploads-", ignore_cleanup_errors=True) as uploads:
        os.environ["GRADIO_TEMP_DIR"] = uploads
        queue = Queue()
        sessions = Sessions(queue)
        over = threading.Event()
        sweeper = threading.Thread(target=_sweep, args=(sessions, over), name="pellucid-sweep", daemon=True)
        sweeper.start()
        try:
            yield Desk(queue, sessions, restorers, Path(uploads), serving.limits, tuple(serving.priors))
        finally:
            over.set()
            sweeper.join()
            queue.close()
            sessions.close()


def application(desk: Desk, serving: Serving) -> FastAPI:
    """The page as an ASGI application, for a server of one's own."""
    # Before gradio is imported: it asks its makers' server for news otherwise.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from .page import Page, script, style, theme

    blocks = Page(desk).blocks
    blocks.queue(default_concurrency_limit=None, api_open=False)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_Guard)
    if serving.local:
        # Another site's name that leads to this machine does not lead to the page.
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(_LOCAL))
    password = serving.password
    gr.mount_gradio_app(
        app,
        blocks,
        path="",
        server_name=serving.host,
        server_port=serving.port,
        footer_links=[],
        auth=None if password is None else _asks(password),
        auth_message="Any name, and the password.",
        allowed_paths=[str(desk.sessions.folder)],
        max_file_size=serving.limits.bytes,
        show_error=False,
        ssr_mode=False,
        theme=theme(),
        css=style(),
        head=script(),
    )
    return app


def _asks(password: str) -> Callable[[str, str], bool]:
    return lambda _, typed: hmac.compare_digest(typed.encode(), password.encode())


class _Guard:
    """Keeps the page's scripts to this server, and this server from fetching what an address names."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"].lower()
        if "=http:" in path or "=https:" in path or "/file/http" in path:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b"there is nothing to be fetched here\n"})
            return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(b"content-security-policy", _POLICY.encode()), (b"referrer-policy", b"no-referrer"),
                         (b"x-content-type-options", b"nosniff")]  # fmt: skip
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, guarded)


@contextmanager
def _listening(serving: Serving) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in serving.host else socket.AF_INET
    try:
        listener = socket.create_server((serving.host, serving.port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise PellucidError(
            f"cannot listen on {serving.host}:{serving.port} ({reason}): name another --port, or 0 for a free one"
        ) from None
    with listener:
        yield listener


def _sweep(sessions: Any, over: threading.Event) -> None:
    while not over.wait(1):
        sessions.sweep()
