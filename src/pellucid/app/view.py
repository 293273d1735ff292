"""Presentation of a session: data for the viewer, and words for people."""

from __future__ import annotations

import html
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from ..images.atomic import replacing
from ..release import version
from .look import ACTIONS, Verdict
from .preview import live
from .queue import Job, Queue
from .session import Outcome, Round, Session, Upload, Version
from .words import plain

if TYPE_CHECKING:
    from .desk import Desk


PAINT = "Paint over what is to go, then press Fill in."


def picture_view(session: Session, desk: Desk | None = None) -> dict[str, Any]:
    """Data of the viewer: all pictures, and the versions of the current one.

    Args:
        session: whose.
        desk: gives the times of actions; None to leave them out.
    """
    if not session.pictures:
        return {"pictures": [], "current": 0, "cells": [], "note": "", "key": "", "painting": False}
    upload = session.pictures[session.current]
    found = session.result(upload.name)
    before, cells, note, part = upload.shown, [], "", False
    if found is not None:
        done, outcome = found
        part = done.part
        before = outcome.before or before
        cells = [_cell(one) for one in outcome.versions]
        if outcome.spread is not None:
            cells.append(_cell(outcome.spread))
        if len(outcome.versions) == 1:
            note = outcome.versions[0].note
        if part:
            note = f"A part of the picture, to try it out. {note}"
    job, preview = session.job, None
    # Read once: the job that sets it runs beside whoever asks.
    x0 = None if job is None else job.x0
    if x0 is not None and session.busy and session.in_work == upload.name:
        preview = live(x0)
    painting = upload.painting and not session.busy
    if painting:
        note = upload.hint or PAINT
    height, width = upload.size
    return {
        "pictures": [_row(session, picture) for picture in session.pictures],
        "current": session.current,
        "id": upload.id,
        "mask": None if upload.mask is None else _url(upload.mask),
        "diagnosis": _diagnosis(session, upload, desk),
        "key": f"{upload.id}/{before.parent.name}",
        "name": upload.name,
        "width": width,
        "height": height,
        "part": part,
        "before": _url(before),
        "cells": cells,
        "preview": preview,
        "note": note,
        "painting": painting,
        "proposals": upload.proposals,
        "busy": session.busy,
    }


def status(session: Session, queue: Queue) -> str:
    """The line under the picture as HTML: progress, position, results, errors."""
    job = session.job
    parts = []
    if job is not None and not job.over:
        parts.append(_progress(session, job, queue.position(job)))
    else:
        parts.append(f'<p role="status">{html.escape(_done(session))}</p>')
    failed = _errors(session)
    errors = [*session.messages, *failed]
    if errors:
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in errors)
        parts.append(f'<div class="pellucid-errors" role="alert"><ul>{lines}</ul></div>')
    if failed:
        details = call("What went wrong", _details(session, failed))
        parts.append(f"<details class='pellucid-details'><summary>Details to pass on</summary>{details}</details>")
    return "".join(parts)


def downloads(session: Session) -> str:
    """Link to the last results, as HTML: the one file, or a zip of all; empty before the first."""
    done = session.newest
    if session.busy or done is None or done.part:
        return ""
    files = [one.path for outcome in list(done.outcomes.values()) for one in outcome.versions]
    files += [outcome.spread.path for outcome in list(done.outcomes.values()) if outcome.spread is not None]
    if not files:
        return ""
    lost = _lost(done)
    if len(files) == 1:
        return link(files[0], f"Download {files[0].name}") + lost
    target = files[0].parent / "restored.zip"
    if _packed(target) != [file.name for file in files]:
        # Whole at once: two tabs may ask at a time.
        with replacing(target) as packed, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            # Stored: image files do not become smaller.
            for file in files:
                archive.write(file, file.name)
    return link(target, f"Download all {len(files)} as a zip") + lost


def _packed(target: Path) -> list[str]:
    """Names of the files in a zip; pictures may have been removed from the page since it was made."""
    if not target.exists():
        return []
    with zipfile.ZipFile(target) as archive:
        return archive.namelist()


