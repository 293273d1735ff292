"""Published denoisers beside a prior."""

from __future__ import annotations

from pellucid.bench.denoisers import CBSD68, standard


def test_a_standard_set_is_known_by_its_images() -> None:
    names = {f"{name}.png" for name in CBSD68.images}
    assert len(names) == 68
    assert standard(names) is CBSD68
    assert standard(names - {"3096.png"}) is None
    assert standard(names | {"more.png"}) is None


def test_published_figures_fall_with_the_noise() -> None:
    for levels in CBSD68.psnr.values():
        assert sorted(levels) == [15, 25, 50]
        assert levels[15] > levels[25] > levels[50] > 27
    # The order at 25 in the literature.
    order = sorted(CBSD68.psnr, key=lambda name: CBSD68.psnr[name][25])
    assert order == ["CBM3D", "FFDNet", "DnCNN", "DRUNet"]
