"""Server of the page: for this machine alone unless there is a password; it tells strangers nothing."""

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

from .. import apart
from ..errors import PellucidError, UsageError
from .limits import Limits

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import ASGIApp

    from .desk import Desk
    from .sessions import Sessions
    from .uploads import Uploads

_LOCAL = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Serving:
    """Options of serving the page.

    Attributes:
        host: address to listen on.
        port: to listen on; 0 for a free one.
        password: password of the login; required if other machines can reach the host.
        device: device to compute on; None for a GPU if there is one.
        priors: the page's priors, the default first.
        limits: limits of uploads.
        offline: whether the hub's models come from the cache alone.
        backend: backend of the priors; see `load_prior`.
        precision: precision of the priors; see `load_prior`.

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
    backend: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not self.local and not self.password:
            raise UsageError(
                f"--host {self.host}: other machines can reach it: give a --password, or PELLUCID_APP_PASSWORD"
            )

    @property
    def local(self) -> bool:
        """True if this machine alone can reach the page."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def check_installed() -> None:
    """Raises an error if gradio is missing.

    Raises:
        PellucidError: gradio is missing.
    """
    if find_spec("gradio") is None:
        raise PellucidError('the web page needs gradio: pip install "pellucid[app]"')


def serve(serving: Serving, tell: Callable[[str], object] = print) -> None:
    """Serves the page until it is interrupted; then stops jobs and removes all temporary files.

    Args:
        serving: the options.
        tell: called with the page's address as soon as it can be opened.

    Raises:
        PellucidError: gradio is missing, a prior cannot be loaded, or the address cannot be listened on.
    """
    check_installed()
    with _listening(serving) as listener, desk_of(serving) as desk:
        import uvicorn

        from .protocol import Prompt

        app = application(desk, serving)
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=2, http=Prompt, ws="none", limit_concurrency=500
        )
        server = uvicorn.Server(config)
        host, port = listener.getsockname()[:2]
        tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        server.run(sockets=[listener])


@contextmanager
def desk_of(serving: Serving) -> Iterator[Desk]:
    """Makes the page's services with the default prior loaded; at the end removes all files."""
    from .desk import Desk
    from .queue import Queue
    from .sessions import Sessions
    from .uploads import Uploads
    from .work import Restorers

    temporary = tempfile.TemporaryDirectory(prefix="pellucid-uploads-", ignore_cleanup_errors=True)
    with temporary as folder, apart.inside(serving.limits.reading):
        apart.warm()
        restorers = Restorers(serving.device, serving.offline, serving.backend, serving.precision)
        for prior in serving.priors:
            restorers.load(prior)
        # What gradio itself may keep: nothing is uploaded to it.
        os.environ["GRADIO_TEMP_DIR"] = str(Path(folder) / "gradio")
        queue = Queue()
        sessions = Sessions(queue)
        uploads = Uploads(Path(folder), serving.limits, sessions.bytes)
        over = threading.Event()
        sweeper = threading.Thread(target=_sweep, args=(sessions, uploads, over), name="pellucid-sweep", daemon=True)
        sweeper.start()
        try:
            yield Desk(queue, sessions, restorers, uploads, serving.limits, tuple(serving.priors))
        finally:
            over.set()
            sweeper.join()
            queue.close()
            sessions.close()


def application(desk: Desk, serving: Serving) -> ASGIApp:
    """Makes the page as an ASGI application, for any server."""
    # Before gradio is imported: it asks its makers' server for news otherwise.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from .gate import Gate
    from .page import Page, script, style, theme

    blocks = Page(desk).blocks
    blocks.queue(default_concurrency_limit=None, api_open=False)
    # Mounted ones never say so, and gradio looks at no path before.
    blocks.has_launched = True
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
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
        max_file_size=serving.limits.bytes,
        show_error=False,
        ssr_mode=False,
        run_history=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        theme=theme(),
        css=style(),
        head=script(serving.limits.bytes),
    )
    gate = Gate(app, desk, None if password is None else _user(app.routes[-1].app))  # type: ignore[attr-defined]
    # Another site's name that leads to this machine does not lead to the page.
    return TrustedHostMiddleware(gate, allowed_hosts=list(_LOCAL)) if serving.local else gate


def _user(mounted: Any) -> Callable[[Request], str | None]:
    """Name of the logged-in user, by gradio's cookies."""

    def user(request: Request) -> str | None:
        names = (f"access-token-{mounted.cookie_id}", f"access-token-unsecure-{mounted.cookie_id}")
        found = [mounted.tokens.get(request.cookies[name]) for name in names if name in request.cookies]
        return next((name for name in found if name is not None), None)

    return user


def _asks(password: str) -> Callable[[str, str], bool]:
    return lambda _, typed: hmac.compare_digest(typed.encode(), password.encode())


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


def _sweep(sessions: Sessions, uploads: Uploads, over: threading.Event) -> None:
    while not over.wait(1):
        sessions.sweep()
        uploads.sweep()
