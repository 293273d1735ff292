from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pellucid import images
from pellucid.errors import UsageError
from pellucid.images import Picture
from pellucid.maths.noise import derive_seed
from pellucid.maths.problem import to_unit
from pellucid.methods import GDP, DreamClean
from pellucid.operators import Grayscale, Mask
from pellucid.priors import GaussianPrior, Prior
from pellucid.restoration.restorer import Restorer, _of_pages

PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))
RESTORER = Restorer(DreamClean(strength=30, steps=100), PRIOR)


def _picture(height: int, note: str | None = None) -> Picture:
    pixels = np.random.default_rng(height).integers(0, 255, (height, 5, 3), np.uint8)
    return replace(images.from_array(pixels), note=note)


def test_a_page_is_what_it_is_by_itself_its_mark_too() -> None:
    pages = [_picture(4), _picture(7), _picture(2)]
    restored, result = RESTORER.picture(images.bound(pages), 3)
    assert result.nfe == 3 * RESTORER.nfe()
    seeds = (3, derive_seed(3, "page 2"), derive_seed(3, "page 3"))
    for page, done, seed in zip(pages, restored.pages, seeds, strict=True):
        alone, _ = RESTORER.picture(page, seed)
        assert np.array_equal(done.pixels, alone.pixels)
        assert images.marks(done.metadata) == images.marks(alone.metadata)


def test_every_page_has_its_note() -> None:
    restorer = Restorer("auto", PRIOR)
    plain, inked = _picture(9), _picture(7, "it was CMYK")
    (one,), (other,) = (restorer.picture(page)[1].notes for page in (plain, inked))
    assert other == f"it was CMYK; {one}"
    restored, result = restorer.picture(images.bound([plain, inked, plain]))
    assert result.notes == (f"pages 1, 3: {one}; page 2: {other}",)
    for page, note in zip(restored.pages, (one, other, one), strict=True):
        assert images.marks(page.metadata)[0].endswith(f"; {note}")
    assert restorer.picture(images.bound([inked, inked]))[1].notes == (other,)


def test_a_page_that_fails_is_named() -> None:
    odd = images.from_array(np.full((4, 5, 3), np.nan, np.float32))
    with pytest.raises(UsageError, match=r"^page 2: .*not finite"):
        RESTORER.picture(images.bound([_picture(4), odd]))
    with pytest.raises(UsageError, match=r"^[^:]*not finite"):
        RESTORER.picture(odd)


def test_notes_on_many_pages_are_counted() -> None:
    assert _of_pages(["", ""]) == ""
    assert _of_pages(["", "a", ""]) == "page 2: a"
    assert _of_pages([*"abcdef", ""]) == "page 1: a; page 2: b; page 3: c; page 4: d; notes on 2 more pages"
    assert _of_pages(list("abcdaa")).startswith("pages 1, 5, 6: a; ")


def test_no_mark_where_none_is_wanted() -> None:
    marked, _ = RESTORER.picture(_picture(4))
    bare, _ = RESTORER.picture(_picture(4), marked=False)
    assert np.array_equal(marked.pixels, bare.pixels)
    assert (len(images.marks(marked.metadata)), bare.metadata) == (1, {})


def test_what_was_converted_is_said_with_what_the_method_says() -> None:
    restorer = Restorer("auto", PRIOR)
    _, plain = restorer.picture(_picture(9))
    restored, result = restorer.picture(_picture(9, "it was CMYK"))
    assert result.notes == ("; ".join(("it was CMYK", *plain.notes)),)
    (mark,) = images.marks(restored.metadata)
    assert mark.endswith(f"; {result.notes[0]}")
    assert RESTORER.picture(_picture(4))[1].notes == ()


def test_exposures_are_marked_as_the_first() -> None:
    restorer = Restorer(GDP(steps=2, map_rate=0.0), PRIOR)
    restored, result = restorer.exposures([_picture(4, "it was CMYK"), _picture(4)], 5)
    (mark,) = images.marks(restored.metadata)
    assert ", seed 5; it was CMYK" in mark
    assert result.nfe == restorer.nfe()
    with pytest.raises(UsageError, match="one page each"):
        restorer.exposures([images.bound([_picture(4), _picture(4)]), _picture(4)])


def test_a_mask_for_each_picture_restores_as_one_for_all(natural: Prior, bundled: dict[str, torch.Tensor]) -> None:
    clean = to_unit(bundled["coffee"][0, :, 64:128, 64:128].mean(0, keepdim=True))
    noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))
    page = images.from_array((noisy[0].clamp(0, 1) * 255).byte().numpy())
    mask = Mask.box(64, 64, 8, 20, 24, 24)
    one = Restorer("ddrm", natural, operator=mask, device="cpu")
    each = Restorer("ddrm", natural, operator=lambda page: mask, device="cpu")
    (alone, said), (made, also) = (restorer.picture(page) for restorer in (one, each))
    assert np.array_equal(alone.pixels, made.pixels)
    assert said.notes == also.notes
    assert "grey, removed first" in also.notes[0]
    assert also.nfe <= each.nfe()


def test_colours_that_are_replaced_are_spoken_of() -> None:
    """A folder of grey and colour pictures loses the true colours of the latter."""
    restorer = Restorer("ddrm", PRIOR, operator=Grayscale(), noise=0.0)
    coloured = _picture(8)
    grey = images.from_array(np.repeat(coloured.colour[..., :1], 3, 2))
    said = "it has colours of its own, which were replaced"
    for page, has in ((coloured, True), (grey, False), (images.from_array(coloured.colour[..., :1]), False)):
        assert (said in restorer.picture(page)[1].notes) == has
        assert (said in restorer.copies(page, [0])[1][0].notes) == has
