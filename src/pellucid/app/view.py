"""Presentation of a session: data for the viewer, and words for people."""

from __future__ import annotations

import html
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .preview import live
from .queue import Job, Queue
from .session import Session, Version


def picture_view(session: Session) -> dict[str, Any]:
    """The viewer's data: which pictures there are, and what is to be shown of the current one."""
    if not session.pictures:
        return {"pictures": [], "current": 0, "cells": [], "note": "", "key": "", "painting": False}
    upload = session.pictures[session.current]
    found = session.result(upload.name)
    before, cells, note, part = upload.shown, [], "", False
    if found is not None:
        done, outcome = found
        part = done.part
        before = outcome.before or before
        cells = [_cell(version) for version in outcome.versions]
        if outcome.spread is not None:
            cells.append(_cell(outcome.spread))
        if len(outcome.versions) == 1:
            note = outcome.versions[0].note
        if part:
            note = f"A part of the picture, to try it out. {note}"
    job, preview = session.job, None
    if job is not None and not job.over and job.x0 is not None and session.in_work == upload.name:
        preview = live(job.x0)
    height, width = upload.size
    painted = session.mask if session.masked == upload.name else None
    return {
        "pictures": [{"name": picture.name, "thumb": picture.thumb} for picture in session.pictures],
        "current": session.current,
        "id": upload.path.parent.name,
        "mask": None if painted is None else _url(painted),
        "key": f"{upload.path.parent.name}/{before.parent.name}",
        "name": upload.name,
        "width": width,
        "height": height,
        "part": part,
        "before": _url(before),
        "cells": cells,
        "preview": preview,
        "note": note,
        "painting": session.painting and found is None and not session.busy,
        "busy": session.busy,
    }


def status(session: Session, queue: Queue) -> str:
    """The line under the picture as HTML: progress, position, what was done, what went wrong."""
    job = session.job
    parts = []
    if job is not None and not job.over:
        parts.append(_progress(job, queue.position(job)))
    else:
        parts.append(f'<p role="status">{html.escape(_done(session, job))}</p>')
    errors = [*session.messages, *_errors(session)]
    if errors:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in errors)
        parts.append(f'<div class="pellucid-errors" role="alert"><ul>{lines}</ul></div>')
    return "".join(parts)


def downloads(session: Session) -> str:
    """The link to what was restored last, as HTML: the one file, or a zip of all; nothing while there is nothing."""
    done = session.newest
    if session.busy or done is None or done.part:
        return ""
    files = [version.path for outcome in list(done.outcomes.values()) for version in outcome.versions]
    files += [outcome.spread.path for outcome in list(done.outcomes.values()) if outcome.spread is not None]
    if not files:
        return ""
    if len(files) == 1:
        return link(files[0], f"Download {files[0].name}")
    target = files[0].parent / "restored.zip"
    if not target.exists():
        # Stored: image files do not become smaller.
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                archive.write(file, file.name)
    return link(target, f"Download all {len(files)} as a zip")


def link(path: Path, words: str) -> str:
    """A link that saves a file under its own name."""
    name, words = html.escape(path.name), html.escape(words)
    return f'<a class="pellucid-download" href="{_url(path)}" download="{name}">{words}</a>'


def call(title: str, text: str) -> str:
    """A text to be copied, as HTML."""
    return (
        f'<section class="pellucid-call" aria-label="{title}"><h2>{title}</h2>'
        f'<button type="button" data-copy>Copy<span class="sr-only"> {title}</span></button>'
        f'<pre tabindex="0">{html.escape(text)}</pre></section>'
    )


def _cell(version: Version) -> dict[str, str]:
    return {"label": version.label, "url": _url(version.shown), "file": _url(version.path), "note": version.note,
            "name": version.path.name}  # fmt: skip


def _url(path: Path) -> str:
    return f"gradio_api/file={quote(path.as_posix())}"


def _progress(job: Job, position: int) -> str:
    if job.state == "waiting":
        others = "1 job comes" if position == 1 else f"{position} jobs come"
        return f'<p role="status">In the queue: {others} before yours.</p>'
    share = job.done / job.total if job.total else 0
    left = job.seconds_left
    words = "stopping" if job.stopping else job.doing
    more = "" if left is None or job.stopping else f" · up to {duration(left)} left"
    return (
        f'<label class="pellucid-progress"><span>{html.escape(words)} · {share:.0%}{more}</span>'
        f'<progress max="1" value="{share:.3f}">{share:.0%}</progress></label>'
    )


def duration(seconds: float) -> str:
    """A time as people say it: 8 s, 3 min, 2 h 10 min."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _done(session: Session, job: Job | None) -> str:
    if not session.pictures:
        return ""
    if job is not None and job.state == "stopped":
        return "Stopped. What was finished is kept."
    if job is not None and job.state == "failed":
        return ""
    done = session.newest
    if done is None:
        number = len(session.pictures)
        return f"{'1 picture' if number == 1 else f'{number} pictures'} ready."
    finished = sum(bool(outcome.versions) for outcome in list(done.outcomes.values()))
    if done.part:
        return "This is what would come of this part. Press Restore for the whole picture."
    return f"{finished} of {len(done.outcomes)} restored in {duration(done.seconds or 0)}."


def _errors(session: Session) -> list[str]:
    failed = session.job.error if session.job is not None else None
    done = session.newest
    lines = [] if done is None else [line for outcome in list(done.outcomes.values()) for line in outcome.errors]
    return [*lines, *([failed] if failed else [])]
