"""`pellucid restore` where nobody knows the damage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

import pellucid
from pellucid import images
from pellucid.maths.problem import to_unit
from pellucid.operators import blur

Command = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def photo(bundled: dict[str, Tensor], tmp_path: Path) -> Path:
    """A small photograph, saved as a bad JPEG."""
    path = tmp_path / "photo.jpg"
    pixels = (to_unit(bundled["coffee"])[0, :, :48, :56] * 255).byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(path, quality=10)
    return path


def record(said: tuple[int, str, str]) -> dict[str, object]:
    assert said[0] == 0, said
    found: dict[str, object] = json.loads(said[1])
    return found


def test_what_was_chosen_is_said(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy.png"
    draw = np.random.default_rng(0).normal(0, 20, (48, 56, 3))
    Image.fromarray((images.read(photo).pixels + draw).clip(0, 255).astype(np.uint8)).save(noisy)
    said = pellucid_command("restore", noisy, "-o", tmp_path / "a.png")
    assert said[0] == 0
    assert ": white noise of" in said[1]
    assert "removed" in said[1]
    note = record(pellucid_command("restore", noisy, "-o", tmp_path / "b.png", "--json"))["note"]
    assert str(note).startswith("white noise of")


def test_a_diagnosis_changes_nothing_and_names_the_remedy(
    pellucid_command: Command, photo: Path, tmp_path: Path
) -> None:
    noisy, before = tmp_path / "noisy.png", set(tmp_path.iterdir())
    draw = np.random.default_rng(0).normal(0, 20, (48, 56, 3))
    Image.fromarray((images.read(photo).pixels + draw).clip(0, 255).astype(np.uint8)).save(noisy)
    said = pellucid_command("diagnose", noisy)
    assert said[0] == 0
    assert f"pellucid restore --task denoise {noisy}" in said[1]
    found = json.loads(pellucid_command("diagnose", noisy, "--json")[1])
    kinds = {one["kind"]: one for one in found["findings"]}
    assert kinds["noise"]["evidence"]["share"] > 0.65
    assert {"spread", "direction"} <= set(kinds["noise"]["evidence"]), "what decides is told"
    assert kinds["noise"]["confidence"] > 0.5
    in_python = {type(one).__name__.lower(): one for one in pellucid.diagnose(noisy).findings}
    assert {kind: one.evidence for kind, one in in_python.items()} == {k: one["evidence"] for k, one in kinds.items()}
    again = pellucid.diagnose(Image.open(noisy)).findings
    assert [one.evidence for one in again] == [one.evidence for one in in_python.values()]
    with pytest.raises(pellucid.UsageError, match="not a tensor"):
        pellucid.diagnose(images.read(noisy).tensor())  # type: ignore[arg-type]
    missing = pellucid_command("diagnose", tmp_path / "none.png", noisy)
    assert missing[0] == 1
    assert "none.png" in missing[2]
    assert str(noisy) in missing[1]
    assert set(tmp_path.iterdir()) == {*before, noisy}


def test_strengths_and_fidelity(pellucid_command: Command, photo: Path, tmp_path: Path, tiny_prior: Path) -> None:
    def run(*arguments: object) -> dict[str, object]:
        return record(
            pellucid_command(
                "restore", photo, "-o", tmp_path / "o.png", "-p", tiny_prior, "--overwrite", "--json", *arguments
            )
        )

    def hyper(*arguments: object) -> tuple[object, object]:
        found = run(*arguments)
        settings = found["hyper_parameters"]
        assert isinstance(settings, dict)
        return found["method"], settings.get("strength")

    assert hyper() == ("auto", None)
    assert hyper("--strength", 50) == ("dreamclean", 50)
    assert hyper("-m", "dreamclean") == ("dreamclean", "auto")
    assert hyper("--set", "corrections=2") == ("dreamclean", "auto")
    assert hyper("--strength", "auto") == ("dreamclean", "auto")
    assert run("--fidelity", 1)["note"] == "fidelity 1, left unchanged"
    assert np.array_equal(images.read(photo).pixels, images.read(tmp_path / "o.png").pixels)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--fidelity", 2), "fidelity must be from 0 to 1"),
        (("--fidelity", 0.5, "--set", "fidelity=0.4"), "set the same option"),
        (("--strength", "much"), "strength must"),
        (("-m", "diip", "--fidelity", 0.4), "no 'fidelity'"),
        (("--task", "hdr"), "two or more exposures"),
        (("-m", "denoise", "--save-kernel", "k.jpg"), "PNG"),
    ],
)
def test_wrong_calls(
    pellucid_command: Command, photo: Path, tmp_path: Path, arguments: tuple[object, ...], says: str
) -> None:
    said = pellucid_command("restore", photo, "-o", tmp_path / "o.png", *arguments)
    assert said[0] == 2
    assert says in said[2]
    assert not (tmp_path / "o.png").exists()


def test_a_kernel_is_saved_and_can_be_used(
    pellucid_command: Command, photo: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    kernel = tmp_path / "kernels" / "k.png"
    common = ("restore", photo, "-p", tiny_prior, "--overwrite")
    unblur = ("--task", "unblur", "-m", "gibbsddrm", "--set", "kernel=5", "--set", "steps=4")
    record(pellucid_command(*common, "-o", tmp_path / "o.png", *unblur, "--save-kernel", kernel, "--json"))
    found = blur.read(kernel)
    assert found.shape == (5, 5)
    assert found.sum().item() == pytest.approx(1)
    known = ("--task", "deblur", "--kernel", kernel, "--set", "iterations=2")
    assert pellucid_command(*common, "-o", tmp_path / "p.png", *known)[0] == 0
    # Several images have a folder; what exists is not written over unless that is said.
    both = ("restore", photo, photo, "-o", tmp_path / "out", "-p", tiny_prior, *unblur, "--save-kernel", kernel)
    assert pellucid_command(*both)[0] == 2
    assert "exists" in pellucid_command(*common[:-1], "-o", tmp_path / "q.png", *unblur, "--save-kernel", kernel)[2]


def test_a_method_without_a_kernel_says_so(
    pellucid_command: Command, photo: Path, tmp_path: Path, tiny_prior: Path
) -> None:
    said = pellucid_command(
        "restore", photo, "-o", tmp_path / "o.png", "-p", tiny_prior, "--save-kernel", tmp_path / "k.png"
    )
    assert said[0] == 1
    assert "found no kernel" in said[2]
    assert not (tmp_path / "o.png").exists()


def test_exposures_become_one_image(
    pellucid_command: Command, bundled: dict[str, Tensor], tmp_path: Path, tiny_prior: Path
) -> None:
    clean = to_unit(bundled["coffee"])[..., :24, :32]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, gain in zip(paths, (0.3, 0.8, 1.6), strict=True):
        images.write(images.from_tensor(clean * gain), path)
    target = tmp_path / "hdr.png"
    few = ("-p", tiny_prior, "--task", "hdr", "--set", "steps=4", "--set", "scale=100")
    assert pellucid_command("restore", *paths, "-o", target, *few)[0] == 0
    assert images.size_of(target) == (24, 32)
    assert pellucid_command("restore", *paths, "-o", target, *few)[0] == 2  # it exists
    images.write(images.from_tensor(clean[..., :20]), paths[1])
    said = pellucid_command("restore", *paths, "-o", target, "--overwrite", *few)
    assert said[0] == 1
    assert "same size, not 32x24, 20x24, 32x24" in said[2]
    said = pellucid_command("restore", *paths, "-o", tmp_path, *few)
    assert "say -o FILE" in said[2]
