"""Other people's restorers: functions, and files through libraries that stand-ins play here."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import pellucid
from pellucid import methods
from pellucid.errors import PellucidError, UsageError
from pellucid.maths.noise import Streams
from pellucid.maths.problem import Problem
from pellucid.methods import External
from pellucid.operators import Denoise
from pellucid.priors.prior import Unused

NONE = Unused(torch.device("cpu"))
Command = Callable[..., Any]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return 2 * torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1


def halved(image: Tensor) -> Tensor:
    return image / 2


def doubled(image: Tensor) -> Tensor:
    return image.repeat_interleave(2, -1).repeat_interleave(2, -2)


class Watched:
    """A restorer that leaves images as they are, and remembers them."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def __call__(self, image: Tensor) -> Tensor:
        self.seen.append(image.clone())
        return image


# --- functions --------------------------------------------------------------------------------------------------------


def test_a_function_sees_zero_to_one_or_minus_one_to_one() -> None:
    y = draw(1, 3, 4, 5)
    torch.testing.assert_close(External(halved)(Problem(y), NONE), (y + 1) / 2 - 1)
    torch.testing.assert_close(External(halved, range="symmetric")(Problem(y), NONE), y / 2)


def test_it_is_shown_sides_that_divide() -> None:
    watched = Watched()
    y = draw(1, 1, 3, 5)
    out = External(watched, multiple=4)(Problem(y), NONE)
    torch.testing.assert_close(out, y)
    (seen,) = watched.seen
    assert seen.shape == (1, 1, 4, 8)
    # Reflected without repeating the edge.
    torch.testing.assert_close(seen[..., :3, 5:], seen[..., :3, [3, 2, 1]])
    torch.testing.assert_close(seen[..., 3, :5], seen[..., 1, :5])


def test_channels_are_made_to_fit() -> None:
    watched = Watched()
    colour, grey = draw(1, 3, 4, 4), draw(1, 1, 4, 4)
    torch.testing.assert_close(External(watched, channels=1)(Problem(colour), NONE), colour)
    assert [tuple(seen.shape) for seen in watched.seen] == [(1, 1, 4, 4)] * 3
    tint = torch.tensor([0.0, 0.3, 0.6]).view(1, 3, 1, 1)
    out = External(lambda image: image * tint, channels=3)(Problem(grey), NONE)
    torch.testing.assert_close(out, 0.3 * (grey + 1) - 1)
    with pytest.raises(UsageError, match="takes images of 3 channels, this one has 2"):
        External(watched, channels=3)(Problem(draw(1, 2, 4, 4)), NONE)


def test_an_enlarging_function_is_cut_in_proportion() -> None:
    y = draw(1, 3, 3, 5)
    torch.testing.assert_close(External(doubled, multiple=4)(Problem(y), NONE), doubled(y))


@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
@pytest.mark.parametrize("channels", [1, 3])
def test_laws(size: tuple[int, int], channels: int) -> None:
    kernel = draw(channels, channels, 3, 3, seed=1)

    def convolved(image: Tensor) -> Tensor:
        image *= 0.5  # writes into what it was given
        return torch.nn.functional.conv2d(image, kernel, padding=1)

    y = draw(2, channels, *size)
    before, method = y.clone(), External(convolved, multiple=2)
    out = method(Problem(y), NONE, seed=3)
    assert torch.equal(y, before)
    assert torch.equal(out, method(Problem(y), NONE, seed=4))
    assert torch.equal(out[1:], method(Problem(y[1:]), NONE))
    *_, state = method.iterate(Problem(y), NONE, Streams([0, 1]))
    assert (state.step, state.total, state.nfe) == (1, 1, method.nfe(NONE)) == (1, 1, 0)


