from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pellucid.api import Restorer
from pellucid.errors import UsageError
from pellucid.jobs import Work, make_folders, plan
from pellucid.jobs.executors import InProcess, find
from pellucid.methods import Denoise


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r'pip install "pellucid\[ray\]"'):
        find("ray")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_the_same_bytes_on_a_cluster_as_in_this_process(
    tmp_path: Path, tiny_prior: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    (tmp_path / "scans").mkdir()
    for index in range(5):
        pixels = np.random.default_rng(index).integers(0, 255, (6 + index, 9, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "scans" / f"{index}.png")
    (tmp_path / "scans" / "broken.png").write_bytes(b"no image")
    work, said = Work(Restorer(Denoise(), tiny_prior), 3, batch=2), []
    for name, executor in (("one", InProcess()), ("ray", find("ray", 2))):
        items = plan([tmp_path / "scans"], tmp_path / name)
        make_folders(items)
        said.append({o.item.name: (o.nfe, o.seed, o.size, o.error) for o in executor(work, items)})
    assert said[0] == said[1]
    assert len(said[0]) == 6
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "ray" / path.name).read_bytes() == path.read_bytes()
