from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import pellucid
from pellucid import images, methods
from pellucid.api import Restorer
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import derive_seed, linear_ladder
from pellucid.maths.problem import Problem, to_unit
from pellucid.methods import DreamClean
from pellucid.operators import AveragePool, Denoise, Fourier, Grayscale, Mask
from pellucid.priors import GaussianPrior, VENetwork, load_prior
from pellucid.restoration.restored import Restored
from pellucid.restoration.runner import Runner

SHORT = DreamClean(strength=30, steps=100)
PRIOR = GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3))


def test_the_public_names() -> None:
    names = ["PellucidError", "Problem", "Recipe", "UsageError", "degradations", "diagnose", "load_prior", "methods"]
    assert dir(pellucid) == [*names, "metrics", "operators", "priors", "propose_mask", "restore"]
    for name in dir(pellucid):
        assert getattr(pellucid, name) is not None
    assert pellucid.__version__
    with pytest.raises(AttributeError, match="restroe"):
        _ = pellucid.restroe


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(), (1,), (2,), (3,), (4,)]),
    st.sampled_from([np.uint8, np.uint16, np.float32, np.float64]),
)
def test_numpy_in_numpy_out(size: tuple[int, int], channels: tuple[int, ...], dtype: Any) -> None:
    full = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    image = (np.random.default_rng(0).random(size + channels) * full).astype(dtype)
    before = image.copy()
    out = pellucid.restore(image, SHORT, PRIOR)
    assert out.shape == image.shape
    assert out.dtype == image.dtype
    np.testing.assert_array_equal(image, before)
    if channels in ((2,), (4,)):
        np.testing.assert_array_equal(out[..., -1], image[..., -1])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_pillow_in_pillow_out(mode: str) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (7, 5, 3), np.uint8)).convert(mode)
    out = pellucid.restore(image, SHORT, PRIOR)
    assert isinstance(out, Image.Image)
    assert (out.mode, out.size) == (mode, (5, 7))


