from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pellucid import degradations, images
from pellucid.maths.noise import derive_seed

Command = Callable[..., Any]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)).save(path)
    return path


def test_a_damaged_image_is_written(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    before = photo.read_bytes()
    out = tmp_path / "out.png"
    said = pellucid_command("degrade", photo, "-o", out, "--damage", "poisson", "--set", "peak=20", "--seed", 3)
    assert (said.code, said.err, said.out) == (0, "", f"{photo} -> {out}  poisson\n")
    expected = degradations.poisson(images.read(photo).tensor(), 20.0, seed=3)
    assert np.array_equal(images.read(out).colour, images.from_tensor(expected).colour)
    assert photo.read_bytes() == before


def test_json_says_what_was_done(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    said = pellucid_command("degrade", photo, "-o", out, "-d", "multiple-jpeg", "--set", "qualities=9,8,7", "--json")
    assert json.loads(said.out) == {
        "input": str(photo), "output": str(out), "seed": 0, "width": 30, "height": 20, "error": None,
        "damage": "multiple-jpeg", "parameters": {"qualities": [9, 8, 7], "shifts": [0, 3, 6]},
    }  # fmt: skip


def test_a_folder_gives_the_same_bytes_wherever_it_lies(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    for folder in ("here", "there"):
        for name in ("a.png", "below/b.png"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).write_bytes(photo.read_bytes())
        said = pellucid_command(
            "degrade", tmp_path / folder, "-o", tmp_path / f"{folder}-out", "-d", "rain", "--seed", 1, "--json"
        )
        seeds = [json.loads(line)["seed"] for line in said.out.splitlines()]
        assert seeds == [derive_seed(1, "a.png"), derive_seed(1, "below/b.png")]
    a, b = ((tmp_path / "here-out" / name).read_bytes() for name in ("a.png", "below/b.png"))
    assert a != b
    assert (tmp_path / "there-out" / "below" / "b.png").read_bytes() == b


def test_what_the_file_had_stays(pellucid_command: Command, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (6, 5, 4), np.uint8)
    pixels[0, 0, 3] = 0
    exif = Image.Exif()
    exif[0x010E] = "a lake"
    Image.fromarray(pixels).save(tmp_path / "clear.png", exif=exif, icc_profile=b"profile", dpi=(300, 300))
    tifffile.imwrite(tmp_path / "deep.tif", rng.integers(0, 65535, (6, 5, 3), np.uint16), photometric="rgb")
    inputs = (tmp_path / "clear.png", tmp_path / "deep.tif")
    assert pellucid_command("degrade", *inputs, "-o", tmp_path / "out", "-d", "noise").code == 0
    before, after = images.read(inputs[0]), images.read(tmp_path / "out" / "clear.png")
    assert before.alpha is not None
    assert after.alpha is not None
    assert np.array_equal(before.alpha, after.alpha)
    assert np.array_equal(before.colour[0, 0], after.colour[0, 0])
    assert not np.array_equal(before.colour, after.colour)
    assert after.metadata["icc_profile"] == b"profile"
    with Image.open(tmp_path / "out" / "clear.png") as image:
        assert image.getexif()[0x010E] == "a lake"
    assert images.read(tmp_path / "out" / "deep.tif").colour.dtype == np.uint16


def test_the_bad_are_named_and_the_good_are_done(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    inputs = [tmp_path / name for name in ("missing.png", "text.jpg", "photo.png")]
    said = pellucid_command("degrade", *inputs, "-o", tmp_path / "out", "-d", "blur", "--json")
    assert said.code == 1
    lines = said.err.splitlines()
    assert [line.startswith(f"pellucid: {path}: ") for line, path in zip(lines, inputs, strict=True)] == [
        True,
        True,
        False,
    ]
    assert lines[2] == "1 of 3 images done, 2 failed"
    records = [json.loads(line) for line in said.out.splitlines()]
    assert [record["output"] is None for record in records] == [True, True, False]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_an_interrupt_leaves_what_is_done(
    pellucid_command: Command, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = tmp_path / "second.png"
    second.write_bytes(photo.read_bytes())
    read = images.read

    def interrupted(path: Path) -> images.Picture:
        if path == second:
            raise KeyboardInterrupt
        return read(path)

    monkeypatch.setattr(images, "read", interrupted)
    said = pellucid_command("degrade", photo, second, "-o", tmp_path / "out", "-d", "blur")
    assert said.code == 130
    assert "1 of 2 images done" in said.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo.png"]


def test_an_image_that_is_too_large_for_memory_is_named(
    pellucid_command: Command, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> images.Picture:
        raise MemoryError

    monkeypatch.setattr(images, "read", full)
    said = pellucid_command("degrade", photo, "-o", tmp_path / "out.png", "-d", "blur")
    assert (said.code, said.err) == (1, f"pellucid: {photo}: does not fit into memory\n")


def test_values_may_be_fractions(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    outs = []
    for number, words in enumerate((["noise:10/255"], ["noise", "--set", "sigma=10/255"], [f"noise:{10 / 255}"])):
        outs.append(tmp_path / f"{number}.png")
        assert pellucid_command("degrade", photo, "-o", outs[-1], "-d", *words).code == 0
    assert len({out.read_bytes() for out in outs}) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-d", "rian"], "unknown damage 'rian': did you mean 'rain'?"),
        (["-d", "noise", "--set", "sigm=3"], "noise has no 'sigm'; it has sigma"),
        (["-d", "noise", "--set", "sigma"], "--set takes KEY=VALUE"),
        (["-d", "noise", "--set", "sigma=x"], "sigma must be a valid number, not 'x'"),
        (["-d", "noise", "--set", "sigma=-1"], "noise is in [0, 1] units, not -1"),
        (["-d", "noise", "--set", "sigma=1/0"], "sigma must be a valid number, not '1/0'"),
        (["-d", "blur|noise:25"], "noise is in [0, 1] units, not 25: say 25/255 for 25 of 255"),
        (["-d", "jpeg", "--set", "quality=0"], "JPEG quality goes from 1 to 100"),
        (["-d", "multiple-jpeg", "--set", "qualities=10"], "one shift from 0 to 7 for each quality"),
        ([], "--damage"),
    ],
)
def test_wrong_calls_are_one_line_and_leave_no_trace(
    pellucid_command: Command, photo: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    said = pellucid_command("degrade", photo, "-o", tmp_path / "out" / "out.png", *arguments)
    assert said.code == 2
    assert says in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [photo]


def test_nothing_is_replaced_unless_overwrite_is_said(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    out.write_bytes(b"mine")
    said = pellucid_command("degrade", photo, "-o", out, "-d", "snow")
    assert said.code == 2
    assert "--overwrite" in said.err
    assert out.read_bytes() == b"mine"
    assert pellucid_command("degrade", photo, "-o", photo, "-d", "snow", "--overwrite").code == 2
    assert pellucid_command("degrade", photo, "-o", out, "-d", "snow", "--overwrite").code == 0


def test_degradations_are_listed(pellucid_command: Command) -> None:
    said = pellucid_command("degradations")
    assert "low-light         exposure=0.25 gamma=1.5 noise=0.02" in said.out
    assert "multiple-jpeg     qualities=10,20,40 shifts=0,3,6" in said.out
    records = json.loads(pellucid_command("degradations", "--json").out)
    assert tuple(record["name"] for record in records) == degradations.names()


def test_several_damages_in_one_text(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert pellucid_command("degrade", photo, "-o", out, "-d", "sr8+noise:0.1|jpeg:30", "--seed", 2).code == 0
    expected = degradations.get("sr8+noise:0.1|jpeg:30")(images.read(photo).tensor(), 2)
    assert np.array_equal(images.read(out).colour, images.from_tensor(expected).colour)
    said = pellucid_command("degrade", photo, "-o", tmp_path / "b.png", "-d", "sr8", "--set", "noise=0.1")
    assert said.code == 2
    assert "sr8 has no 'noise'; it has none" in said.err


def test_damages_that_are_said_one_by_one_are_done_one_by_one(
    pellucid_command: Command, photo: Path, tmp_path: Path
) -> None:
    apart, together = tmp_path / "a.png", tmp_path / "b.png"
    assert pellucid_command("degrade", photo, "-o", apart, "-d", "reduce", "--damage", "poisson").code == 0
    assert pellucid_command("degrade", photo, "-o", together, "-d", "reduce|poisson").code == 0
    assert apart.read_bytes() == together.read_bytes()


def test_exposures_are_files_of_their_own(pellucid_command: Command, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    command = ("degrade", photo, "-o", out, "-d", "exposures", "--set", "gains=0.5,2")
    said = pellucid_command(*command)
    assert said.code == 0
    assert said.out.splitlines() == [f"{photo} -> {tmp_path / f'out-{number}.png'}  exposures" for number in (1, 2)]
    expected = degradations.exposures(images.read(photo).tensor(), (0.5, 2.0)).split(3, 1)
    for number, exposure in enumerate(expected, 1):
        written = images.read(tmp_path / f"out-{number}.png").colour
        assert np.array_equal(written, images.from_tensor(exposure).colour)
    assert not out.exists()
    (tmp_path / "out-1.png").unlink()
    before = (tmp_path / "out-2.png").read_bytes()
    said = pellucid_command(*command)
    assert said.code == 1
    assert "out-2.png: exists; say --overwrite to replace it" in said.err
    assert not (tmp_path / "out-1.png").exists()
    assert (tmp_path / "out-2.png").read_bytes() == before
    said = pellucid_command(*command, "--overwrite", "--json")
    assert said.code == 0
    records = [json.loads(line) for line in said.out.splitlines()]
    assert [record["output"] for record in records] == [str(tmp_path / f"out-{number}.png") for number in (1, 2)]