def _lost(done: Round) -> str:
    """HTML of everything that the downloaded files lack: pictures, and data that their format has no place for."""
    made = [(name, one) for name, outcome in list(done.outcomes.items()) for one in outcome.versions]
    lines = [f"{name}: {one.lost}" for name, one in made if one.lost]
    lines += [f"{name}: is not in it, {why}" for name, why in _missing(done)]
    return "".join(f'<p class="pellucid-lost">{html.escape(line)}</p>' for line in dict.fromkeys(lines))


def _missing(done: Round) -> list[tuple[str, str]]:
    if len(done.names) == 1:
        return []
    got = {name: done.outcomes.get(name, Outcome()) for name in done.names}
    return [(name, _why(one)) for name, one in got.items() if not one.versions]


def _why(outcome: Outcome) -> str:
    return outcome.left or ("it failed" if outcome.errors else "it was not done")


def restoring(session: Session) -> str:
    """The words on the button that is for all pictures."""
    number = len(session.pictures)
    return "Restore" if number < 2 else f"Restore all {number}"


def link(path: Path, words: str) -> str:
    """Link that saves a file under its name."""
    name, words = html.escape(path.name), html.escape(words)
    return f'<a class="pellucid-download" href="{_url(path)}" download="{name}">{words}</a>'


def call(title: str, text: str) -> str:
    """Text to copy, as HTML."""
    return (
        f'<section class="pellucid-call" aria-label="{title}"><h2>{title}</h2>'
        f'<button type="button" data-copy>Copy<span class="sr-only"> {title}</span></button>'
        f'<pre tabindex="0">{html.escape(text)}</pre></section>'
    )


def _cell(one: Version) -> dict[str, str]:
    time = "" if one.seconds is None else duration(one.seconds)
    return {"label": one.label, "url": _url(one.shown), "file": _url(one.path), "note": one.note,
            "name": one.path.name, "time": time}  # fmt: skip


State = Literal["looking", "ready", "waiting", "running", "done", "left", "failed", "stopped"]


def state(session: Session, picture: Upload) -> tuple[State, str]:
    """State of a picture after the last round that included it, with a few words."""
    asked = session.asked(picture.name)
    if asked is None:
        if not picture.looked:
            return "looking", "is looked at"
        return "ready", "" if picture.verdict is None else _found(picture.verdict)
    outcome, job = asked.outcomes.get(picture.name), asked.job
    if outcome is not None and outcome.left:
        return "left", outcome.left
    if outcome is not None and outcome.errors:
        return "failed", outcome.errors[0].removeprefix(f"{picture.name}: ")
    if job is not None and not job.over:
        if job is session.job and job.state == "running" and session.in_work == picture.name:
            return "running", job.doing
        if outcome is None or not outcome.any:
            return "waiting", ""
    if outcome is not None and outcome.versions:
        seconds = sum(one.seconds or 0 for one in outcome.versions)
        return "done", f"{'a part tried' if asked.part else ''} in {duration(seconds)}".strip()
    if job is not None and job.state == "failed":
        return "failed", plain(job.error, session.folder)
    return "stopped", "not done"


def _row(session: Session, picture: Upload) -> dict[str, Any]:
    """Row of a picture in the table."""
    now, words = state(session, picture)
    share = None
    if now == "running" and session.job is not None:
        before, own = session.job.part
        share = min(max((session.job.done - before) / own, 0.0), 1.0) if own else 0.0
    return {"id": picture.id, "name": picture.name, "thumb": picture.thumb, "state": now, "said": _STATES[now],
            "words": words, "share": share}  # fmt: skip


_STATES: dict[State, str] = {
    "looking": "new",
    "ready": "ready",
    "waiting": "waiting",
    "running": "running",
    "done": "done",
    "left": "left alone",
    "failed": "failed",
    "stopped": "stopped",
}


def _found(verdict: Verdict) -> str:
    words = "; ".join(verdict.words) or "nothing found to repair"
    return words if verdict.pages == 1 else f"on the first of {verdict.pages} pages: {words}"