def test_a_path_gives_a_pillow_image_with_its_metadata(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a description"
    Image.new("RGB", (5, 7), "red").save(tmp_path / "in.jpg", exif=exif)
    out = pellucid.restore(tmp_path / "in.jpg", SHORT, PRIOR)
    assert out.getexif()[0x010E] == "a description"
    assert pellucid.restore(str(tmp_path / "in.jpg"), SHORT, PRIOR).tobytes() == out.tobytes()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
@pytest.mark.parametrize("channels", [1, 3])
def test_torch_in_torch_out(dtype: torch.dtype, channels: int) -> None:
    image = torch.rand(2, channels, 6, 5, generator=torch.Generator().manual_seed(0)).to(dtype)
    before = image.clone()
    out = pellucid.restore(image, SHORT, PRIOR)
    assert (out.shape, out.dtype) == (image.shape, dtype)
    assert 0 <= out.min() <= out.max() <= 1
    assert torch.equal(image, before)


def test_a_batch_is_its_images_one_by_one(tiny_prior: Path) -> None:
    image = torch.rand(3, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    prior = load_prior(tiny_prior)
    together = pellucid.restore(image, SHORT, prior, seed=5)
    for i in range(3):
        assert torch.equal(pellucid.restore(image[i : i + 1], SHORT, prior, seed=5 + i), together[i : i + 1])


def test_the_seed_decides(tiny_prior: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    once, again, other = (pellucid.restore(image, SHORT, tiny_prior, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(once, again)
    assert (once != other).any()


@pytest.mark.parametrize("kind", ["path", "pillow", "numpy", "torch"])
def test_samples_are_restorations_with_noise_of_their_own(tmp_path: Path, kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    kinds = {"path": tmp_path / "in.png", "pillow": Image.fromarray(pixels), "numpy": pixels}
    image: Any = kinds.get(kind, torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0)))
    samples = pellucid.restore(image, SHORT, PRIOR, seed=4, samples=3)
    assert isinstance(samples, list)
    first, *others = (np.asarray(sample) for sample in samples)
    np.testing.assert_array_equal(first, np.asarray(pellucid.restore(image, SHORT, PRIOR, seed=4)))
    assert all((first != other).any() for other in others)
    assert (others[0] != others[1]).any()
    # Fewer are the first of more.
    np.testing.assert_array_equal(others[0], np.asarray(pellucid.restore(image, SHORT, PRIOR, seed=4, samples=2)[1]))


def test_samples_have_the_seeds_of_the_command_line() -> None:
    image = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    second = pellucid.restore(image, SHORT, PRIOR, seed=4, samples=2)[1]
    for i in range(2):
        alone = pellucid.restore(image[i : i + 1], SHORT, PRIOR, seed=derive_seed(4 + i, sample=1))
        assert torch.equal(second[i : i + 1], alone)


def test_equal_samples_are_said(caplog: pytest.LogCaptureFixture) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    calm = replace(SHORT, schedule="none")
    pellucid.restore(image, calm, PRIOR, samples=1)
    pellucid.restore(image, SHORT, PRIOR, samples=2)
    assert not caplog.messages
    pellucid.restore(image, calm, PRIOR, samples=3)
    assert caplog.messages == ["no random numbers are used: all samples are equal"]
    with pytest.raises(UsageError, match="samples are 1 or more"):
        pellucid.restore(image, calm, PRIOR, samples=0)


def test_by_name_and_as_objects_is_the_same(tiny_prior: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (16, 16, 3), np.uint8)
    by_name = pellucid.restore(image, "dreamclean", tiny_prior, strength=30)
    by_path = pellucid.restore(image, "dreamclean", str(tiny_prior), strength=30)
    as_objects = pellucid.restore(image, DreamClean(strength=30), load_prior(tiny_prior, precision="auto"))
    np.testing.assert_array_equal(by_name, as_objects)
    np.testing.assert_array_equal(by_name, by_path)


def test_grey_goes_through_a_colour_prior_as_grey() -> None:
    image = torch.rand(1, 1, 6, 5, generator=torch.Generator().manual_seed(0))
    method = DreamClean(strength=30, gamma=0)
    expected = pellucid.restore(image.expand(-1, 3, -1, -1), method, PRIOR)
    torch.testing.assert_close(pellucid.restore(image, method, PRIOR), expected[:, :1])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"method": "dreamclen"}, "did you mean 'dreamclean'"),
        ({"prior": "naturel"}, "did you mean 'natural'"),
        ({"strenght": 3}, "there is no option 'strenght': did you mean 'strength'"),
        ({"methd": "ddrm"}, "there is no option 'methd': did you mean 'method'"),
        ({"fidelty": 0.4}, "did you mean 'fidelity'"),
        ({"zzz": 1}, "has no 'zzz'"),
        (
            {"task": "inpaint", "mask": np.zeros((4, 4))},
            "^mask is the name of a file, not of type ndarray; save it as one$",
        ),
        ({"samples": True}, "samples are 1 or more"),
        ({"samples": 10**9}, "samples are 1 or more of each image, and at most 10000, not 1000000000"),
        ({"noise": 25.0, "method": "denoise"}, "say 25/255 for 25 of 255"),
        ({"strength": 2000}, "strength must be above 0"),
        ({"noise": 0.1}, "blind"),
        ({"method": "ddrm", "operator": Denoise(), "noise": -0.1}, "not -0.1"),
        ({"device": "abacus"}, "abacus"),
        ({"tile": 0}, "tile"),
        ({"method": SHORT, "strength": 3}, "already"),
    ],
)
def test_wrong_arguments_are_usage_errors(arguments: dict[str, Any], says: str) -> None:
    image = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(UsageError, match=says):
        pellucid.restore(image, **{"prior": PRIOR, **arguments})


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (torch.zeros(3, 4, 4), r"\(B, C, H, W\)"),
        (torch.zeros(1, 3, 4, 4, dtype=torch.uint8), "uint8: divide it by 255"),
        (torch.full((1, 3, 4, 4), 200.0), "divide it first"),
        (torch.zeros(1, 2, 4, 4), "3 channels, this one has 2"),
        (torch.full((1, 3, 4, 4), float("nan")), "not finite"),
        (42, "an image is a path, .*, not int$"),
        (b"GIF89a", "not bytes: open them by PIL.Image.open"),
        (["a.png"], "not list: give one after the other"),
    ],
)
def test_wrong_images_are_usage_errors(image: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        pellucid.restore(image, SHORT, PRIOR)


@pytest.mark.parametrize("find", [partial(pellucid.diagnose, prior=PRIOR), pellucid.propose_mask])
def test_pixels_that_are_no_numbers_are_refused(find: Callable[[Any], object]) -> None:
    with pytest.raises(UsageError, match="not finite"):
        find(np.full((32, 32, 3), np.nan))


def test_numbers_of_numpy_and_torch_are_numbers() -> None:
    image = np.random.default_rng(0).random((8, 8, 3))
    kinds: list[Any] = [np.float32(0.25), np.array(0.25), np.array([0.25]), torch.tensor([0.25])]
    results = [pellucid.restore(image, "denoise", PRIOR, noise=noise) for noise in (0.25, *kinds)]
    assert all(np.array_equal(results[0], each) for each in results)
    recipe = pellucid.Recipe(task="enlarge", by=np.int64(3), seed=np.int32(7), tile=torch.tensor(64))  # type: ignore[arg-type]
    assert recipe == pellucid.Recipe(task="enlarge", by=3, seed=7, tile=64)
    assert len(pellucid.restore(image, SHORT, PRIOR, samples=np.int64(2))) == 2


def test_what_pillow_could_not_return_is_refused_before_any_work(tmp_path: Path) -> None:
    images.write(images.from_array(np.zeros((4, 4, 3), np.uint16)), tmp_path / "deep.tif")
    with pytest.raises(PellucidError, match="numpy"):
        pellucid.restore(tmp_path / "deep.tif", SHORT, PRIOR)


def test_a_network_gone_wrong_is_an_error_not_a_grey_image() -> None:
    def broken(x: Tensor, sigma: Tensor) -> Tensor:
        return x * float("nan")

    with pytest.raises(PellucidError, match="not finite"):
        pellucid.restore(np.zeros((4, 4, 3), np.uint8), SHORT, VENetwork(broken, linear_ladder()))


# --- a known degradation ---


def test_the_noise_level_is_estimated_and_said(caplog: pytest.LogCaptureFixture) -> None:
    image = (0.5 + 0.05 * torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    out = pellucid.restore(image, "ddrm", PRIOR, operator=Denoise(), seed=3)
    assert "estimated as 0.05" in caplog.text
    # Each image has its own level: together they are what they are by themselves.
    for i in range(2):
        assert torch.equal(pellucid.restore(image[i : i + 1], "ddrm", PRIOR, Denoise(), seed=3 + i), out[i : i + 1])
    caplog.clear()
    pellucid.restore(image, "ddrm", PRIOR, operator=Denoise(), noise=0.05)
    assert caplog.text == ""


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_known_pixels_stay_to_the_bit_when_there_is_no_noise(dtype: Any) -> None:
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (16, 12, 3), dtype, endpoint=True)
    mask = Mask.random(16, 12, 0.3)
    out = pellucid.restore(image, "ddrm", PRIOR, mask, 0.0)
    known = mask.known[0, 0].numpy() > 0
    np.testing.assert_array_equal(out[known], image[known])
    assert (out[~known] != image[~known]).any()


def test_grey_and_small_measurements() -> None:
    grey = np.random.default_rng(0).random((8, 10))
    assert pellucid.restore(grey, "ddrm", PRIOR, Denoise(), 0.1).shape == (8, 10)
    assert pellucid.restore(grey, "ddrm", PRIOR, Grayscale(), 0.1).shape == (8, 10, 3)
    assert pellucid.restore(grey, "ddrm", PRIOR, AveragePool(4), 0.1).shape == (32, 40)
    restorer = Restorer("ddrm", PRIOR, operator=AveragePool(4), noise=0.0)
    seen: list[int] = []
    restorer.run(torch.rand(1, 3, 8, 10), progress=seen.append)
    assert sum(seen) == restorer.work(8, 10) == 20 * 32 * 40
    clear = pellucid.restore(np.zeros((4, 4, 4), np.uint8), "ddrm", PRIOR, AveragePool(2), 0.1)
    assert clear.shape == (8, 8, 4)
    assert not clear[..., 3].any()
    with pytest.raises(UsageError, match="give an operator"):
        pellucid.restore(grey, "ddrm", PRIOR, noise=0.1)


def test_a_task_brings_operator_method_and_what_is_best_for_it() -> None:
    small = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    expected = pellucid.restore(
        small, "dreamclean-known", PRIOR, operator=AveragePool(2), noise=0.1, gamma=0.5, steps=10, strength=50
    )
    assert expected.shape == (1, 3, 12, 10)
    assert torch.equal(pellucid.restore(small, None, PRIOR, task="sr2", noise=0.1, steps=10, strength=50), expected)
    told = pellucid.restore(small, "ddrm", PRIOR, operator=AveragePool(2), noise=0.1, steps=3)
    assert torch.equal(pellucid.restore(small, "ddrm", PRIOR, task="sr2", noise=0.1, steps=3), told)


def test_inpainting_keeps_what_the_mask_leaves(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    missing = np.zeros((8, 9), np.uint8)
    missing[2:5, 3:6] = 255
    Image.fromarray(missing).save(tmp_path / "mask.png")
    restored = pellucid.restore(pixels, prior=PRIOR, task="inpaint", mask=tmp_path / "mask.png", steps=20, exact=True)
    assert np.array_equal(restored[missing == 0], pixels[missing == 0])
    assert not np.array_equal(restored[missing > 0], pixels[missing > 0])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"task": "sr3"}, "unknown task 'sr3'"),
        ({"task": "sr2", "operator": AveragePool(2)}, "leave the operator out"),
        ({"task": "sr2", "method": SHORT}, "name the method"),
        ({"task": "inpaint"}, "inpaint needs a mask"),
        ({"kernel": "k.png"}, "a kernel with the task deblur"),
        ({"task": "hdr"}, "stack them along C"),
    ],
)
def test_a_task_that_does_not_fit_is_refused(call: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        pellucid.restore(np.zeros((4, 4, 3), np.uint8), prior=PRIOR, **call)


def test_tensors_beyond_their_range_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """As of arrays: what lies beyond [0, 1] by more than a trace is cut, and the logger "pellucid" says so."""
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pellucid.restore(image, SHORT, PRIOR)
    assert caplog.text == ""
    pellucid.restore(image * 1.5, SHORT, PRIOR)
    assert "of its values are beyond [0, 1], from" in caplog.text
    with pytest.raises(UsageError, match="seems to be in"):
        pellucid.restore(image * 2 - 1, SHORT, PRIOR)


def test_samples_have_a_mean_and_a_deviation(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 3), np.uint8)
    floats = (pixels / 255).astype(np.float32)
    made = pellucid.restore(floats, SHORT, PRIOR, samples=4)
    np.testing.assert_allclose(made.mean_map, np.mean(made, 0), atol=1e-6)
    np.testing.assert_allclose(made.std_map, np.std(made, 0, ddof=1), atol=1e-6)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    pictures = pellucid.restore(tmp_path / "in.png", SHORT, PRIOR, samples=4)
    assert np.abs(np.asarray(pictures.mean_map) / 255 - made.mean_map).max() < 0.6 / 255
    np.testing.assert_allclose(pictures.std_map, made.std_map, atol=1e-6)
    grey = pellucid.restore(floats[..., 0], SHORT, PRIOR, samples=2)
    assert grey.std_map.shape == grey.mean_map.shape == (6, 5)
    tensors = pellucid.restore(torch.from_numpy(floats).permute(2, 0, 1)[None], SHORT, PRIOR, samples=4)
    torch.testing.assert_close(tensors.std_map[0].permute(1, 2, 0), torch.from_numpy(made.std_map))
    torch.testing.assert_close(tensors.mean_map[0].permute(1, 2, 0), torch.from_numpy(made.mean_map))
    with pytest.raises(UsageError, match="two samples"):
        _ = pellucid.restore(floats, SHORT, PRIOR, samples=1).std_map


