"""The page: its layout, and the handlers of its events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from ..catalogue import tasks
from ..errors import PellucidError, UsageError
from . import view
from .choices import MOST_COMPARED, Choices, fitting
from .controls import Controls, labelled
from .desk import Desk
from .session import Session
from .words import plain

_STATIC = Path(__file__).parent / "static"

# As long as the tab is open: another tab is another person. The server makes the name, and says whether it still holds.
_TOKEN = """() => (window.pellucidToken ??= (async () => {
  const kept = sessionStorage.getItem("pellucid") || "";
  const answer = await fetch("session", { method: "POST", body: kept });
  if (!answer.ok) return kept;
  const token = await answer.text();
  sessionStorage.setItem("pellucid", token);
  return token;
})())"""

_TAKEN = f"""async () => [await ({_TOKEN})(), JSON.stringify((window.pellucidHanded || []).splice(0))]"""
"""Script that sends the handles of uploads to the server, with the names of rejected files and the reasons."""

_HAND = f"""async (token, files) => [
  await ({_TOKEN})(), null,
  JSON.stringify([files].flat().filter(Boolean).map((file) => ({{ path: file.path }}))),
]"""
"""Script that sends uploads as the server's handles; gradio takes nothing in them for a file."""

_EVERY = 0.4
"""Seconds between two looks at a running job."""