def test_what_is_no_image_is_an_error() -> None:
    y = Problem(draw(1, 3, 4, 4))
    answers: list[tuple[Any, str]] = [
        (lambda image: image * float("nan"), "not finite"),
        (lambda image: image[..., ::2], "gives .* no image of that size"),
        (lambda image: image[:, :1], "gives .* no image of that size"),
        (lambda image: image[0], "gives .* no image of that size"),
        (lambda image: image.numpy(), "gives ndarray, not a tensor"),
    ]
    for answer, says in answers:
        with pytest.raises(PellucidError, match=says):
            External(answer)(y, NONE)
    with pytest.raises(UsageError, match="blind"):
        External(halved)(Problem(y.y, Denoise(), 0.1), NONE)


def test_it_minds_its_ranges() -> None:
    for field, value in (("multiple", 0), ("range", "half"), ("channels", 2)):
        arguments: Any = {field: value}
        with pytest.raises(UsageError, match=field):
            External(halved, **arguments)
    for model in (None, "network.tflite", 3):
        wrong: Any = model
        with pytest.raises(UsageError, match=r"model must be a function, MODULE:OBJECT, FILE\.py:OBJECT, or a file"):
            External(wrong)


# --- objects of modules -----------------------------------------------------------------------------------------------


def test_an_object_of_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_restorers.py").write_text(
        "class Group:\n    half = staticmethod(lambda x: x / 2)\nnumber = 3\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    y = draw(1, 3, 4, 4)
    method = methods.get("own_restorers:Group.half", multiple=2)
    assert method == External("own_restorers:Group.half", multiple=2)
    torch.testing.assert_close(method(Problem(y), NONE), (y + 1) / 2 - 1)
    for name, says in (
        ("own_restorers:nothing", "cannot be imported"),
        ("no_such_module:f", "cannot be imported"),
        ("own_restorers:number", "is no function of images"),
        ("own_restorers:Group", "is no function of images"),
    ):
        with pytest.raises(UsageError, match=says):
            External(name)(Problem(y), NONE)


def test_names_of_methods_come_first_and_typing_errors_stay() -> None:
    assert methods.find("dir/net.ONNX") is External
    assert methods.find("dreamclean") is methods.DreamClean
    for name in ("dreamclaen", "dreamclean:", "net.tflite"):
        with pytest.raises(UsageError, match="unknown method"):
            methods.find(name)
    with pytest.raises(UsageError, match="already names the restorer"):
        methods.get("net.onnx", model="other.onnx")
    with pytest.raises(UsageError, match=r"net\.onnx has no 'strength'"):
        methods.get("net.onnx", strength=3)


# --- ONNX -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def onnx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """ONNX Runtime, playing a network that halves images; what it takes and answers may be changed."""
    told = SimpleNamespace(
        inputs=[SimpleNamespace(name="image", shape=["n", 3, "h", "w"], type="tensor(float)")],
        answer=lambda pixels: pixels / 2,
        sessions=0,
        path=tmp_path / "net.onnx",
    )
    told.path.write_bytes(b"onnx")

    class InferenceSession:
        def __init__(self, path: str, providers: list[str]) -> None:
            assert (path, providers) == (str(told.path), ["CPUExecutionProvider"])
            if told.path.read_bytes() != b"onnx":
                raise RuntimeError("no protobuf\nat all")
            told.sessions += 1

        def get_inputs(self) -> list[SimpleNamespace]:
            return list(told.inputs)

        def run(self, outputs: None, feed: dict[str, Any]) -> list[Any]:
            ((name, pixels),) = feed.items()
            assert name == told.inputs[0].name
            assert pixels.flags.c_contiguous
            told.dtype = pixels.dtype
            return [told.answer(pixels)]

    module: Any = ModuleType("onnxruntime")
    module.InferenceSession = InferenceSession
    module.get_available_providers = lambda: ["CPUExecutionProvider"]
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    return told


def test_an_onnx_file(onnx: SimpleNamespace) -> None:
    y = draw(2, 3, 4, 5)
    method = External(onnx.path)
    for _ in range(2):
        torch.testing.assert_close(method(Problem(y), NONE), (y + 1) / 2 - 1, atol=1e-6, rtol=0)
    assert (onnx.sessions, onnx.dtype) == (1, np.float32)
    onnx.inputs[0].type = "tensor(float16)"
    External(onnx.path)(Problem(y), NONE)
    assert onnx.dtype == np.float16


