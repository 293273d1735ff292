from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.bench import prior as bench_prior
from pellucid.bench.prior import Cost
from pellucid.jobs.executors import trial
from pellucid.jobs.executors.trial import Pace
from pellucid.methods.measurement import CALLS as LOOKS
from pellucid.priors.backends import Autocast

Command = Callable[..., Any]
FAST = ("--strength", "20")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)).save(path)
    return path


# --- restore ----------------------------------------------------------------------------------------------------------


def test_restore_writes_an_image_of_the_same_size(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    said = pellucid_command("restore", photo, "-o", tmp_path / "out.png", "-p", tiny_prior, *FAST)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"{photo} -> {tmp_path / 'out.png'}  6 NFE, ")
    with Image.open(tmp_path / "out.png") as out:
        assert (out.size, out.mode) == ((30, 20), "RGB")


def test_json_says_what_was_done(pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path) -> None:
    said = pellucid_command("restore", photo, "-o", tmp_path / "o.png", "-p", tiny_prior, "--seed", 7, "--json")
    record = json.loads(said.out)
    assert record["hyper_parameters"] == {"fidelity": 0.5}
    expected = {"method": "auto", "prior": str(tiny_prior), "seed": 7, "width": 30, "error": None}
    assert record.items() >= expected.items()
    assert record["seconds"] > 0
    assert 1 <= record["nfe"] <= 30


