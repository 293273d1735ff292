"""A JPEG in which nothing is found comes out with the coded data that came in."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid import images, methods
from pellucid.api import Restorer
from pellucid.errors import PellucidError
from pellucid.images import jpeg
from pellucid.jobs import plan, run
from pellucid.jobs.writing import Written, write
from pellucid.priors import GaussianPrior

UNCHANGED = Restorer(methods.get("auto", fidelity=1), GaussianPrior(torch.zeros(3, 1, 1), torch.tensor(0.3)))


def photo(seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return Image.fromarray(noise).resize((59, 43), Image.Resampling.BICUBIC)


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_blocks": 2}, {"quality": 40}], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_coded_data_come_out_as_they_came_in(tmp_path: Path, mode: str, how: dict[str, Any]) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    photo().convert(mode).save(source, exif=exif, comment="mine", dpi=(300, 300), **how)
    picture = images.read(source)
    restored = picture.with_tensor(picture.tensor()).marked(f"{images.MARK}1")
    assert restored.has_coding_of(picture)
    images.write(restored, target, source=source)
    back = images.read(target)
    np.testing.assert_array_equal(back.pixels, picture.pixels)
    assert back.jpeg == picture.jpeg
    assert back.metadata.keys() == restored.metadata.keys()
    assert b"a camera" in back.metadata["exif"]
    assert images.MARK.encode() in back.metadata["exif"]
    assert back.metadata["dpi"] == picture.metadata["dpi"]
    # Encoded anew, the pixels would be others.
    images.write(restored, tmp_path / "c.jpg")
    assert mode == "L" or not np.array_equal(images.read(tmp_path / "c.jpg").pixels, picture.pixels)


def test_only_a_jpeg_of_equal_pixels_has_its_coding(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.jpg")
    photo().save(tmp_path / "a.png")
    photo().convert("CMYK").save(tmp_path / "cmyk.jpg")
    for name, has in (("a.jpg", True), ("a.png", False), ("cmyk.jpg", True)):
        picture = images.read(tmp_path / name)
        assert picture.with_tensor(picture.tensor()).has_coding_of(picture) == has
        assert not picture.with_tensor(1 - picture.tensor()).has_coding_of(picture)
    assert not images.keeps_coding(picture, picture, tmp_path / "b.png")


def test_a_format_with_loss_says_that_unchanged_pixels_were_coded_anew(tmp_path: Path) -> None:
    photo().save(tmp_path / "a.png")
    photo().save(tmp_path / "a.jpg")
    losing, kept = ["b.jpg", "b.avif", "b.heic"], ["b.webp", "b.png", "b.tif"]
    for name, target in [("a.png", target) for target in losing + kept] + [("a.jpg", "b.jpg"), ("a.jpg", "b.avif")]:
        loses = (target in losing and name.endswith("png")) or target == "b.avif"
        picture = images.read(tmp_path / name)
        note = images.coded_anew(picture.with_tensor(picture.tensor()), picture, tmp_path / target)
        assert (note or "").endswith("at quality 95: .png would keep them") == loses
        assert images.coded_anew(picture.with_tensor(1 - picture.tensor()), picture, tmp_path / target) is None


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_an_unchanged_heif_or_avif_is_copied_to_the_byte(tmp_path: Path, suffix: str) -> None:
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    images.write(images.from_pil(photo()), source)
    picture = images.read(source)
    same, other = picture.with_tensor(picture.tensor()), picture.with_tensor(1 - picture.tensor())
    assert write(same, ["nothing found"], [picture], target, source=source, copy=True) == Written(
        ("nothing found",), None
    )
    assert target.read_bytes() == source.read_bytes()
    target.write_bytes(b"another's")
    with pytest.raises(PellucidError, match="cannot be written"):
        write(same, [], [picture], target, source=source, new=True, copy=True)
    assert target.read_bytes() == b"another's"
    # Changed pixels, removed metadata and another format are coded.
    for restored, place, copy in ((other, target, True), (same, target, False), (same, tmp_path / "c.png", True)):
        write(restored, [], [picture], place, source=source, copy=copy)
        assert place.read_bytes() != source.read_bytes()


def test_a_job_copies_an_unchanged_heif_unless_its_metadata_are_to_go(tmp_path: Path) -> None:
    source = tmp_path / "a.heic"
    images.write(images.from_pil(photo()), source)
    for strip in (False, True):
        target = tmp_path / f"{strip}.heic"
        (outcome,) = run(plan([source], target), UNCHANGED, strip=strip)
        assert (target.read_bytes() == source.read_bytes()) != strip
        assert ("coded its pixels anew" in (outcome.note or "")) == strip


def test_what_is_copied_has_the_format_of_its_name(tmp_path: Path) -> None:
    for suffix in (".heic", ".avif", ".png"):
        images.write(images.from_pil(photo()), tmp_path / f"a{suffix}")
    for suffix in (".avif", ".png"):
        # Another format behind the name of a HEIF.
        (tmp_path / f"{suffix[1:]}.heic").write_bytes((tmp_path / f"a{suffix}").read_bytes())
        assert not images.copies(tmp_path / f"{suffix[1:]}.heic", tmp_path / "b.heic")
        assert images.copies(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}") == (suffix == ".avif")
    assert images.copies(tmp_path / "a.heic", tmp_path / "b.heif")


def test_notes_of_a_file_are_of_the_picture_alone_and_of_what_its_format_keeps(tmp_path: Path) -> None:
    photo().convert("CMYK").save(tmp_path / "a.jpg")
    source = tmp_path / "a.jpg"
    picture = images.read(source)
    assert picture.note
    notes = (f"{picture.note}; nothing found",)
    kept = write(picture, notes, [picture], tmp_path / "kept.jpg", source=source)
    assert kept == Written(("nothing found",), None)
    # Still of inks.
    assert b"Adobe" in (tmp_path / "kept.jpg").read_bytes()
    anew = "JPEG coded its pixels anew, at quality 95: .png would keep them"
    part = replace(picture, coded=None)
    assert write(part, notes, [part], tmp_path / "part.jpg") == Written(notes, anew)
    # The first of several exposures is no original of their picture.
    assert write(picture, notes, [picture] * 2, tmp_path / "of-two.jpg", source=source) == Written(notes, None)
    with pytest.raises(PellucidError, match=r"kept\.jpg: cannot be written"):
        write(picture, notes, [picture], tmp_path / "kept.jpg", new=True)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_one_stays_turned_by_its_exif(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112], exif.get_ifd(0x8769)[0xA002] = orientation, 59
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    photo().save(source, exif=exif, dpi=(300, 200))
    picture = images.read(source)
    for restored in (picture.marked(f"{images.MARK}1"), picture.marked(f"{images.MARK}1").stripped()):
        images.write(restored, target, source=source)
        back = images.read(target)
        np.testing.assert_array_equal(back.pixels, picture.pixels)
        assert back.jpeg == picture.jpeg
        assert images.marks(back.metadata) == [f"{images.MARK}1"]
        with Image.open(source) as before, Image.open(target) as after:
            assert after.tobytes() == before.tobytes()
            assert after.getexif().get(0x0112, 1) == orientation
            if "dpi" in restored.metadata:
                assert after.info["dpi"] == before.info["dpi"]
                assert after.getexif().get_ifd(0x8769)[0xA002] == 59


def profiled(profile: bytes | None) -> dict[str, Any]:
    return {} if profile is None else {"icc_profile": profile}


@pytest.mark.parametrize("profile", [None, b"an ink's"])
def test_one_in_inks_keeps_them_and_their_profile(tmp_path: Path, profile: bytes | None) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    photo().convert("CMYK").save(source, **profiled(profile))
    picture = images.read(source)
    line = f"{images.MARK}1: as it was; {picture.note}"
    images.write(picture.with_tensor(picture.tensor()).marked(line), target, source=source)
    with Image.open(source) as before, Image.open(target) as after:
        assert (after.mode, after.tobytes()) == (before.mode, before.tobytes())
        assert after.info.get("icc_profile") == profile
    # That they were looked at in sRGB is not true of the file.
    assert images.marks(images.read(target).metadata) == [f"{images.MARK}1: as it was"]


def test_one_in_plain_red_green_and_blue_keeps_them(tmp_path: Path) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "b.jpg"
    photo().save(source, keep_rgb=True, dpi=(300, 300))
    picture = images.read(source)
    images.write(picture, target, source=source)
    np.testing.assert_array_equal(images.read(target).pixels, picture.pixels)


def test_of_two_files_one_has_the_data_the_other_the_metadata() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    photo().save(first, "JPEG", comment="first")
    photo(1).save(second, "JPEG", comment="second")
    joined = jpeg.with_headers(first.getvalue(), second.getvalue())
    with Image.open(io.BytesIO(joined)) as image, Image.open(first) as original:
        assert image.info["comment"] == b"second"
        assert image.tobytes() == original.tobytes()


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.png", "P"), ("a.png", "1"), ("a.tif", "CMYK"), ("a.tif", "1"), ("a.heic", "RGB"), ("a.jpg", "RGB")],
)
def test_in_place_a_picture_in_which_nothing_changes_keeps_its_file(tmp_path: Path, name: str, mode: str) -> None:
    path = tmp_path / name
    if name.endswith("heic"):
        images.write(images.from_array(np.asarray(photo())), path)
    else:
        photo().convert(mode).save(path)
    before = path.read_bytes()
    (outcome,) = run(plan([path], None, in_place=True), UNCHANGED)
    assert (outcome.error, outcome.output, outcome.note) == (None, path, "fidelity 1, left unchanged")
    assert path.read_bytes() == before
    # What is to be removed from the file is no pixel.
    (outcome,) = run(plan([path], None, in_place=True), UNCHANGED, strip=True)
    assert outcome.error is None
    assert path.read_bytes() != before
