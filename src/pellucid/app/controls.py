"""Controls of the page: one slider in view, the rest in a fold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..catalogue import tasks
from ..support.settings import read as settings_of
from .choices import MOST_COMPARED, MOST_SAMPLES, Choices, fitting, offered
from .words import damage

if TYPE_CHECKING:
    from .session import Session


_TERMS = {"bm3d": "bm3d: for non-commercial use only"}
"""Labels of methods with terms of use, in place of their names."""

_NUMBERS = {"noise": float, "steps": int, "tile": int, "seed": int}


def labelled(names: Sequence[str]) -> list[tuple[str, str]]:
    """Methods to choose from: the page's label of each, and its name."""
    return [(_TERMS.get(name, name), name) for name in names]


def are_offered(value: object) -> bool:
    """True for methods of the page, one or a list, whether or not they fit the damage that is chosen now."""
    names = value if isinstance(value, list) else [value]
    return all(isinstance(name, str) and name in ("", *offered()) for name in names)


class Controls:
    """Parts of the page for the choices, in the order of `inputs`.

    Args:
        priors: the page's priors.
    """

    def __init__(self, priors: Sequence[str]) -> None:
        self._priors = priors
        self.fidelity = gr.Slider(
            0, 1, 0.5, step=0.05, label="Fidelity",
            info="Left repairs more and invents more; right stays nearer to the picture. For all pictures.",
        )  # fmt: skip

    def advanced(self) -> None:
        """Draws the fold, in panels."""
        with gr.Accordion("Advanced, for all pictures", open=False, elem_id="pellucid-advanced"), gr.Tabs():
            with gr.Tab("Damage"):
                self.task = gr.Dropdown(
                    [("not known, find out", ""), *((damage(name), name) for name in tasks.names())],
                    value="", label="The damage", elem_id="pellucid-task",
                )  # fmt: skip
                self.mask = gr.UploadButton("Mask from a file", visible=False)
                self.kernel = gr.UploadButton("Kernel from a file", visible=False)
                self.by = gr.Radio([(f"by {by}", by) for by in tasks.FACTORS], value=tasks.FACTORS[0], visible=False,
                                   label="How many times larger")  # fmt: skip
                self.noise = gr.Textbox("", label="Noise", placeholder="estimated",
                                        info="from 0 to 1, or as 10/255; where the damage is known")  # fmt: skip
                self.exact = gr.Checkbox(False, label="Known pixels stay as they are, to the bit")
            with gr.Tab("Method"):
                self.method = gr.Dropdown([("automatic", ""), *labelled(fitting(None))], value="",
                                          label="Method", elem_id="pellucid-method")  # fmt: skip
                self.prior = gr.Dropdown(list(self._priors), value=self._priors[0], label="Prior")
                self.strength = gr.Textbox("", label="Strength", placeholder="each picture's own", info="1 to 1000")
                self.steps = gr.Textbox("", label="Steps", placeholder="the method's own")
            with gr.Tab("Research"):
                self.compare = gr.Dropdown(labelled(fitting(None)), value=[], multiselect=True, label="Compare",
                                           max_choices=MOST_COMPARED, elem_id="pellucid-compare",
                                           info=f"up to {MOST_COMPARED} methods side by side")  # fmt: skip
                self.samples = gr.Slider(1, MOST_SAMPLES, 1, step=1, label="Samples",
                                         info="several show what was invented")  # fmt: skip
                self.settings = gr.Textbox("", label="Further settings", lines=2, info="KEY=VALUE, one a line")
                with gr.Row():
                    self.tile = gr.Textbox("", label="Tile", placeholder="1056", info="side in pixels", min_width=100)
                    self.seed = gr.Textbox("", label="Seed", placeholder="0", info="same seed, same bytes",
                                           min_width=100)  # fmt: skip

    @property
    def inputs(self) -> list[Any]:
        """Components whose values `read` takes."""
        return [
            self.task, self.method, self.prior, self.fidelity, self.strength, self.steps, self.settings, self.noise,
            self.exact, self.seed, self.tile, self.samples, self.compare, self.by,
        ]  # fmt: skip

    def needs(self, task: str) -> str | None:
        """Controls for the file or the factor that a task needs."""
        return tasks.find(task).needs if task in tasks.names() else None

    def read(self, session: Session, values: Sequence[Any]) -> Choices:
        """Makes choices of the parts' values, as the browser sends them, and the session's files.

        Raises:
            UsageError: the choices exclude each other.
        """
        # gradio would refuse a method that ceased to fit the damage while the page was on its way, with no word.
        checked = [
            value if part in (self.method, self.compare) and are_offered(value) else part.preprocess(value)
            for part, value in zip(self.inputs, values, strict=True)
        ]
        task, method, prior, fidelity, strength, steps, settings, noise, exact, seed, tile, *rest = checked
        samples, compare, by = rest
        # Many write 0,05.
        texts = {"noise": noise.replace(",", "."), "steps": steps, "tile": tile, "seed": seed}
        numbers = settings_of(_NUMBERS, "the page", {key: text for key, text in texts.items() if text.strip()})
        return Choices(
            task=task or None,
            method=method or None,
            prior=prior,
            fidelity=fidelity,
            strength=strength.strip() or None,
            settings=tuple(line for line in settings.splitlines() if line.strip()),
            exact=exact,
            samples=samples,
            compare=tuple(compare or ()),
            mask=session.mask,
            kernel=session.kernel,
            by=None if by == tasks.FACTORS[0] else by,
            **numbers,
        )
