"""That what is timed side by side does the same."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from pathlib import Path

import pytest
import torch
from benchmarks import gallery, photograph, reference
from benchmarks.contenders import Calls, contenders, image
from benchmarks.measuring import in_turn
from PIL import Image
from torch import Tensor

from pellucid.maths.noise import linear_ladder
from pellucid.maths.problem import Problem
from pellucid.methods import DDNM, DDRM
from pellucid.operators import Mask
from pellucid.priors import VENetwork


def rough(x: Tensor, sigma: Tensor) -> Tensor:
    return x / (1 + sigma.view(-1, 1, 1, 1) ** 2)


@pytest.mark.parametrize("sigma_y", [0.0, 0.1])
def test_plain_loops_are_the_methods(sigma_y: float) -> None:
    mask = Mask.random(8, 8)
    y, kept = mask.A(image(8)), mask.A(torch.ones(1, 3, 8, 8))
    prior, ladder = VENetwork(rough, linear_ladder()), linear_ladder()[::100].flip(0).tolist()
    if sigma_y:
        own, plain = DDRM(steps=10), reference.ddrm(rough, y, kept, sigma_y, ladder)
        torch.testing.assert_close(own(Problem(y, mask, sigma_y), prior), plain, atol=1e-5, rtol=0)
    else:
        torch.testing.assert_close(
            DDNM(steps=10)(Problem(y, mask, 0.0), prior), reference.ddnm(rough, y, kept, ladder), atol=1e-5, rtol=0
        )


def test_the_noise_of_bird_stays_on_the_sphere_and_fits() -> None:
    mask = Mask.random(8, 8)
    y, kept = mask.A(image(8)), mask.A(torch.ones(1, 3, 8, 8))
    ladder = linear_ladder()[::200].flip(0).tolist()
    first, later = (reference.bird(rough, y, kept, ladder, n) for n in (1, 200))
    assert (kept * later - y).square().mean() < (kept * first - y).square().mean()


def test_about_as_many_calls_as_steps() -> None:
    calls = Calls(rough)
    for name, one in contenders(calls, 8, 20).items():
        before = calls.made
        one.run()
        assert 15 <= calls.made - before <= 25, name


def test_the_gallery_has_pictures_commands_and_figures(tiny_prior: Path, tmp_path: Path) -> None:
    """On small pictures with a small prior; the pictures of the site are made with the embedded one."""
    gallery.main([str(tmp_path), "--prior", str(tiny_prior), "--side", "32"])
    page = (tmp_path / "gallery.md").read_text(encoding="utf-8")
    pictures = sorted((tmp_path / "gallery").iterdir())
    assert len(gallery.CASES) == len(pictures) == page.count("pellucid restore damaged.png") == 12
    for path in (*pictures, tmp_path / "four.jpg"):
        with Image.open(path) as picture:
            assert picture.size == ((4 * 40 - 8, 2 * 40 + 26) if path.stem == "four" else (72, 32))


def test_the_pictures_of_the_site_are_small() -> None:
    docs = Path(__file__).parents[1] / "docs"
    assert (docs / "four.jpg").stat().st_size < 500_000
    assert all(path.stat().st_size < 40_000 for path in (docs / "gallery").iterdir())
    titles = re.findall("^## (.+)$", (docs / "gallery.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert titles == [case.title for case in gallery.CASES]


def test_taken_in_turn() -> None:
    order: list[str] = []
    ticks = iter(range(100))
    took = in_turn({n: (lambda n=n: order.append(n)) for n in "ab"}, 2, lambda: float(next(ticks)))  # type: ignore[misc]
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert took == {"a": [1.0, 1.0], "b": [1.0, 1.0]}


def test_an_older_version_has_its_own_methods(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    named = '[project]\nname = "pellucid"\n[project.entry-points."pellucid.methods"]\nolder = "pellucid.older:Older"\n'
    (tmp_path / "pyproject.toml").write_text(named, encoding="utf-8")
    path = [str(photograph.with_its_own_methods(tmp_path))]
    (found,) = distributions(name="pellucid", path=path)
    assert [(one.group, one.name, one.value) for one in found.entry_points] == [
        ("pellucid.methods", "older", "pellucid.older:Older")
    ]
