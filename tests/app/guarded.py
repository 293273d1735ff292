"""Runs `pellucid` and notes in a file every address beyond this machine that it tries to reach; of a page its routes.

python tests/app/guarded.py NOTES app --port 0
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

_HERE = ("127.0.0.1", "::1", "localhost", "0.0.0.0", "::", "", None)


def _guard(notes: Path) -> None:
    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            return
        address = arguments[0] if event == "socket.getaddrinfo" else arguments[1]
        host = address[0] if isinstance(address, tuple) else address
        name = host.decode() if isinstance(host, bytes) else host
        if name not in _HERE and not (isinstance(name, str) and name.startswith(("/", "\0"))):
            with notes.open("a") as file:
                file.write(f"{event} {address}\n")
            raise OSError(f"nothing beyond this machine is to be reached: {address}")

    sys.addaudithook(note)


def _note_routes(file: Path) -> None:
    """Writes down the routes of the page that is going to be served, so that no other has to be started for them."""
    from routes import lines_of  # type: ignore[import-not-found]  # this is a script, beside it

    from pellucid.app import server

    made = server.application

    def application(desk: Any, serving: server.Serving) -> Any:
        app = made(desk, serving)
        # One that other machines reach lacks the layer that `lines_of` takes off, and has the same routes.
        if serving.local:
            file.write_text("\n".join([*lines_of(app), ""]))
        return app

    vars(server)["application"] = application


def _hold() -> None:
    """Works on a picture whose name begins with "held" until somebody stops it, however fast the machine is."""
    from pellucid.app.queue import Job

    see = Job.see

    def held(job: Job, state: Any) -> None:
        see(job, state)
        if "held" in job.doing:
            job._stop.wait()

    vars_of: Any = Job
    vars_of.see = held


def _wait(reloading: Path) -> None:
    """Takes nobody for gone while a file is there, however long a page takes to load anew."""
    from pellucid.app.sessions import Sessions

    sweep = Sessions.sweep

    def swept(sessions: Sessions, now: float | None = None) -> None:
        if not reloading.exists():
            sweep(sessions, now)

    vars_of: Any = Sessions
    vars_of.sweep = swept


if __name__ == "__main__":
    _guard(Path(sys.argv[1]))
    _note_routes(Path(sys.argv[1]).with_name("routes.txt"))
    _hold()
    _wait(Path(sys.argv[1]).with_name("reloading"))
    sys.argv = ["pellucid", *sys.argv[2:]]
    from pellucid.cli import main

    main()
