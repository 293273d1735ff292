from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from pellucid import images
from pellucid.catalogue import tasks
from pellucid.errors import UsageError
from pellucid.methods import find
from pellucid.operators import Operator


def test_every_task_has_a_method_and_an_operator(tmp_path: Path) -> None:
    pixel = Image.new("L", (8, 8))
    pixel.putpixel((4, 4), 255)
    for kind in ("mask", "kernel"):
        pixel.save(tmp_path / f"{kind}.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "file.jpg")
    for name in tasks.names():
        task = tasks.find(name)
        find(task.method)(**task.settings)
        files: dict[str, Any] = {kind: tmp_path / f"{kind}.png" for kind in ("mask", "kernel") if kind == task.needs}
        operator = tasks.operator(name, **files)
        if operator is None:
            assert find(task.method).blind
            continue
        assert find(task.method).takes_operator or not find(task.method).blind
        if not isinstance(operator, Operator):
            operator = operator(images.read(tmp_path / "file.jpg"))
        assert operator.A(torch.zeros(1, 3, 8, 8)).ndim == 4


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean 'colorize'"):
        tasks.find("colourise")
    with pytest.raises(UsageError, match="needs a mask"):
        tasks.operator("inpaint")
    with pytest.raises(UsageError, match="needs a kernel"):
        tasks.operator("deblur", mask=None)
    with pytest.raises(UsageError, match="takes no kernel"):
        tasks.operator("denoise", kernel=tmp_path)
    with pytest.raises(UsageError, match="takes no mask"):
        tasks.operator("sr4", tmp_path)
    with pytest.raises(UsageError, match="sr4 takes no factor"):
        tasks.operator("sr4", by=2)
    with pytest.raises(UsageError, match="by is one of 2, 3, 4, not 5"):
        tasks.operator("enlarge", by=5)
    with pytest.raises(UsageError, match="--save-mask FILE proposes one"):
        tasks.operator("scratches")
    with pytest.raises(UsageError, match="leave one out"):
        tasks.operator("scratches", tmp_path, yes=True)
    with pytest.raises(UsageError, match="inpaint proposes nothing to say yes to"):
        tasks.operator("inpaint", tmp_path, yes=True)


@pytest.mark.parametrize(("name", "meant"), [("upscale", "enlarge"), ("Low_Light", "lowlight"), ("enlrage", "enlarge")])
def test_a_wrong_name_is_answered_with_the_task_meant(name: str, meant: str) -> None:
    with pytest.raises(UsageError, match=f"unknown task '{name}': did you mean '{meant}'"):
        tasks.find(name)