class Page:
    """Parts of the page and the handlers of their events.

    Args:
        desk: see `Desk`.

    Attributes:
        blocks: the page.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        with gr.Blocks(title="pellucid", analytics_enabled=False, delete_cache=(60, 900)) as self.blocks:
            self._token = gr.Textbox(visible=False)
            self._handed = gr.Textbox(visible=False)
            self._timer = gr.Timer(_EVERY, active=False)
            gr.HTML("<h1>pellucid</h1><p>Damaged photographs in, clean ones out. They stay on this machine.</p>",
                    elem_id="pellucid-head")  # fmt: skip
            with gr.Row():
                with gr.Column(scale=3, min_width=420):
                    self._viewer = gr.HTML(
                        value={},
                        html_template=_read("viewer.html"),
                        js_on_load=_read("viewer.js"),
                        elem_id="pellucid-viewer",
                    )
                with gr.Column(scale=1, min_width=320, elem_id="pellucid-side"):
                    gr.HTML(_read("upload.html"), elem_id="pellucid-upload")
                    self._controls = Controls(desk.priors)
                    with gr.Row(elem_id="pellucid-actions"):
                        self._run = gr.Button("Restore", variant="primary", interactive=False, elem_id="pellucid-run")
                        self._stop = gr.Button("Stop", variant="stop", visible=False, elem_id="pellucid-stop")
                        self._undo = gr.Button("Undo", interactive=False, elem_id="pellucid-undo", min_width=80)
                    self._status = gr.HTML(elem_id="pellucid-status")
                    self._download = gr.HTML(elem_id="pellucid-download")
                    self._controls.advanced()
                    with gr.Accordion("As a command or in Python", open=False):
                        self._said = gr.HTML(elem_id="pellucid-calls")
            self._wire()

    def _wire(self) -> None:
        shown = [self._viewer, self._status, self._download, self._run, self._stop, self._undo, self._timer]
        said, controls = self._said, self._controls
        chosen = controls.inputs
        quiet: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
        token = self._token

        self.blocks.load(self._load, token, [token, *shown], js=_TOKEN, **quiet)
        self._timer.tick(self._look, token, shown, **quiet)
        # gradio leaves out a press, a stroke or a removal while the one before is not answered; page.js keeps the
        # order.
        each: dict[str, Any] = {**quiet, "trigger_mode": "multiple"}
        # The controls check what they are sent; gradio knows the newest lists alone.
        raw: dict[str, Any] = {"preprocess": False}
        # Whoever is fast hands pictures over before the page has been given its token.
        handed: dict[str, Any] = {**each, "js": _HAND}
        taken = self._viewer.taken(self._take, [token, self._handed], shown, **{**each, "js": _TAKEN})
        self._run.click(self._start, [token, *chosen], shown, **each, **raw)
        self._stop.click(self._end, token, shown, **each)
        self._undo.click(self._back, token, shown, **each)
        self._viewer.part(self._part, [token, *chosen], shown, **each, **raw)
        seen = self._viewer.chosen(self._choose, token, shown, **each)
        self._viewer.act(self._act, [token, *chosen], shown, **each, **raw)
        self._viewer.paints(self._paints, token, shown, **each)
        removed = self._viewer.removed(self._remove, token, shown, **each)
        painted = self._viewer.painted(self._paint, token, shown, **each)
        masked = controls.mask.upload(
            self._mask, [token, controls.mask, self._handed], [controls.mask, *shown], **handed
        )
        kernel = controls.kernel.upload(
            self._kernel, [token, controls.kernel, self._handed], [controls.kernel, *shown], **handed
        )
        for event in (taken, seen, removed, painted, masked, kernel):
            event.then(self._calls, [token, *chosen], said, **quiet, **raw)
        # Before the others of its event: gradio begins the next of them when the one before is answered.
        controls.task.change(
            self._fit, [token, controls.task, controls.method, controls.compare],
            [controls.method, controls.compare, controls.mask, controls.kernel, controls.by, *shown], **each, **raw,
        )  # fmt: skip
        gr.on([c.change for c in chosen], self._calls, [token, *chosen], said, **quiet, **raw)
        gr.on([controls.task.change, controls.method.change], self._fidelity, [controls.task, controls.method],
              controls.fidelity, **quiet, **raw)  # fmt: skip

    # --- events ---

    def _session(self, token: str, request: gr.Request) -> Session:
        try:
            # The gate says who asks, and which loading of the page it is.
            scope = request.request.scope if request.request else {"visitor": "", "page": ""}
            if self._desk.sessions.visitor_of(str(token or "")) != scope["visitor"]:
                raise PellucidError("this page has lost its session: reload it")
            return self._desk.sessions.of(token, scope["page"])
        except PellucidError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def _shown(self, session: Session) -> list[Any]:
        """All outputs that depend on the session, in order."""
        # Before anything is drawn: what ends meanwhile is drawn at the next look.
        busy = session.busy
        looks = busy or session.looking
        return [
            view.picture_view(session, self._desk),
            view.status(session, self._desk.queue),
            view.downloads(session),
            gr.Button(view.restoring(session), interactive=bool(session.pictures) and not busy, visible=not busy),
            gr.Button(visible=busy),
            gr.Button(interactive=session.newest is not None and not busy),
            gr.Timer(active=looks),
        ]

    def _load(self, token: str, request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        # The controls of a page that is loaded stand as at first.
        session.kernel = None
        return [token, *self._shown(session)]

    def _look(self, token: str, request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        session.follow()
        return self._shown(session)

    def _take(self, token: str, handed: str, request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        self._desk.take(session, _records(handed))
        return self._shown(session)

    def _start(self, token: str, request: gr.Request, *values: Any) -> list[Any]:
        session = self._session(token, request)
        choices = self._choices(session, values)
        if choices is not None:
            self._desk.run(session, choices)
        return self._shown(session)

    def _part(self, token: str, request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        session = self._session(token, request)
        choices = self._choices(session, values)
        if choices is not None and session.look_at(str(event.id)):
            self._desk.try_part(session, choices, (float(event.across), float(event.down)))
        return self._shown(session)

    def _act(self, token: str, request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        session = self._session(token, request)
        choices = self._choices(session, values) or Choices(prior=self._desk.priors[0])
        if session.look_at(str(event.id)):
            self._desk.act(session, choices, str(event.key))
        return self._shown(session)

    def _paints(self, token: str, request: gr.Request, event: gr.EventData) -> list[Any]:
        session = self._session(token, request)
        if session.look_at(str(event.id)):
            self._desk.paints(session, bool(event.on))
        return self._shown(session)

    def _end(self, token: str, request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        self._desk.stop(session)
        return self._shown(session)

    def _back(self, token: str, request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        session.undo()
        return self._shown(session)

    def _choose(self, token: str, request: gr.Request, event: gr.EventData) -> list[Any]:
        session = self._session(token, request)
        session.look_at(str(event.id))
        return self._shown(session)

    def _remove(self, token: str, request: gr.Request, event: gr.EventData) -> list[Any]:
        session = self._session(token, request)
        session.remove(str(event.id))
        return self._shown(session)

    def _paint(self, token: str, request: gr.Request, event: gr.EventData) -> list[Any]:
        session = self._session(token, request)
        if session.look_at(str(event.id)):
            self._desk.paint(session, str(event.mask))
        return self._shown(session)

    def _mask(self, token: str, _: None, handed: str, request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        self._desk.keep_mask(session, _records(handed))
        return [_kept("Mask", session.mask), *self._shown(session)]

    def _kernel(self, token: str, _: None, handed: str, request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        session.kernel = self._desk.keep(session, _records(handed))
        return [_kept("Kernel", session.kernel), *self._shown(session)]

    def _fit(self, token: str, task: str, method: str, compare: list[str], request: gr.Request) -> list[Any]:
        session = self._session(token, request)
        needs = self._controls.needs(task)
        session.forget()
        if session.picture is not None:
            session.picture.painting = needs == "mask"
        names = fitting(task if task in tasks.names() else None)
        return [
            # Without a value: one that was chosen since the question was sent stays.
            gr.Dropdown(choices=[("automatic", ""), *labelled(names)], **_unless(method in ("", *names), "")),
            gr.Dropdown(
                choices=labelled(names),
                multiselect=True,
                max_choices=MOST_COMPARED,
                **_unless(set(compare or ()) <= set(names), []),
            ),
            gr.UploadButton(visible=needs == "mask"),
            gr.UploadButton(visible=needs == "kernel"),
            gr.Radio(visible=needs == "by"),
            *self._shown(session),
        ]

    def _fidelity(self, task: str, method: str) -> Any:
        has = Choices(task=task or None, method=method or None).has_fidelity
        return gr.Slider(interactive=has)

    def _calls(self, token: str, request: gr.Request, *values: Any) -> str:
        session = self._session(token, request)
        try:
            command, python = self._desk.calls(session, self._controls.read(session, values))
        except UsageError as error:
            # Nobody pressed anything: it is no message about what was done.
            command = python = plain(error, session.folder)
        mask = session.mask
        told = view.call("Command", command) + view.call("Python", python)
        return told + ("" if mask is None else view.link(mask, "Download the mask"))

    def _choices(self, session: Session, values: tuple[Any, ...]) -> Choices | None:
        """Reads the choices on the page; None, and a message, if they are invalid."""
        try:
            return self._controls.read(session, values)
        except UsageError as error:
            session.messages = [plain(error, session.folder)]
            return None


def _records(handed: str) -> Any:
    """Records of the browser's uploads; empty if they are malformed."""
    try:
        return json.loads(handed)
    except (ValueError, TypeError, RecursionError):
        return None