def test_an_onnx_file_says_its_channels_and_size(onnx: SimpleNamespace) -> None:
    onnx.inputs[0].shape = [1, 1, 4, 4]
    y = draw(1, 3, 4, 4)
    torch.testing.assert_close(External(onnx.path)(Problem(y), NONE), (y + 1) / 2 - 1, atol=1e-6, rtol=0)
    with pytest.raises(PellucidError, match=r"takes images of \[4, 4\] pixels alone, not of \[3, 5\]"):
        External(onnx.path)(Problem(draw(1, 3, 3, 5)), NONE)
    for shape, kind in (
        ([1, 4, "h", "w"], "tensor(float)"), (["n", 3], "tensor(float)"), ([1, 3, 4, 4], "tensor(uint8)"),
    ):  # fmt: skip
        onnx.inputs[0].shape, onnx.inputs[0].type = shape, kind
        with pytest.raises(PellucidError, match="a restorer takes floats"):
            External(onnx.path)(Problem(y), NONE)


def test_onnx_errors_are_a_line(onnx: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    y = Problem(draw(1, 3, 4, 4))

    def fails(pixels: Any) -> Any:
        raise RuntimeError("bad node\nmore")

    onnx.answer = fails
    with pytest.raises(PellucidError, match=r"net\.onnx: onnxruntime failed \(bad node\)$"):
        External(onnx.path)(y, NONE)
    onnx.inputs.append(SimpleNamespace(name="sigma", shape=[1], type="tensor(float)"))
    with pytest.raises(PellucidError, match=r"takes 2 inputs \(image, sigma\)"):
        External(onnx.path)(y, NONE)
    onnx.path.write_bytes(b"text")
    with pytest.raises(PellucidError, match=r"cannot be read as ONNX \(no protobuf\)$"):
        External(onnx.path)(y, NONE)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(PellucidError, match=r"pip install 'pellucid\[onnx\]'"):
        External(onnx.path)(y, NONE)
    onnx.path.unlink()
    with pytest.raises(PellucidError, match="there is no such file"):
        External(onnx.path)(y, NONE)


# --- spandrel ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def spandrel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SimpleNamespace:
    """spandrel, playing a network that doubles the size."""
    told = SimpleNamespace(path=tmp_path / "net.pth", seen=[], channels=(3, 3), fails=False, masked=False)
    told.path.write_bytes(b"weights")

    class ImageModelDescriptor:
        scale = 2
        size_requirements = SimpleNamespace(minimum=6, multiple_of=4, square=True)
        model = torch.nn.Identity()

        def __init__(self) -> None:
            self.input_channels, self.output_channels = told.channels

        @torch.inference_mode()
        def __call__(self, image: Tensor) -> Tensor:
            assert image.dtype == torch.float32
            told.seen.append(tuple(image.shape))
            return doubled(image).clamp_(0, 1)

    class ModelLoader:
        def __init__(self, device: torch.device) -> None:
            assert device == torch.device("cpu")

        def load_from_file(self, path: Path) -> Any:
            assert path == told.path
            if told.fails:
                raise ValueError("unknown network\nreally")
            return SimpleNamespace() if told.masked else ImageModelDescriptor()

    module: Any = ModuleType("spandrel")
    module.ModelLoader, module.ImageModelDescriptor = ModelLoader, ImageModelDescriptor
    monkeypatch.setitem(sys.modules, "spandrel", module)
    return told


def test_a_checkpoint_that_spandrel_knows(spandrel: SimpleNamespace) -> None:
    y = draw(1, 3, 5, 9)
    out = External(spandrel.path)(Problem(y), NONE)
    torch.testing.assert_close(out, doubled(y), atol=1e-6, rtol=0)
    assert spandrel.seen == [(1, 3, 12, 12)]
    External(spandrel.path, multiple=5)(Problem(draw(1, 1, 5, 5)), NONE)
    assert spandrel.seen[1:] == [(1, 3, 20, 20)]


def test_spandrel_errors_are_a_line(spandrel: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    y = Problem(draw(1, 3, 4, 4))
    spandrel.channels = (3, 1)
    with pytest.raises(PellucidError, match="from an image to an image"):
        External(spandrel.path)(y, NONE)
    spandrel.masked = True
    with pytest.raises(PellucidError, match="from an image to an image"):
        External(spandrel.path)(y, NONE)
    spandrel.fails = True
    with pytest.raises(PellucidError, match=r"spandrel cannot read it \(unknown network\)$"):
        External(spandrel.path)(y, NONE)
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(PellucidError, match=r"pip install 'pellucid\[spandrel\]'"):
        External(spandrel.path)(y, NONE)


# --- through the front doors ------------------------------------------------------------------------------------------


def test_restore_gives_back_what_came_in_or_larger() -> None:
    array = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    same = External(lambda image: image)
    for pixels in (array, array[..., 0], array[..., :1], array[..., :2]):
        np.testing.assert_array_equal(pellucid.restore(pixels, same), pixels)
    large = pellucid.restore(array, External(doubled))
    np.testing.assert_array_equal(large, array.repeat(2, 0).repeat(2, 1))
    assert pellucid.restore(array[..., :1], External(doubled)).shape == (8, 10, 1)
    assert pellucid.restore(Image.fromarray(array), External(doubled)).size == (10, 8)
    # Opaque pixels stay opaque.
    array[..., 1] = 255
    np.testing.assert_array_equal(
        pellucid.restore(array[..., :2], External(doubled)), array[..., :2].repeat(2, 0).repeat(2, 1)
    )


def test_no_prior_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pellucid.restoration.runner.load_prior", lambda *_: pytest.fail("loads a prior"))
    pellucid.restore(torch.zeros(1, 1, 2, 2), External(halved))


def test_on_the_command_line(
    pellucid_command: Command, onnx: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = tmp_path / "photo.png"
    array = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    Image.fromarray(array).save(photo)
    said = pellucid_command("restore", photo, "-o", tmp_path / "a.png", "-m", "external", "--set", f"model={onnx.path}")
    assert (said.code, said.err) == (0, "")
    assert "0 NFE" in said.out
    onnx.answer = lambda pixels: np.repeat(np.repeat(pixels, 2, 2), 2, 3)
    trace = tmp_path / "trace"
    said = pellucid_command("restore", photo, "-o", tmp_path / "b.png", "-m", onnx.path, "--trace", trace, "--json")
    assert json.loads(said.out).items() >= {"nfe": 0, "error": None}.items()
    with Image.open(tmp_path / "a.png") as a, Image.open(tmp_path / "b.png") as b:
        np.testing.assert_allclose(np.asarray(a), array / 2, atol=0.51)
        np.testing.assert_array_equal(np.asarray(b), array.repeat(2, 0).repeat(2, 1))
    assert (trace / "photo.png.csv").is_file()
    onnx.path.unlink()
    # Before the first image, and for a dry run, too.
    said = pellucid_command("restore", photo, "-o", tmp_path / "c.png", "-m", onnx.path, "--dry-run")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "there is no such file" in said.err
    said = pellucid_command("restore", photo, "-o", tmp_path / "c.png", "-m", "external")
    assert said.code == 2
    assert "model must be" in said.err


def test_what_it_has_loaded_is_not_sent_to_other_processes() -> None:
    method = External("pellucid.maths.problem:to_unit")
    method.prepare(torch.device("cpu"))
    sent = pickle.loads(pickle.dumps(method))
    assert sent == method
    assert vars(sent).keys() < vars(method).keys()
    y = torch.linspace(-1, 1, 12).view(1, 3, 2, 2)
    assert torch.equal(sent(Problem(y), NONE), method(Problem(y), NONE))
