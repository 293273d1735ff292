"""JPEG by splitting: its step, its cells, what it gains, what it leaves alone, at every door."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import pellucid
from pellucid import images
from pellucid.degradations import compress, multiple_jpeg
from pellucid.diagnosis import CALLS, Compression, Content, Diagnosis, compression
from pellucid.diagnosis.compression import known
from pellucid.diagnosis.recompression import Before
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem, to_model, to_unit
from pellucid.methods import JPEG, Auto, walk
from pellucid.methods.dpir import geometric, turned
from pellucid.methods.jpeg import Decompression, treatment
from pellucid.metrics import psnr
from pellucid.operators import Denoise, Jpeg, Quantised
from pellucid.priors import Counted, GaussianPrior, Prior

PRIOR = GaussianPrior(torch.full((3, 1, 1), 0.1).double(), variance=torch.full((3, 1, 1), 0.05).double())


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) / 4


def file_of(clean: Tensor, quality: int, **more: Any) -> io.BytesIO:
    file = io.BytesIO()
    pixels = (clean[0] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, **more)
    file.seek(0)
    return file


@pytest.mark.parametrize(("fineness", "share"), [(30, 0.14), (55, 0.295), (80, 0.45), (90, 0.45)])
def test_the_step_is_the_stated_one(fineness: int, share: float) -> None:
    """(12 s U^T q + (lambda / g^2) V^T x0) / (12 s^2 + lambda / g^2), then the cells; at fidelity 0 of x0 itself.

    The last step and the cells measure changes of the brightness and of the colours apart.
    """
    operator = Jpeg(fineness)
    y = operator.A(draw(0, 1, 3, 32, 32))
    linear, end = (Quantised(operator.coding, (3, 32, 32), apart=apart) for apart in (False, True))
    q, svd = linear.coefficients(y), linear.svd((1, 3, 32, 32))
    s = svd.s.double()
    for fidelity, times in ((0.5, 1), (0.0, 2)):
        x = y
        for way, g in enumerate(geometric(0.2, 0.02, 3)):
            # The last x has a share of lambda.
            x0, weight = turned(PRIOR, x, g, way), times * 0.1 * (1 if way < 2 else share) / g**2
            x = svd.V((12 * s * svd.Ut(q) + weight * svd.Vt(x0)) / (12 * s**2 + weight))
            x = x if way < 2 else end.nearest(x0, q, weight / 12)
        out = JPEG(steps=3, weight=0.1, fidelity=fidelity)(Problem(y, operator), PRIOR)
        torch.testing.assert_close(out, end.within(x if fidelity else x0, q), atol=1e-6, rtol=0)
        assert (linear.A(out) - q).abs().max() <= 0.5 + 1e-4


def test_laws() -> None:
    operator, counted = Jpeg(30), Counted(PRIOR)
    y = operator.A(draw(0, 2, 3, 21, 37))
    before = y.clone()
    states = list(JPEG().iterate(Problem(y, operator, 0.0), counted, Streams([0, 1])))
    assert torch.equal(y, before)
    assert counted.nfe == 14
    assert states[-1].nfe == 7
    assert JPEG().nfe(PRIOR) == CALLS + 7 + walk.CALLS
    assert states[-1].notes == ("JPEG quality 30, 4:2:0 undone",) * 2
    for i in range(2):
        assert torch.equal(JPEG()(Problem(y[i : i + 1], operator), PRIOR), states[-1].x[i : i + 1])


@pytest.mark.parametrize("task", ["jpeg", "denoise"])
@pytest.mark.parametrize(("level", "fineness"), [(6, 75), (20, 92)])
def test_noise_before_a_compression_goes_with_it_by_either_name(
    natural: Prior, bundled: dict[str, Tensor], tmp_path: Path, task: str, level: int, fineness: int
) -> None:
    clean = to_unit(bundled["coffee"][..., 64:192, 64:192])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0)) * level / 255
    (tmp_path / "a.jpg").write_bytes(file_of((clean + noise).clamp(0, 1), fineness).getvalue())
    before, named, default = (
        psnr(images.read(tmp_path / "a.jpg").tensor() if image is None else images.from_pil(image).tensor(), clean)
        for image in (None, *(pellucid.restore(tmp_path / "a.jpg", prior=natural, task=name) for name in (task, None)))
    )
    assert named.item() > default.item() - 0.1
    assert named.item() > before.item() + 1


def test_a_told_level_of_noise_needs_no_search(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., 64:128, 64:128])
    noise = 0.08 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)).expand_as(clean)
    for channels in (1, 3):
        y = to_model(compress((clean.mean(1, keepdim=True) if channels == 1 else clean) + noise[:, :channels], 90))
        y, operator = y.expand(-1, 3, -1, -1), Jpeg(90)
        *_, state = JPEG().iterate(Problem(y, operator, 0.16), natural, Streams([0]))
        assert state.notes == ("white noise of 20.4 of 255 removed",)
        assert state.nfe == (2 if channels == 1 else 1)
        assert (state.x - y).std().item() > 0.05


def test_fidelity_is_monotone() -> None:
    operator = Jpeg(20)
    y = operator.A(draw(0, 1, 3, 32, 32))
    moved = [(JPEG(fidelity=f)(Problem(y, operator), PRIOR) - y).norm().item() for f in (0, 0.3, 0.5, 0.8, 1)]
    assert moved == sorted(moved, reverse=True)
    assert moved[-1] == 0


def test_it_gains(natural: Prior, bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., 64:192, 64:192])
    y = compress(clean, 10)
    out = to_unit(JPEG()(Problem(to_model(y), Jpeg(10)), natural))
    assert psnr(out, clean).item() > psnr(y, clean).item() + 0.8


def test_pillows_own_object_carries_its_tables(bundled: dict[str, Tensor], tmp_path: Path, natural: Prior) -> None:
    """Path and object give the same bytes, turned by EXIF or not; what was made smaller since is refused."""
    file = file_of(to_unit(bundled["coffee"][..., 64:128, 64:144]), 15)
    (tmp_path / "a.jpg").write_bytes(file.getvalue())
    for task in ("jpeg", None):
        path, opened = (
            np.array(pellucid.restore(image, prior=natural, task=task))
            for image in (tmp_path / "a.jpg", Image.open(file))
        )
        assert np.array_equal(path, opened)
        assert not np.array_equal(path, np.array(Image.open(file)))
    small = Image.open(file)
    small.thumbnail((40, 40))
    with pytest.raises(PellucidError, match="do not tell how it was compressed"):
        pellucid.restore(small, task="jpeg", prior=natural)


def test_other_methods_work_on_the_same_operator(bundled: dict[str, Tensor], natural: Prior) -> None:
    clean = to_unit(bundled["coffee"][..., 64:128, 64:128])
    image = Image.open(file_of(clean, 10))
    y = images.from_pil(image).tensor()
    for name in ("ddrm", "ddnm", "dreamclean-known", "dpir", "ddrm-jpeg"):
        out = torch.from_numpy(np.array(pellucid.restore(image, name, natural, task="jpeg"))).permute(2, 0, 1) / 255
        assert psnr(out[None], y).item() > 22


def test_a_mild_file_is_left_alone(bundled: dict[str, Tensor]) -> None:
    clean = to_unit(bundled["coffee"][..., :64, :64])
    y = to_model(compress(clean, 95))
    *_, state = JPEG().iterate(Problem(y, Jpeg(95)), PRIOR, Streams([0]))
    assert torch.equal(state.x, y)
    assert state.notes == ("JPEG quality 95, 4:2:0, left unchanged",)
    found = Diagnosis(compression=Compression(Jpeg(95).coding))
    assert Auto().plan(found).nfe == 0


def test_auto_takes_what_the_file_tells(bundled: dict[str, Tensor], natural: Prior) -> None:
    y = to_model(compress(to_unit(bundled["coffee"][..., :64, :64]), 10))
    known = Diagnosis(compression=Compression(Jpeg(11).coding, told=True))
    *_, state = Auto().iterate(Problem(y, known=(known,)), natural, Streams([0]))
    assert state.notes == ("JPEG quality 11, 4:2:0 undone",)
    *_, state = Auto().iterate(Problem(y), natural, Streams([0]))
    assert state.notes[0].startswith("JPEG quality 10, 4:2")
    with pytest.raises(UsageError, match="1 diagnoses are known, of 2 images"):
        Problem(torch.cat([y, y]), known=(known,))


@pytest.mark.parametrize("fields", [{"steps": 0}, {"weight": 0}, {"fidelity": 2}])
def test_nonsense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(fields))):
        JPEG(**fields)
    with pytest.raises(UsageError, match="undoes Jpeg, not Denoise"):
        JPEG()(Problem(draw(0, 1, 3, 8, 8), Denoise()), PRIOR)


def test_of_two_compressions_the_last_alone_is_undone_where_the_first_was_fine(bundled: dict[str, Tensor]) -> None:
    first = compress(to_unit(bundled["coffee"][..., 64:192, 64:192]), 75)
    y = compress(first, 80)
    counted = Counted(PRIOR)
    *_, state = JPEG().iterate(Problem(to_model(y), Jpeg(80), 0.0), counted, Streams([0]))
    assert state.notes == ("JPEG quality 80, 4:2:0, after quality 75: the last one undone",)
    assert counted.nfe == 0
    assert psnr(to_unit(state.x), first).item() > psnr(y, first).item() + 0.5


def test_a_fine_copy_of_a_coarse_file_is_mended_by_the_coarse_ones_table(
    bundled: dict[str, Tensor], natural: Prior
) -> None:
    clean = to_unit(bundled["coffee"][..., 64:192, 64:192])
    y = compress(compress(clean, 30), 90)
    *_, state = JPEG().iterate(Problem(to_model(y), Jpeg(90)), natural, Streams([0]))
    assert state.notes == ("JPEG quality 90, 4:2:0, after quality 30 undone",)
    assert psnr(to_unit(state.x), clean).item() > psnr(y, clean).item() + 0.6


def test_the_last_of_shifted_compressions_is_believed_less(bundled: dict[str, Tensor], natural: Prior) -> None:
    clean = to_unit(bundled["coffee"][..., 64:192, 64:192])
    y = multiple_jpeg(clean)
    found = compression.estimate(to_model(y))
    assert found is not None
    assert found.before is not None
    assert not found.before.aligned
    out = {before: Decompression(replace(found, before=before)) for before in (found.before, None)}
    gained = {}
    for before, stage in out.items():
        *_, state = stage.iterate(to_model(y), Counted(natural), Streams([0]))
        gained[before] = psnr(to_unit(state.x), clean).item() - psnr(y, clean).item()
    assert gained[found.before] > gained[None] + 0.2


@pytest.mark.parametrize(
    ("flat", "fineness", "treated"),
    [(0.9, 90, False), (0.9, 60, True), (0.0, 90, True), (0.22, 75, False), (0.18, 75, True)],
)
def test_fine_files_of_drawn_pages_are_left_alone(flat: float, fineness: int, treated: bool) -> None:
    operator = Jpeg(fineness)
    found = known(operator.A(draw(0, 1, 3, 64, 64)), operator.coding)
    made = treatment(Diagnosis(content=Content(flat, False), compression=found), 1.0)
    assert (made is not None) == treated


@pytest.mark.parametrize(("fineness", "calls"), [(74, 7), (75, 3), (93, 3)])
def test_auto_makes_fewer_evaluations_for_fine_files(fineness: int, calls: int) -> None:
    found = Compression(Jpeg(fineness).coding, told=True)
    made = treatment(Diagnosis(compression=found), 1.0)
    assert made is not None
    assert made.nfe == calls
    twice = treatment(Diagnosis(compression=replace(found, before=Before(20, False, 9.0))), 1.0)
    assert twice is not None
    assert twice.nfe == 7


def test_macroblocks_of_a_page_with_clipped_pixels_stay_as_they_are() -> None:
    page = torch.full((1, 3, 48, 48), 0.4).double()
    page[..., 10:13, 20:23] = -0.9
    page[..., 34, 3], page[..., 35, 3] = 1.0, -1.0
    for content, fineness, kept in (
        (Content(0.3, False), 50, True), (Content(0.1, False), 50, False), (Content(0.3, False), 20, False),
        (Content(0.3, True), 50, True), (Content(0.1, True), 50, False),
    ):  # fmt: skip
        found = Compression(Jpeg(fineness).coding)
        side = 8 if content.grey else 16
        made = treatment(Diagnosis(content=content, compression=found), 1.0)
        assert made is not None
        *_, state = made.iterate(page, Counted(PRIOR), Streams([0]))
        same = (state.x == page)[0]
        assert bool(same[:, 32 : 32 + side, :side].all()) == kept
        assert not same[:, :16, 16:32].all()
