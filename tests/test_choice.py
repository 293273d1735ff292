from __future__ import annotations

from pathlib import Path

import pytest

from pellucid import tasks
from pellucid.choice import choose
from pellucid.errors import UsageError
from pellucid.methods import DreamClean
from pellucid.operators import AveragePool


def test_nothing_said_is_the_usual_method() -> None:
    assert choose().method == "auto"
    chosen = choose(settings={"steps": "20"})
    assert (chosen.method, chosen.hyper_parameters) == ("dreamclean", {"strength": "auto", "steps": 20})


def test_a_task_brings_its_method_settings_operator_and_noise() -> None:
    chosen = choose(task="sr4", settings={"steps": "7"})
    assert chosen.method == "dreamclean-known"
    assert chosen.hyper_parameters == {**tasks.find("sr4").settings, "steps": 7}
    assert isinstance(chosen.operator, AveragePool)
    assert choose(task="hdr").several


def test_what_is_said_wins_over_the_task() -> None:
    chosen = choose("ddrm", "sr4", noise=0.1)
    assert (chosen.method, chosen.hyper_parameters, chosen.noise) == ("ddrm", {}, 0.1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"mask": Path("m.png")}, "a mask goes with"),
        ({"task": "deblur"}, "needs a kernel"),
        ({"method": "nothing"}, "unknown method"),
        ({"settings": {"fidelity": "2"}}, "fidelity must be"),
    ],
)
def test_wrong_calls(call: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        choose(**call)  # type: ignore[arg-type]


def test_a_preset_is_of_the_method_that_is_chosen_and_gives_way_to_settings() -> None:
    assert choose(preset="fast").hyper_parameters == {"shared": True}
    fast = choose("dreamclean", settings={"gamma": "0.2"}, preset="fast").hyper_parameters
    assert fast == {**DreamClean.presets["fast"], "strength": "auto", "gamma": 0.2}
    with pytest.raises(UsageError, match="denoise has no preset 'slow'"):
        choose("denoise", preset="slow")
