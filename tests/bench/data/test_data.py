from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.bench import data
from pellucid.errors import PellucidError, UsageError

Make = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Make:
    """A folder with images of the given names, each of its own colours."""

    def make(*names: str, size: tuple[int, int] = (12, 10)) -> Path:
        for number, name in enumerate(names):
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(number).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path, format="PNG")
        return tmp_path

    return make


PAIRS = {
    "pairs": ("damaged/sub/a.png", "clean/sub/a.jpg"),
    "sidd": ("Data/0001_001_S6/NOISY_SRGB_010.PNG", "Data/0001_001_S6/GT_SRGB_010.PNG"),
    "lol": ("LOLdataset/eval15/low/1.png", "LOLdataset/eval15/high/1.png"),
    "ve-lol": ("VE-LOL-L-Cap-Low_test/low00690.png", "VE-LOL-L-Cap-Normal_test/normal00690.png"),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_found_by_the_names_of_each_set(name: str, folder: Make) -> None:
    damaged, clean = PAIRS[name]
    place = folder(damaged, clean, "notes/readme.png")
    dataset = data.get(name, crop="whole")
    assert dataset.check(place) is None
    (item,) = dataset.items(place)
    assert item.name == damaged
    assert item.clean is not None
    assert item.damaged is not None
    for path, found in ((damaged, item.damaged), (clean, item.clean)):
        pixels = torch.from_numpy(np.array(Image.open(place / path))).permute(2, 0, 1)[None]
        assert torch.equal((found * 255).round().byte(), pixels)
    (place / clean).unlink()
    assert "there is no clean image" in (dataset.check(place) or "")
    with pytest.raises(PellucidError, match="there is no clean image"):
        dataset.items(place)


def test_lol_is_its_test_part_alone(folder: Make) -> None:
    place = folder("our485/low/2.png", "our485/high/2.png", "eval15/low/1.png", "eval15/high/1.png")
    assert [item.name for item in data.get("lol").items(place)] == ["eval15/low/1.png"]
    assert [item.name for item in data.get("lol").items(place / "eval15")] == ["low/1.png"]


@pytest.mark.parametrize("name", [name for name in data.names() if name not in (*PAIRS, "celeba", "loli-phone")])
def test_single_images_are_clean_ones(name: str, folder: Make) -> None:
    items = list(data.get(name, size=6).items(folder("b/2.png", "a.png")))
    assert [item.name for item in items] == ["a.png", "b/2.png"]
    assert all(item.damaged is None for item in items)
    shape = (1, 3, 10, 12) if name == "folder" else (1, 3, 6, 6)
    assert all(item.clean is not None and item.clean.shape == shape for item in items)


def test_dark_photographs_have_no_truth(folder: Make) -> None:
    (item,) = data.get("loli-phone").items(folder("phone/1.jpg"))
    assert item.clean is None
    assert item.damaged is not None


def test_a_limit_takes_the_first(folder: Make) -> None:
    dataset, place = data.get("folder"), folder("c.png", "a.png", "b.png")
    assert [item.name for item in dataset.items(place, limit=2)] == ["a.png", "b.png"]
    with pytest.raises(UsageError, match="1 image or more"):
        dataset.items(place, limit=0)


def test_what_is_missing_is_one_line(folder: Make, tmp_path: Path) -> None:
    assert data.get("lol").check(tmp_path / "nowhere") == f"{tmp_path / 'nowhere'}: there is no such folder of lol"
    place = folder("train/1.png")
    assert data.get("lol").check(place) == f"{place}: holds nothing of lol, which is eval15/, with low/ and high/ in it"


def test_pairs_of_two_sizes_are_refused(folder: Make) -> None:
    folder("clean/a.png")
    place = folder("damaged/a.png", size=(5, 5))
    with pytest.raises(PellucidError, match="has not the size of its clean image"):
        list(data.get("pairs").items(place))


def test_a_list_chooses_files_and_their_order(folder: Make, tmp_path: Path) -> None:
    place = folder("n01/v_1.JPEG", "n01/v_2.JPEG", "n02/v_3.JPEG")
    text = tmp_path / "list.txt"
    text.write_text("n02/v_3 1\n\nv_1.jpeg\n")
    dataset = data.get("imagenet", files=text, size=4)
    assert [item.name for item in dataset.items(place)] == ["n02/v_3.JPEG", "n01/v_1.JPEG"]
    text.write_text("v_1\nv_4 7\nv_5\n")
    assert dataset.check(place) == f"{place}: lacks 2 of 3 images of {text}, such as v_4"
    for content, said in (("", "empty"), ("a\na 3\n", "names a twice")):
        text.write_text(content)
        assert said in (dataset.check(place) or "")
    assert "there is no such file" in (data.get("imagenet", files=tmp_path / "none.txt").check(place) or "")


def test_what_does_not_fit_is_said() -> None:
    with pytest.raises(UsageError, match="unknown data set 'imagenets': did you mean 'imagenet'"):
        data.get("imagenets")
    with pytest.raises(UsageError, match="unknown crop 'squares'"):
        data.get("imagenet", crop="squares")
    with pytest.raises(UsageError, match="imagenet has no 'sizes'"):
        data.get("imagenet", sizes=3)
    with pytest.raises(UsageError, match="1 or more pixels"):
        data.get("imagenet", size=0)