def _unless(fits: bool, value: Any) -> dict[str, Any]:
    """Value that a control gets instead of one that no longer fits."""
    return {} if fits else {"value": value}


def _kept(what: str, path: Path | None) -> Any:
    return gr.UploadButton(label=f"{what} from a file" if path is None else f"{what}: {path.name}")


def _read(name: str) -> str:
    return (_STATIC / name).read_text(encoding="utf-8")


def theme() -> gr.themes.Base:
    """Theme with the machine's fonts alone, and colours of sufficient contrast."""
    plain = {"block_title_background_fill": "none", "block_label_background_fill": "none"}
    text = dict.fromkeys(("block_title_text_color", "block_label_text_color"), "*neutral_800")
    return gr.themes.Soft(
        primary_hue="teal",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        **plain,
        **text,
        **{f"{name}_dark": value for name, value in plain.items()},
        **{f"{name}_dark": "*neutral_100" for name in text},
        block_title_padding="0",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        color_accent="*primary_700",
        slider_color="*primary_700",
        slider_color_dark="*primary_500",
        checkbox_border_width="2px",
        checkbox_border_color="*neutral_600",
        checkbox_border_color_dark="*neutral_300",
        input_border_width="1px",
        input_border_color="*neutral_400",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
    )


def style() -> str:
    """CSS of the page."""
    return _read("page.css") + _read("viewer.css")


def script(most: int) -> str:
    """Content of the page's head.

    Args:
        most: largest size of an upload in bytes.
    """
    return f"<script>window.pellucidMost = {most};{_read('page.js')}</script>"