def test_samples_are_made_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand(1, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    whole = pellucid.restore(image, SHORT, PRIOR, samples=5)
    sizes: list[int] = []
    run = Runner.run

    def counted(self: Runner, colours: torch.Tensor, *arguments: Any, **more: Any) -> Restored:
        sizes.append(len(colours))
        if len(colours) > 2:
            raise MemoryError
        return run(self, colours, *arguments, **more)

    monkeypatch.setattr(Runner, "run", counted)
    for one, other in zip(whole, pellucid.restore(image, SHORT, PRIOR, samples=5), strict=True):
        assert torch.equal(one, other)
    assert sizes == [5, 2, 2, 1]


def test_no_gradient_goes_through() -> None:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).requires_grad_()
    restored = pellucid.restore(image, "dps", PRIOR, operator=Denoise(), noise=0.1, steps=3)
    assert not restored.requires_grad


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_floats_of_every_width_come_back_as_they_are(tiny_prior: Path, kind: torch.dtype) -> None:
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).to(kind)
    prior = load_prior(tiny_prior)
    restored = pellucid.restore(image, "ddnm", prior, operator=Denoise(), noise=0.1, steps=3)
    assert restored.dtype == kind
    # A problem computes in float32 at least.
    problem = Problem.of(image, Denoise(), 0.1)
    wide = torch.float64 if kind == torch.float64 else torch.float32
    made = methods.get("ddnm", steps=3)(problem, prior)
    assert made.dtype == wide
    if wide == torch.float32:  # noise of float64 is another draw
        assert (to_unit(made) - restored.float()).abs().max() < 0.01
    assert made.isfinite().all()


