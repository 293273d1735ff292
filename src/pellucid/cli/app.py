"""`pellucid app`."""

from __future__ import annotations

import math
import sys
from typing import Annotated

import typer

from ..errors import UsageError
from .options import Backend, Device, Offline, Precision
from .output import tell


def app(
    host: Annotated[str, typer.Option("--host", help="Address to listen on; another needs a password.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on; 0 for a free one.")] = 7860,
    password: Annotated[
        str | None,
        typer.Option("--password", envvar="PELLUCID_APP_PASSWORD", help="Password of the page."),
    ] = None,
    priors: Annotated[
        list[str] | None, typer.Option("--prior", "-p", help="A prior that the page offers (default: natural).")
    ] = None,
    offline: Offline = False,
    device: Device = None,
    backend: Backend = "auto",
    precision: Precision = "auto",
    max_megabytes: Annotated[float, typer.Option("--max-megabytes", help="Largest size of an uploaded file.")] = 200,
    max_megapixels: Annotated[
        float, typer.Option("--max-megapixels", help="Largest size of an uploaded picture.")
    ] = 50,
    show: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Open it in the browser (default: from a terminal).")
    ] = None,
) -> None:
    """Opens a page for restoring pictures in the browser, on this machine alone."""
    from ..app.limits import Limits
    from ..app.server import Serving, serve

    limits = Limits(
        bytes=_millions("--max-megabytes", max_megabytes), pixels=_millions("--max-megapixels", max_megapixels)
    )
    serving = Serving(host, port, password, device, tuple(priors or ("natural",)), limits, offline, backend, precision)

    def ready(address: str) -> None:
        tell(f"the page is at {address} (Ctrl-C ends it)")
        if sys.stderr.isatty() if show is None else show:
            import webbrowser

            webbrowser.open(address)

    serve(serving, ready)


def _millions(option: str, number: float) -> int:
    if not 0 < number < math.inf:
        raise UsageError(f"{option} is a number above 0, not {number:g}")
    return int(number * 1e6)