def _diagnosis(session: Session, picture: Upload, desk: Desk | None) -> dict[str, Any]:
    """The damage of a picture and the possible actions, the recommended first."""
    verdict = picture.verdict
    words = "Looking at the picture ..." if not picture.looked else "" if verdict is None else _found(verdict)
    advised = () if verdict is None else verdict.advised
    keys = [*(key for key in advised if key in ACTIONS), *(key for key in ACTIONS if key not in advised)]
    if verdict is not None and not verdict.grey:
        keys.remove("colour")
    # What is neither dark nor faded has its light.
    if "freshen" not in advised:
        keys.remove("freshen")
    shown = []
    for key in keys:
        seconds = None if desk is None or not picture.looked else desk.expected(picture, key)
        most = "" if key == "clean" and verdict is not None and verdict.whole else "up to "
        shown.append({
            "key": key, "label": ACTIONS[key].label, "advised": key in advised[:1],
            "time": "" if seconds is None else f"{most}{duration(seconds)}",
        })  # fmt: skip
    return {"words": words[:1].upper() + words[1:], "looking": not picture.looked, "actions": shown}


def _url(path: Path) -> str:
    return f"gradio_api/file={quote(path.as_posix())}"


def _progress(session: Session, job: Job, position: int) -> str:
    if job.state == "waiting":
        if not position:
            return '<p role="status">It begins at once.</p>'
        others = "1 job comes" if position == 1 else f"{position} jobs come"
        return f'<p role="status">In the queue: {others} before yours.</p>'
    share = min(job.done / job.total, 1.0) if job.total else 0
    left = job.seconds_left
    words = "stopping" if job.stopping else job.doing
    # Where all pictures were looked at, the number of evaluations is known.
    most = "" if _known(session) else "up to "
    more = "" if left is None or job.stopping else f" · {most}{duration(left)} left"
    return (
        f'<label class="pellucid-progress"><span>{html.escape(words)} · {share:.0%}{more}</span>'
        f'<progress max="1" value="{share:.3f}">{share:.0%}</progress></label>'
    )


def _known(session: Session) -> bool:
    done = session.rounds[-1] if session.rounds else None
    if done is None or done.part or not all(one.choices.automatic for one in done.variants):
        return False
    return all(one.verdict is not None and one.verdict.whole for one in session.pictures if one.name in done.names)


def duration(seconds: float) -> str:
    """Formats a duration: 8 s, 3 min, 2 h 10 min."""
    if seconds < 90:
        return f"{max(round(seconds), 1)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _done(session: Session) -> str:
    """Summarizes the result of the last round in a sentence."""
    if not session.pictures:
        return ""
    done = session.rounds[-1] if session.rounds else None
    if done is None:
        number = len(session.pictures)
        return f"{'1 picture' if number == 1 else f'{number} pictures'} ready."
    states = Counter(state(session, picture)[0] for picture in session.pictures if picture.name in done.names)
    number, finished = len(done.names), states["done"] + states["left"]
    if done.job is not None and done.job.state == "stopped":
        return "Stopped. What was finished is kept" + (f": {finished} of {number}." if number > 1 else ".")
    if number == 1 and states["failed"]:
        return "This did not work."
    if done.part:
        return "This is what would come of this part. Press Restore for the whole picture."
    more = [f"{states[now]} {_STATES[now]}" for now in ("left", "failed") if states[now]]
    return ", ".join([f"{finished} of {number} done in {duration(done.seconds or 0)}", *more]) + "."


def _errors(session: Session) -> list[str]:
    """Errors of the last round, and earlier ones of the current picture."""
    last, name = session.rounds[-1:], session.picture.name if session.picture else ""
    own = session.asked(name)
    lines = [error for done in last for outcome in list(done.outcomes.values()) for error in outcome.errors]
    if own is not None and name in own.outcomes:
        lines += own.outcomes[name].errors
    jobs = [done.job for done in (*last, own) if done is not None and done.job is not None]
    jobs += [session.job] if session.job is not None else []
    return list(dict.fromkeys([*lines, *(plain(job.error, session.folder) for job in jobs if job.error)]))


def _details(session: Session, failed: list[str]) -> str:
    """Details for a helper: version, choices, errors and pictures."""
    asked = session.rounds[-1].variants if session.rounds else ()
    choices = asked[0].choices if asked else None
    what = ""
    if choices is not None:
        method = choices.method or "automatic"
        what = f"damage {choices.task or 'unknown'}, method {method}, prior {Path(choices.prior).name}"
    pictures = [f"{one.name}: {one.size[1]}x{one.size[0]} pixels" for one in session.pictures[:20]]
    return "\n".join([f"pellucid {version('pellucid')}", what, *failed, *pictures])