def test_images_have_noise_levels_of_their_own() -> None:
    image = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    operator = Denoise()
    for levels in ([0.05, 0.2], torch.tensor([0.05, 0.2]).view(2, 1, 1, 1)):
        both = pellucid.restore(image, "ddrm", PRIOR, operator=operator, noise=levels, seed=3)
        for i, level in enumerate((0.05, 0.2)):
            alone = pellucid.restore(image[i : i + 1], "ddrm", PRIOR, operator=operator, noise=level, seed=3 + i)
            torch.testing.assert_close(both[i : i + 1], alone)
    with pytest.raises(UsageError, match="3 noise levels for 2 images"):
        pellucid.restore(image, "ddrm", PRIOR, operator=operator, noise=[0.1, 0.2, 0.3])
    with pytest.raises(UsageError, match="noise is a number"):
        pellucid.restore(image, "ddrm", PRIOR, operator=operator, noise=["loud", 0.1])  # type: ignore[list-item]


@pytest.mark.parametrize("method", ["ddrm", "dps", "pigdm"])
def test_frequencies_of_an_image_are_restored_to_it(method: str) -> None:
    """All of them, without noise: there is one image that has them."""
    image = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    operator = Fourier(torch.ones(8, 8))
    spectrum = torch.fft.fft2(image, norm="ortho")
    more: dict[str, Any] = {"scale": 1.0} if method == "dps" else {}
    for y in (spectrum, Fourier.real(spectrum)):
        restored = pellucid.restore(y, method, PRIOR, operator=operator, noise=1e-3, **more)
        assert restored.dtype == torch.float32
        assert (restored - image).abs().mean() < (0.05 if method == "dps" else 0.005)
    assert torch.equal(Problem.of(spectrum, operator).y, Problem.of(Fourier.real(spectrum), operator).y)
    with pytest.raises(UsageError, match="give noise"):
        pellucid.restore(spectrum, "ddrm", PRIOR, operator=operator)
    with pytest.raises(UsageError, match="float"):
        pellucid.restore(spectrum, SHORT, PRIOR)