def test_the_same_seed_gives_the_same_bytes(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    written = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        pellucid_command("restore", photo, "-o", tmp_path / f"{name}.png", "-p", tiny_prior, "--seed", seed, *FAST)
        written.append((tmp_path / f"{name}.png").read_bytes())
    assert written[0] == written[1] != written[2]


def test_hyper_parameters_are_set(pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path) -> None:
    settings = ("--set", "steps=20", "--set", "schedule=none", "--set", "strength=100")
    said = pellucid_command("restore", photo, "-o", tmp_path / "o.png", "-p", tiny_prior, *settings, "--json")
    record = json.loads(said.out)
    assert record["nfe"] == 6
    assert record["hyper_parameters"]["schedule"] == "none"


def test_the_bad_are_named_and_the_good_are_done(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    (tmp_path / "text.jpg").write_text("not an image")
    whole = photo.read_bytes()
    (tmp_path / "truncated.png").write_bytes(whole[: len(whole) // 2])
    inputs = [tmp_path / name for name in ("missing.png", "text.jpg", "truncated.png", "photo.png")]
    said = pellucid_command("restore", *inputs, "-o", tmp_path / "out", "-p", tiny_prior, *FAST)
    assert said.code == 1
    lines = said.err.splitlines()
    assert len(lines) == 4
    for line, path, says in zip(lines, inputs, ("no such file", "is no image", "damaged"), strict=False):
        assert line.startswith(f"pellucid: {path}: ")
        assert says in line
    assert lines[3].startswith("1 of 4 images done, 3 failed, ")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"photo.png", ".pellucid.jsonl"}
    assert photo.read_bytes() == whole


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-m", "dreamclen"], "unknown method 'dreamclen': did you mean 'dreamclean'?"),
        (["-p", "naturel"], "unknown prior 'naturel': did you mean 'natural'?"),
        (["--set", "strenght=3"], "no 'strenght'; it has strength, steps, gamma"),
        (["--set", "strength"], "--set takes KEY=VALUE"),
        (["--set", "steps=ten"], "steps must be a valid integer, not 'ten'"),
        (["--set", "schedule=x"], "schedule must be 'preserving', 'langevin' or 'none', not 'x'"),
        (["--strength", "nan"], "strength must be a finite number, not nan"),
        (["--strength", "3", "--set", "strength=4"], "leave one out"),
        (["--noise", "0.1"], "is blind: it cannot use the noise level; leave it out, or name a task that takes it"),
        (["--noise", "25", "-t", "denoise"], "noise is in [0, 1] units, not 25: say 25/255 for 25 of 255"),
        (["--noise", "10/0", "-t", "denoise"], "'10/0' is no number: write it as 0.04 or 10/255"),
        (["--device", "abacus"], "cannot compute on 'abacus'"),
        (["--tile", "0"], "tile"),
        (["--tile", "x"], "'x' is no whole number (see pellucid restore --help)"),
        (["--by", "3.5", "-t", "enlarge"], "Invalid value for '--by': '3.5' is no whole number"),
        (["--batch", "1_0"], "'1_0' is no whole number"),
        (["--workers", "\u0663"], "'\u0663' is no whole number"),
        (["--seed", "1" * 5000], "is no whole number"),
        (["--samples", "1" * 20], "samples are 1 or more of each image, and at most 10000, not 1"),
        (["--device", "meta"], "cannot compute on 'meta': it holds no numbers"),
        (["--tile", "-5"], "the side of tiles is 1 or more, not -5"),
        (["--frobnicate"], "--frobnicate"),
        (["--seed", "-1"], "seed is a whole number from 0 to 2^63 - 1, not -1"),
        (["--mask", ""], "the name is empty"),
        (["--prior", ""], "the name of the prior is empty"),
        (["-o", ""], "the name is empty"),
        (["-o", "out.xyz"], "out.xyz: cannot write .xyz: use .png"),
        (["--in-place"], "-o and --in-place exclude each other: leave one out"),
        (["--task", "denoize"], "did you mean 'denoise'"),
        (["--task", "inpaint"], "needs a mask"),
        (["--task", "denoise", "-m", "dreamclean"], "is blind: it cannot use an operator, nor a task with one"),
        (["-m", "ddrm"], "needs the degradation: name a task that has one"),
        (["--exact"], "name a task with one"),
        (["--mask", "mask.png"], "a mask goes with"),
    ],
)
def test_wrong_calls_are_one_line_and_leave_no_trace(
    pellucid_command: Command, photo: Path, tmp_path: Path, arguments: list[str], says: str
) -> None:
    said = pellucid_command("restore", photo, "-o", tmp_path / "out" / "out.png", *arguments)
    assert said.code == 2
    assert says in said.err
    assert said.out == ""
    assert len(said.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [photo]


@pytest.mark.parametrize("extra", [[], ["--overwrite"]])
def test_the_input_is_not_overwritten(pellucid_command: Command, photo: Path, extra: list[str]) -> None:
    before = photo.read_bytes()
    said = pellucid_command("restore", photo, "-o", photo, *extra)
    assert said.code == 2
    assert "--in-place" in said.err
    assert photo.read_bytes() == before


def test_unless_in_place_is_said(pellucid_command: Command, photo: Path, tiny_prior: Path) -> None:
    before = photo.read_bytes()
    assert pellucid_command("restore", photo, "--in-place", "-p", tiny_prior, *FAST).code == 0
    assert photo.read_bytes() != before


def test_an_output_that_exists_is_kept_unless_overwrite_is_said(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.png").write_bytes(b"precious")
    arguments = ("restore", photo, "-o", tmp_path / "out.png", "-p", tiny_prior, *FAST)
    said = pellucid_command(*arguments)
    assert (said.code, (tmp_path / "out.png").read_bytes()) == (2, b"precious")
    assert "--overwrite" in said.err
    assert pellucid_command(*arguments, "--overwrite").code == 0
    assert (tmp_path / "out.png").read_bytes() != b"precious"


def test_an_output_folder_that_cannot_be_written(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    said = pellucid_command("restore", photo, "-o", tmp_path / "file" / "out.png", "-p", tiny_prior, *FAST)
    assert said.code == 1
    assert "cannot be written to" in said.err
    assert len(said.err.splitlines()) == 1


def test_dry_run_checks_and_writes_nothing(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    arguments = ("restore", photo, tmp_path / "missing.png", "-o", tmp_path / "out", "-p", tiny_prior, "--dry-run")
    said = pellucid_command(*arguments)
    assert said.code == 1
    assert said.out == f"{photo} -> {tmp_path / 'out' / 'photo.png'}  30x20, up to 25 evaluations of 1 tile\n"
    assert "missing.png: there is no such file" in said.err
    record, missing = map(json.loads, pellucid_command(*arguments, "--json").out.splitlines())
    assert (record["nfe"], record["tiles"], record["width"], record["error"]) == (25, 1, 30, None)
    assert (missing["output"], missing["error"]) == (None, f"{tmp_path / 'missing.png'}: there is no such file")
    assert list(tmp_path.iterdir()) == [photo]


def test_a_dry_run_names_what_could_not_be_done(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    Image.new("RGBA", (9, 9), (1, 2, 3, 4)).save(tmp_path / "clear.png")
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:-60])
    for name, told in (("clear.png", "JPEG has no transparency"), ("half.png", "half.png: ")):
        call = ("restore", tmp_path / name, "-o", tmp_path / "out.jpg", "-p", tiny_prior)
        dry, wet = pellucid_command(*call, "--dry-run"), pellucid_command(*call, *FAST)
        assert (dry.code, dry.out, dry.err) == (1, "", wet.err)
        assert told in dry.err


def test_a_trace_tells_every_step(pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path) -> None:
    diip = ("-m", "diip", "--set", "steps=2", "--set", "iterations=5", "--set", "stop=never")
    arguments = ("restore", photo, "-p", tiny_prior, "--trace", tmp_path / "trace")
    assert pellucid_command(*arguments, "-o", tmp_path / "a.png", *diip).code == 0
    lines = (tmp_path / "trace" / "photo.png.csv").read_text().splitlines()
    assert lines[0] == "step,sigma,nfe,loss,slope,laplacian"
    assert [line.split(",")[:3] for line in lines[1:]] == [[str(i), "0.0", str(2 * i)] for i in range(1, 6)]
    with Image.open(tmp_path / "trace" / "photo.png.png") as page:
        assert page.size == (1800, 480)
    refused = pellucid_command(*arguments, "-o", tmp_path / "b.png", *diip)
    assert (refused.code, "is not empty" in refused.err, (tmp_path / "b.png").exists()) == (2, True, False)
    # A method without curves of its own has its walk over the noise levels.
    assert pellucid_command(*arguments, "-o", tmp_path / "b.png", *FAST, "--overwrite").code == 0
    assert (tmp_path / "trace" / "photo.png.csv").read_text().startswith("step,sigma,nfe\n")


@pytest.mark.parametrize(
    ("task", "method", "nfe"),
    [
        ("denoise", "denoise", 4),
        ("sr2", "dreamclean-known", 60),
        ("inpaint", "dreamclean-known", 60),
        ("colorize", "colorize", 80),
    ],
)
def test_tasks(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path, task: str, method: str, nfe: int
) -> None:
    mask: tuple[Any, ...] = ()
    if task == "inpaint":
        hole = np.zeros((20, 30), np.uint8)
        hole[5:10, 5:20] = 255
        Image.fromarray(hole).save(tmp_path / "mask.png")
        mask = ("--mask", tmp_path / "mask.png")
    if task == "colorize":
        with Image.open(photo) as image:
            image.convert("L").save(photo)
    said = pellucid_command("restore", photo, "-o", tmp_path / "o.png", "-t", task, *mask, "-p", tiny_prior, "--json")
    assert (said.code, said.err) == (0, "")
    record = json.loads(said.out)
    assert (record["task"], record["method"]) == (task, method)
    looks = LOOKS if task in ("sr2", "colorize") else 0  # for noise of the picture, before
    assert nfe <= record["nfe"] <= nfe + looks
    assert record["hyper_parameters"].get("gamma") == (0.5 if method == "dreamclean-known" else None)
    with Image.open(tmp_path / "o.png") as out, Image.open(photo) as before:
        assert out.size == ((60, 40) if task == "sr2" else (30, 20))
        assert out.mode == "RGB"
        if task == "inpaint":
            assert record["noise"] == 0
            known = hole == 0
            np.testing.assert_array_equal(np.asarray(out)[known], np.asarray(before)[known])
        elif task == "denoise":
            assert record["note"]  # it finds the noise, or says that there is none
        elif task == "colorize":
            assert record["noise"] == 0
        else:
            assert record["noise"] > 0.05  # the picture is nothing but noise, of which some is removed before


def test_a_grey_picture_saved_in_colours_gets_the_same_ones(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    with Image.open(photo) as image:
        image.convert("L").save(tmp_path / "grey.png")
        image.convert("L").convert("RGB").save(tmp_path / "saved.png")
    for name in ("grey", "saved", "photo"):
        arguments = (tmp_path / f"{name}.png", "-o", tmp_path / f"{name}-out.png", "-t", "colorize", "-p", tiny_prior)
        assert pellucid_command("restore", *arguments).code == 0
    with Image.open(tmp_path / "grey-out.png") as one, Image.open(tmp_path / "saved-out.png") as other:
        # Three equal channels add up to the one that they are, but for the last bit.
        np.testing.assert_allclose(np.asarray(one, np.int16), np.asarray(other, np.int16), atol=1)


def test_deblur(pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path) -> None:
    kernel = np.zeros((5, 5), np.uint8)
    kernel[2] = 200
    Image.fromarray(kernel).save(tmp_path / "kernel.png")
    arguments = ("restore", photo, "-o", tmp_path / "o.png", "-p", tiny_prior, "--json")
    said = pellucid_command(*arguments, "--task", "deblur", "--kernel", tmp_path / "kernel.png")
    assert (said.code, said.err) == (0, "")
    assert json.loads(said.out)["method"] == "red"
    assert "a kernel with" in pellucid_command(*arguments, "--kernel", tmp_path / "kernel.png").err


def test_an_exact_result_agrees_with_the_input(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    hole = np.zeros((20, 30), np.uint8)
    hole[5:10, 5:20] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")
    arguments = ("restore", photo, "-p", tiny_prior)
    inpaint = ("-t", "inpaint", "--mask", tmp_path / "mask.png", "-m", "gdp", "--set", "steps=10")
    for name, exact in (("near.png", ()), ("exact.png", ("--exact",))):
        assert pellucid_command(*arguments, "-o", tmp_path / name, *inpaint, *exact).code == 0
        with Image.open(tmp_path / name) as out, Image.open(photo) as before:
            same = np.asarray(out)[hole == 0] == np.asarray(before)[hole == 0]
            assert same.all() == bool(exact)
    for nothing_to_agree_with in ((), ("-t", "jpeg")):
        refused = pellucid_command(*arguments, "-o", tmp_path / "x.png", "--exact", *nothing_to_agree_with)
        assert (refused.code, "linear operator" in refused.err) == (2, True)


def test_jpeg_files_are_told_by_their_own_tables(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    """And what is none is named while the others are done."""
    (tmp_path / "in").mkdir()
    with Image.open(photo) as image:
        image.save(tmp_path / "in" / "b.jpg", quality=10)
        image.save(tmp_path / "in" / "a.png")
    said = pellucid_command("restore", tmp_path / "in", "-o", tmp_path / "out", "-t", "jpeg", "-p", tiny_prior)
    assert said.code == 1
    assert "a.png: is no JPEG file" in said.err
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"b.jpg", ".pellucid.jsonl"}
    assert "7 NFE" in said.out


def test_a_task_with_another_method_and_noise(
    pellucid_command: Command, photo: Path, tiny_prior: Path, tmp_path: Path
) -> None:
    arguments = ("restore", photo, "-o", tmp_path / "o.png", "-p", tiny_prior, "--task", "denoise")
    said = pellucid_command(*arguments, "-m", "ddnm", "--set", "steps=10", "--noise", "0.1")
    assert (said.code, said.err) == (0, "")
    assert "10 NFE" in said.out
    assert "noise 0.1000\n" in said.out
    said = pellucid_command(*arguments, "--overwrite", "-m", "ddnm", "--set", "steps=10")
    assert "(estimated)" in said.out


# --- the others -------------------------------------------------------------------------------------------------------


def test_demo_writes_a_picture_and_says_where(pellucid_command: Command, tiny_prior: Path, tmp_path: Path) -> None:
    said = pellucid_command("demo", "-o", tmp_path / "demo.png", "-p", tiny_prior)
    assert said.code == 0
    assert len(said.out.splitlines()) == 1
    assert str(tmp_path / "demo.png") in said.out
    with Image.open(tmp_path / "demo.png") as page:
        assert page.width > 3 * 256
    again = pellucid_command("demo", "-o", tmp_path / "demo.png")
    assert again.code == 2
    assert "exists" in again.err


def test_methods_and_priors_are_listed(pellucid_command: Command) -> None:
    assert "dreamclean" in pellucid_command("methods").out
    (record,) = (r for r in json.loads(pellucid_command("methods", "--json").out) if r["name"] == "dreamclean")
    assert record["blind"] is True
    assert (record["hyper_parameters"]["strength"], record["presets"]["paper"]) == ("auto", {"strength": 300})
    one = pellucid_command("methods", "dreamclean").out
    assert "gamma: size of a correction" in one
    assert "dreamclean --preset fast: steps=60" in one
    assert "dpir --preset paper: these defaults\n" in pellucid_command("methods", "dpir").out
    assert json.loads(pellucid_command("methods", "dreamclean", "--json").out) == record
    assert "did you mean 'dreamclean'" in pellucid_command("methods", "dreamclaen").err
    assert "inpaint" in pellucid_command("tasks").out
    assert json.loads(pellucid_command("tasks", "--json").out)[0]["method"] == "denoise"
    assert re.search(r"^natural +7 MB +\d\d\.\d\d dB ", pellucid_command("priors").out, re.MULTILINE)
    records = json.loads(pellucid_command("priors", "--json").out)
    assert [record["name"] for record in records] == ["natural", "natural-large"]
    assert records[0]["psnr"]["25"] < records[1]["psnr"]["25"]


@pytest.mark.parametrize(
    ("threads", "several", "says"),
    [
        (1, 1.0, "one process, since the network has one thread"),
        (4, 0.5, "4 processes of one thread are 2.00 times as fast as one with 4: the default"),
        (4, 1.25, "one process with 4 threads is 1.25 times as fast as 4: add --executor this"),
    ],
)
def test_doctor_names_the_faster_way_for_a_folder(
    pellucid_command: Command, monkeypatch: pytest.MonkeyPatch, threads: int, several: float, says: str
) -> None:
    monkeypatch.setattr("pellucid.bench.prior.cost", lambda prior, size=256: Cost(size, 1.0, 2.0, 1))
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(trial, "compare", lambda restorer, workers: (Pace(1.0, 1.0), Pace(3.0, several)))
    assert json.loads(pellucid_command("doctor", "--json", "--device", "cpu").out)["a large folder"] == says


def test_doctor(pellucid_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "compare", lambda restorer, workers: (Pace(1.0, 1.0), Pace(1.0, 1.0)))
    said = pellucid_command("doctor", "--json", "--device", "cpu")
    assert said.code == 0
    assert json.loads(said.out)["problems"] == []
    # Other ways to compute are named with their times, those that this machine is slow at are not.
    for slow in (False, True):
        seconds = {Autocast: 9.0 if slow else 2.0}
        monkeypatch.setattr(
            "pellucid.bench.prior.cost",
            lambda prior, size=256, seconds=seconds: Cost(size, 1.0, seconds.get(type(prior), 2.0), 1),
        )
        facts = json.loads(pellucid_command("doctor", "--json", "--device", "cpu").out)
        assert facts["one evaluation at 256x256"] == "2.000 s"
        assert facts["with --precision bfloat16"] == ("slower" if slow else "2.000 s")
    assert "all is well" in pellucid_command("doctor", "--device", "cpu").out
    monkeypatch.setitem(sys.modules, "openvino", None)
    facts = json.loads(pellucid_command("doctor", "--json", "--device", "cpu").out)
    assert facts["with --backend openvino"] == 'not installed: pip install "pellucid[openvino]"'
    said = pellucid_command("doctor", "--device", "abacus")
    assert said.code == 1
    assert "problem: cannot compute on 'abacus'" in said.err


def test_train_and_bench(pellucid_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_prior.dream, "__defaults__", (4, 32, 5, 0))
    data = tmp_path / "data"
    data.mkdir()
    for index in range(3):
        pixels = np.random.default_rng(index).integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(data / f"{index}.png")
    run = tmp_path / "run"
    stopped = pellucid_command("train", data, "-o", run, "--preset", "tiny", "--minutes", "0", "--device", "cpu")
    assert stopped.code == 0
    assert "stopped after 1 of 20 updates" in stopped.out
    said = pellucid_command("train", data, "-o", run, "--preset", "tiny", "--device", "cpu", "--json")
    assert json.loads(said.out)["step"] == 20
    assert "going on from update 1" in said.err
    measured = pellucid_command("bench", "prior", run / "prior", "-d", data, "--json", "--samples", tmp_path / "s.png")
    record = json.loads(measured.out)
    assert record["psnr"].keys() == {"15", "25", "50", "100"}
    assert record["images"]["25"].keys() == {"0.png", "1.png", "2.png"}
    assert record["cost"]["gflop"] > 0
    assert (tmp_path / "s.png").is_file()
    assert "mean of 2" in pellucid_command("bench", "prior", run / "prior").out


def test_bench_measures_any_denoiser(
    pellucid_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_denoiser.py").write_text("def leave_it(x, sigma): return x")
    monkeypatch.syspath_prepend(tmp_path)
    said = pellucid_command("bench", "prior", "own_denoiser:leave_it", "--json")
    # What is not denoised at 25/255 stands at 20.17 dB, a little more where pixels are clamped.
    assert json.loads(said.out)["psnr"]["25"] == pytest.approx(20.4, abs=0.3)
    assert pellucid_command("bench", "prior", "own_denoiser:nothing").code == 2
    assert pellucid_command("bench", "prior", "natural", "-d", tmp_path / "nowhere").code == 1


def test_bench_known(pellucid_command: Command, tiny_prior: Path) -> None:
    arguments = ("bench", "known", "-p", tiny_prior, "--images", 1, "-t", "sr4", "-t", "colorize", "--quick")
    said = pellucid_command(*arguments, "-m", "ddrm", "-m", "red", "--json")
    rows = [json.loads(line) for line in said.out.splitlines()]
    assert [(row["task"], row["method"], row["nfe"]) for row in rows] == [
        (task, *rest) for task in ("sr4", "colorize") for rest in (("damaged", 0), ("ddrm", 20), ("red", 30))
    ]
    assert all(0 <= row["ssim"] <= 1 and 5 < row["psnr"] < 40 and row["lpips"] is None for row in rows)
    assert "damaged" in pellucid_command(*arguments, "-m", "ddrm").out
    assert pellucid_command("bench", "known", "-p", tiny_prior, "-t", "sr5").code == 2


def test_bench_in_half_precision(pellucid_command: Command, tiny_prior: Path) -> None:
    arguments = ("bench", "known", "-p", tiny_prior, "--images", 1, "--crop", 16, "-t", "sr4", "-m", "ddnm", "--quick")
    exact, rough = (pellucid_command(*arguments, *more).out for more in ((), ("--precision", "bfloat16")))
    assert f"{tiny_prior} in bfloat16" in rough
    assert "bfloat16" not in exact
    assert pellucid_command(*arguments, "--precision", "int4").code == 2


def test_bench_conformance(pellucid_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from pellucid.bench import conformance
    from pellucid.methods import DDRM, MMPS

    contestants = {"DDRM": DDRM(), "MMPS": MMPS(steps=300)}
    monkeypatch.setattr(conformance, "METHODS", contestants)
    monkeypatch.setattr(conformance.compare, "__defaults__", (None, (0.4,), (0,), None))
    rows = [json.loads(line) for line in pellucid_command("bench", "conformance", "--json").out.splitlines()]
    assert [row["method"] for row in rows] == ["DDRM", "MMPS"]
    # The one is under-dispersed by design, the other is the reference.
    assert rows[0]["seen_ratio"] < 0.8
    assert rows[1]["seen_ratio"] == pytest.approx(1, abs=0.1)
    assert "| MMPS | 0.4 |" in pellucid_command("bench", "conformance").out


def test_bench_takes_hyper_parameters_of_its_methods(pellucid_command: Command, tiny_prior: Path) -> None:
    """A task may be called as `restore --task` has it."""
    known = ("bench", "known", "-p", tiny_prior, "--images", 1, "--crop", 32, "-t", "colorize", "-m", "ddrm", "--json")
    rows = [json.loads(line) for line in pellucid_command(*known, "--set", "ddrm.steps=10").out.splitlines()]
    assert [(row["task"], row["method"], row["nfe"]) for row in rows] == [
        ("colorize", "damaged", 0),
        ("colorize", "ddrm", 10),
    ]
    assert "METHOD.KEY=VALUE" in pellucid_command(*known, "--set", "steps=3").err
    assert "'ddnm'" in pellucid_command(*known, "--set", "ddnm.steps=3").err
    assert "has no 'stpes'" in pellucid_command(*known, "--set", "ddrm.stpes=3").err
    said = pellucid_command("bench", "conformance", "-m", "ddrm", "--set", "ddrm.steps=2", "--json")
    assert [json.loads(line)["task"] for line in said.out.splitlines()] == ["noise 0.1", "noise 0.4"]
    assert "say --method" in pellucid_command("bench", "conformance", "--set", "ddrm.steps=2").err
    assert "is blind" in pellucid_command("bench", "conformance", "-m", "dreamclean").err


def test_train_says_what_is_wrong(pellucid_command: Command, tmp_path: Path) -> None:
    for arguments, code, says in (
        ((tmp_path / "nowhere",), 1, "there is no such folder or tar"),
        ((tmp_path, "--preset", "tinny"), 2, "did you mean 'tiny'"),
        ((tmp_path, "--set", "stepz=3"), 2, "a recipe has no 'stepz'"),
        ((tmp_path, "--preset", "tiny", "--set", "steps=0"), 2, "steps must be above 0"),
    ):
        said = pellucid_command("train", *arguments, "-o", tmp_path / "run")
        assert said.code == code
        assert says in said.err


# --- start ------------------------------------------------------------------------------------------------------------


def test_the_command_is_a_module_too() -> None:
    said = subprocess.run([sys.executable, "-m", "pellucid", "--version"], capture_output=True, text=True, check=True)
    assert said.stdout.strip()[0].isdigit()


def test_help_and_version(pellucid_command: Command) -> None:
    for arguments in ((), ("--help",), ("restore", "--help")):
        said = pellucid_command(*arguments)
        assert said.code == 0
        assert "restore" in said.out
    assert pellucid_command("--version").out.strip()[0].isdigit()
    said = pellucid_command("resotre")
    assert said.code == 2
    assert len(said.err.splitlines()) == 1


def test_paragraphs_of_help_are_wrapped_as_wholes(pellucid_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    said = pellucid_command("restore", "--help").out
    assert "and the others are done. --resume continues a stopped job." in said
    said = pellucid_command("degrade", "--help").out
    assert "An image that fails is named, and the others are done." in said


def test_help_imports_nothing_heavy() -> None:
    program = "import sys; sys.argv = ['pellucid', '--help']\nimport pellucid.cli\ntry: pellucid.cli.main()\nfinally: "
    program += "print(sorted({'torch', 'diffusers', 'numpy', 'PIL', 'pydantic'} & sys.modules.keys()), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stderr.strip() == "[]"


def test_an_interruption_before_the_first_image_is_said(
    pellucid_command: Command, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pellucid.jobs.plan", stopped)
    said = pellucid_command("restore", photo, "-o", tmp_path / "out.png")
    assert (said.code, said.out, said.err) == (130, "", "pellucid: interrupted\n")
