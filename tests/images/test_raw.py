from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pellucid import images
from pellucid.errors import PellucidError

rawpy = pytest.importorskip("rawpy")


def test_a_raw_file_is_developed_to_16_bits(corpus: dict[str, Path]) -> None:
    path = corpus["raw.dng"]
    picture = images.read(path)
    assert picture.colour.shape == (22, 24, 3)
    assert picture.colour.dtype == np.uint16
    assert images.size_of(path) == (22, 24)
    with rawpy.imread(str(path)) as raw:
        expected = raw.postprocess(output_bps=16, use_camera_wb=True, no_auto_bright=True)
    np.testing.assert_array_equal(picture.colour, expected)
    # What the file says of the camera is kept, and nothing of its sensor's layout.
    exif = picture.marked(images.MARK).metadata["exif"]
    assert b"Nobody" in exif
    assert b"Nobody's Camera" not in exif
    assert images.targets_of(path)[0].name == "raw.dng.tif"


def test_a_lying_header_is_refused_before_anything_is_decoded(
    corpus: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Raw:
        sizes = SimpleNamespace(raw_height=20_000, raw_width=20_000, iheight=20_000, iwidth=20_000, flip=0)

        def __enter__(self) -> Raw:
            return self

        def __exit__(self, *_: object) -> None: ...

        def postprocess(self, **_: Any) -> None:
            raise AssertionError

    monkeypatch.setattr(rawpy, "imread", lambda _: Raw())
    with pytest.raises(PellucidError, match="400 megapixels"):
        images.read(corpus["raw.dng"])