@pytest.mark.parametrize(
    ("mode", "says"), [("I", "array of uint16"), ("F", "array of uint16"), ("HSV", "convert to RGB")]
)
def test_a_mode_that_cannot_be_restored_has_a_way_that_loses_nothing(mode: str, says: str) -> None:
    with pytest.raises(pellucid.PellucidError, match=says):
        pellucid.restore(Image.new(mode, (4, 4)))


@pytest.mark.parametrize("ground", [0, 255])
def test_noise_of_a_cut_out_is_found_whatever_lies_under_what_is_transparent(
    bundled: dict[str, Tensor], ground: int
) -> None:
    clean = (bundled["cat"][0, :, :128, :128].permute(1, 2, 0).numpy() + 1) * 127.5
    noisy = (clean + np.random.default_rng(0).normal(0, 15, clean.shape)).clip(0, 255)
    seen = np.hypot(*(np.mgrid[:128, :128] - 64)) < 56
    noisy[~seen] = ground
    cut = np.dstack([noisy, 255 * seen]).astype(np.uint8)
    restored = pellucid.restore(cut)
    np.testing.assert_array_equal(restored[~seen], cut[~seen])
    before, after = (np.square(one[seen][:, :3] - clean[seen]).mean() for one in (cut, restored))
    assert after < before / 3


def test_an_image_on_its_side_stays_so_and_of_several_frames_one_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"
    Image.new("RGB", (24, 16), "teal").save(tmp_path / "a.jpg", exif=exif)
    with Image.open(tmp_path / "a.jpg") as image:
        restored = pellucid.restore(image)
        assert image.getexif()[0x0112] == 6, "it writes nothing into its input"
    assert restored.size == (24, 16)
    assert (restored.getexif()[0x0112], restored.getexif()[0x010F]) == (6, "a maker")
    frames = [Image.new("RGB", (24, 16), colour) for colour in ("teal", "navy")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with Image.open(tmp_path / "a.gif") as image:
        assert pellucid.restore(image).size == (24, 16)
    assert "the image has 2 frames or pages: its current one alone is restored" in caplog.messages
