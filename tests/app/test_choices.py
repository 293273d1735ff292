from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pellucid import images, methods
from pellucid.app.choices import Choices, fitting, offered, variants
from pellucid.catalogue import tasks
from pellucid.errors import UsageError
from pellucid.maths.noise import derive_seed
from pellucid.restoration.runner import _check_options


def test_nothing_chosen_is_the_usual_method() -> None:
    (variant,) = variants(Choices())
    assert (variant.slug, variant.choices.choice().method) == ("restored", "auto")
    assert variant.choices.values() == {}


def test_values_are_those_that_are_not_left_open() -> None:
    choices = Choices(method="dreamclean", fidelity=0.25, strength="auto", steps=20, settings=("corrections=2",))
    assert choices.values() == {"fidelity": "0.25", "strength": "auto", "steps": "20", "corrections": "2"}
    assert choices.choice().hyper_parameters["corrections"] == 2


def test_fidelity_is_left_out_where_there_is_none() -> None:
    assert not Choices(method="diip").has_fidelity
    assert not Choices(task="sr2").has_fidelity
    assert Choices(method="diip", fidelity=0.1).values() == {}
    assert Choices().has_fidelity


def test_samples_have_seeds_of_their_own_and_the_first_is_the_one() -> None:
    made = variants(Choices(samples=3, seed=5))
    assert [variant.choices.seed for variant in made] == [5, derive_seed(5, sample=1), derive_seed(5, sample=2)]
    assert all(variant.choices.samples == 1 for variant in made)


def test_methods_compared_get_what_they_have_of_the_choices() -> None:
    made = variants(Choices(compare=("denoise", "dreamclean"), strength="30", fidelity=0.3))
    assert [variant.slug for variant in made] == ["denoise", "dreamclean"]
    assert made[0].choices.values() == {}
    assert made[1].choices.values() == {"fidelity": "0.3", "strength": "30"}


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"samples": 0}, "samples are from 1"),
        ({"compare": ("auto", "denoise", "dip", "diip", "gdp")}, "up to 4"),
        ({"compare": ("auto",), "samples": 2}, "not both"),
        ({"method": "external"}, "no method 'external'"),
        ({"method": "net.onnx"}, "no method 'net.onnx'"),
        ({"compare": ("os:system",)}, "no method 'os:system'"),
        ({"method": "/tmp/own.py:Own"}, "no method '/tmp/own.py:Own'"),
        ({"task": "/tmp/own.py:Own"}, "no task '/tmp/own.py:Own'"),
    ],
)
def test_nonsense_is_refused(choices: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Choices(**choices)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        (Choices(method="dgp", settings=("generator=/etc/passwd",)), "generator names a file"),
        (Choices(method="zero-dce", settings=("model=/etc/passwd",)), "model names a file"),
        (Choices(settings=("fidelity=2",)), "fidelity must be"),
        (Choices(fidelity=0.2, settings=("fidelity=0.3",)), "given twice"),
        (Choices(task="inpaint"), "needs a mask"),
        (Choices(task="denoise", noise=25), "noise is in \\[0, 1\\] units, not 25: say 25/255 for 25 of 255"),
        (Choices(seed=-1), "seed is a whole number from 0 to 2\\^63 - 1, not -1"),
        (Choices(steps=3, method="denoise"), "no 'steps'"),
    ],
)
def test_what_cannot_be_done_is_said(choices: Choices, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        choices.choice()


def test_a_file_that_the_task_does_not_take_does_not_matter() -> None:
    assert Choices(task="sr2", mask=Path("mask.png"), kernel=Path("k.png")).choice().method == "dreamclean-known"


def test_methods_that_are_offered() -> None:
    assert set(methods.names()) - set(offered()) == {"external"}
    assert "auto" in fitting(None)
    assert "ddrm" not in fitting(None)
    assert "ddrm" in fitting("inpaint")
    assert {"gibbsddrm", "unblur"} <= set(fitting("unblur"))


@pytest.mark.parametrize("task", [None, *tasks.names()])
def test_a_method_that_is_offered_for_a_task_takes_it(task: str | None, tmp_path: Path) -> None:
    file = tmp_path / "half.png"
    images.write(images.from_array(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)), file)
    for name in fitting(task):
        choice = Choices(task=task, method=name, mask=file, kernel=file).choice()
        _check_options(choice.restores, choice.operator, choice.noise, exact=False)


def test_the_page_says_what_bm3d_is_for() -> None:
    pytest.importorskip("gradio")
    from pellucid.app.controls import labelled

    assert labelled(("auto", "bm3d")) == [("auto", "auto"), ("bm3d: for non-commercial use only", "bm3d")]
