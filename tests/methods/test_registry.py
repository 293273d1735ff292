from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pellucid import methods
from pellucid.errors import UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import DIIP, DreamClean
from pellucid.priors import GaussianPrior


def test_the_name_of_a_file_is_its_methods() -> None:
    for name in methods.names():
        assert methods.find(name).__module__ == f"pellucid.methods.{name.replace('-', '_')}"
    assert "dreamclean" in methods.names()
    assert "dreamclean" in methods.names(blind=True)
    assert "dreamclean" not in methods.names(blind=False)


def test_get_makes_a_method_with_the_papers_defaults() -> None:
    assert methods.get("dreamclean") == DreamClean()
    assert methods.get("dreamclean", strength=50) == DreamClean(strength=50)


def test_an_unknown_method_gets_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="did you mean 'dreamclean'"):
        methods.get("dreamclaen")


def test_an_unknown_hyper_parameter_gets_the_list() -> None:
    with pytest.raises(UsageError, match="has no 'tau'; it has strength, steps, gamma"):
        methods.get("dreamclean", tau=300)


BROKEN = GaussianPrior(torch.zeros(3, 1, 1), variance=torch.full((1, 1, 1), float("nan")))


# Unblur asks the prior only where there is a blur; its own test has one.
BROKEN_BY = [name for name in methods.names(blind=True) if methods.find(name).needs_prior and name != "unblur"]


@pytest.mark.parametrize("name", BROKEN_BY)
def test_a_prior_that_breaks_is_an_error_for_every_method(name: str) -> None:
    from pellucid.errors import PellucidError

    with pytest.raises(PellucidError, match="not finite"):
        methods.get(name)(Problem(Streams([0]).like(torch.zeros(1, 3, 16, 16))), BROKEN)


def test_a_preset_gives_way_to_what_is_said() -> None:
    assert methods.get("diip", preset="fast", rate=0.02) == replace(DIIP(**DIIP.presets["fast"]), rate=0.02)
    for name in methods.names():
        for preset, values in methods.find(name).presets.items():
            assert methods.describe(name)["presets"][preset] == values
            methods.get(name, preset=preset)
    with pytest.raises(UsageError, match="ddrm has no preset 'fast'; it has paper"):
        methods.get("ddrm", preset="fast")
