"""One request gives one answer: its spellings, its fingerprint, and what it leaves open."""

from __future__ import annotations

import ast
import inspect
import shlex
from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import typer.main
from PIL import Image

import pellucid
from pellucid import Recipe, images, jobs, methods
from pellucid.app.calls import Call
from pellucid.app.choices import Choices, variants
from pellucid.app.work import Restorers
from pellucid.catalogue import tasks
from pellucid.cli import app
from pellucid.cli.restore import restore
from pellucid.errors import UsageError
from pellucid.maths.noise import derive_seed
from pellucid.methods import DreamClean
from pellucid.operators import AveragePool, Denoise, PhaseRetrieval


def test_nothing_said_is_the_usual_method() -> None:
    assert Recipe().choice.method == "auto"
    chosen = Recipe(settings={"steps": "20"}).choice
    assert (chosen.method, chosen.hyper_parameters) == ("dreamclean", {"steps": 20})
    assert chosen.restores == DreamClean(strength="auto", steps=20)


def test_a_task_brings_its_method_settings_operator_and_noise() -> None:
    chosen = Recipe(task="sr4", settings={"steps": "7"}).choice
    assert chosen.method == "dreamclean-known"
    assert chosen.hyper_parameters == {**tasks.find("sr4").settings, "steps": 7}
    assert isinstance(chosen.operator, AveragePool)
    assert Recipe(task="hdr").choice.several


def test_what_is_said_wins_over_the_task() -> None:
    chosen = Recipe("ddrm", task="sr4", noise=0.1).choice
    assert (chosen.method, chosen.hyper_parameters, chosen.noise) == ("ddrm", {}, 0.1)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"mask": Path("m.png")}, "a mask goes with"),
        ({"task": "deblur"}, "needs a kernel"),
        ({"method": "nothing"}, "unknown method"),
        ({"settings": {"fidelity": "2"}}, "fidelity must be"),
        ({"method": 7}, "method is a text, not 7"),
        ({"noise": "loud"}, "noise: 'loud' is no number: write it as 0.04 or 10/255"),
        ({"noise": 25}, "noise is in \\[0, 1\\] units, not 25: say 25/255 for 25 of 255"),
        # It was said as a share of 255 already.
        ({"noise": "300/255"}, "noise is in \\[0, 1\\] units, not 1.17647$"),
        ({"noise": 1.5}, "say 1.5/255 for 1.5 of 255"),
        ({"seed": None}, "seed cannot be None"),
        ({"noise": -0.1}, "noise is in \\[0, 1\\] units, not -0.1$"),
        ({"noise": (0.1, 2)}, "noise is in \\[0, 1\\] units, not 2: say 2/255 for 2 of 255"),
        ({"noise": 10**400}, "noise is a number, not 1000"),
        ({"operator": PhaseRetrieval(), "noise": -2}, "noise is 0 or more, not -2"),
        ({"seed": -1}, "seed is a whole number from 0 to 2\\^63 - 1, not -1"),
        ({"seed": 2**63}, "seed is a whole number from 0 to 2\\^63 - 1, not 9223372036854775808"),
        ({"device": 3}, "device is a text, not 3"),
        ({"noise": float("nan")}, "noise is a number, not nan"),
        ({"task": "denoise", "noise": 25}, r"noise is in \[0, 1\] units, not 25: say 25/255 for 25 of 255"),
        ({"method": "denoise", "noise": [0.1, 25]}, r"noise is in \[0, 1\] units, not 25"),
        (
            {"task": "lowlight", "method": "denoise"},
            "lowlight is done by lowlight, gdp, zero-dce, external, not by denoise",
        ),
        ({"task": "unfade", "method": "lowlight"}, "unfade is done by unfade, external, not by lowlight"),
        ({"settings": {"fidelity": float("nan")}}, "fidelity must be a finite number, not nan"),
        ({"settings": {"fidelity": "inf"}}, "fidelity must be a finite number, not inf"),
        ({"method": "gdp", "kernel": 9}, "goes into settings"),
    ],
)
def test_wrong_calls(call: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        _ = Recipe(**call).choice


def test_noise_of_a_measurement_that_is_no_picture_has_no_upper_bound() -> None:
    assert Recipe("dps", operator=PhaseRetrieval(), noise=2).noise == 2.0


@pytest.mark.parametrize(
    ("task", "method"),
    [("unblur", "gibbsddrm"), ("lowlight", "zero-dce"), ("lowlight", "external"), ("unfade", "mine.py:Own")],
)
def test_a_task_without_an_operator_has_its_methods_and_ones_of_others(task: str, method: str) -> None:
    tasks.find(task).check_method(task, method)


def test_a_preset_is_of_the_method_that_is_chosen_and_gives_way_to_settings() -> None:
    with pytest.raises(UsageError, match="auto has no preset 'fast'"):
        _ = Recipe(preset="fast").choice
    fast = Recipe("dreamclean", settings={"gamma": "0.2"}, preset="fast").choice.hyper_parameters
    assert fast == {**DreamClean.presets["fast"], "gamma": 0.2}
    with pytest.raises(UsageError, match="denoise has no preset 'slow'"):
        Recipe("denoise", preset="slow")


def test_the_papers_settings_have_a_name() -> None:
    assert Recipe("dreamclean", preset="paper").choice.restores == DreamClean(300, 100, 0.05, 1)
    known = Recipe(task="sr4", preset="paper").choice.restores
    assert isinstance(known, methods.DreamCleanKnown)
    assert (known.gamma, known.strength) == (0.05, 300)
    without = {name for name in methods.names() if "paper" not in methods.find(name).presets}
    assert without == {"auto", "colorize", "denoise", "enlarge", "external", "jpeg", "lowlight", "unblur", "unfade"}


def misspelt(image: Image.Image) -> None:
    """Never called: mypy --strict, which reports an ignore that it does not need, refuses each of these."""
    pellucid.restore(image, metod="x")  # type: ignore[call-overload]
    pellucid.restore(image, "dreamclean", seeed=3)  # type: ignore[call-overload]
    pellucid.restore(image, 7, noise="loud", device=3)  # type: ignore[call-overload]
    pellucid.restore(image, "dreamclean", "natural", strength=200, steps=50, task=None)


SPELLED = [
    Recipe(),
    Recipe("dreamclean", {"strength": 20, "steps": 50}, seed=7, tile=64, device="cpu"),
    Recipe(DreamClean(strength=20, shared=True)).plain(),
    Recipe(task="inpaint", mask=Path("/a mask.png"), noise=0.02, exact=True, offline=True),
    Recipe(task="scratches", yes=True),
    Recipe("ddrm", {"eta": 1e-7}, seed=2**63 - 1, label=-2, noise=1e-7),
    Recipe(task="inpaint", mask=Path("-a 'b' \"c\" $d `e` \\ ü.png")),
    Recipe("dgp", {"rates": (0.1, 0.2)}, prompt='a "cat"', label=3, precision="bfloat16", preset="paper"),
]


@pytest.mark.parametrize("recipe", SPELLED)
def test_every_spelling_leads_back(recipe: Recipe) -> None:
    assert Recipe.from_toml(recipe.to_toml()) == recipe
    assert Recipe.from_command(recipe.to_command()) == recipe
    assert Recipe.from_python(recipe.to_python()) == recipe


def test_a_whole_number_is_the_same_noise(tiny_prior: Path) -> None:
    whole, point = (Recipe("denoise", prior=str(tiny_prior), noise=noise) for noise in (0, 0.0))
    assert whole.fingerprint() == point.fingerprint()


def test_every_door_reads_a_fraction() -> None:
    wanted = Recipe("denoise", {"boost": 1.5}, noise=10 / 255)
    assert Recipe("denoise", {"boost": "3/2"}, noise="10/255") == wanted  # type: ignore[arg-type]
    assert Recipe.from_command("pellucid restore IN -o OUT -m denoise --noise 10/255 --set boost=3/2") == wanted
    assert Recipe.from_toml('method = "denoise"\nnoise = "10/255"\n[set]\nboost = "3 / 2"\n') == wanted


@pytest.mark.parametrize("text", ["10/0", "ten", "1/2/3", "/255", "inf", "1e400", ""])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(UsageError, match=f"noise: '{text}' is no number: write it as 0.04 or 10/255"):
        Recipe("denoise", noise=text)  # type: ignore[arg-type]


def test_what_has_no_name_cannot_be_spelled() -> None:
    with pytest.raises(UsageError, match="no name"):
        Recipe("ddrm", operator=Denoise()).to_toml()
    with pytest.raises(UsageError, match="did you mean 'seed'"):
        Recipe.from_toml("sede = 3")
    for text in ("seed = " + "1" * 5000, "seed = " + "[" * 5000):
        with pytest.raises(UsageError, match="is no TOML"):
            Recipe.from_toml(text)


def test_every_field_changes_the_fingerprint(tmp_path: Path, tiny_prior: Path) -> None:
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    Image.fromarray(np.tri(8, dtype=np.uint8) * 255).save(a)
    plain = Recipe("dreamclean", prior=str(tiny_prior))
    told, paint = Recipe("ddrm", operator=AveragePool(2)), Recipe(task="inpaint", mask=a)
    blur = Recipe(task="deblur", kernel=a)
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(b)
    changes: dict[str, tuple[Recipe, Any]] = {
        "method": (plain, "denoise"),
        "settings": (plain, {"steps": 50}),
        "preset": (plain, "paper"),
        "task": (replace(told, operator=None, task="sr2"), "sr4"),
        "operator": (told, AveragePool(4)),
        "mask": (paint, b),
        "kernel": (blur, b),
        "by": (Recipe(task="enlarge"), 3),
        "yes": (replace(paint, task="scratches", mask=None, yes=True), False),
        "noise": (told, 0.1),
        "exact": (told, True),
        "label": (plain, 3),
        "prompt": (plain, "a cat"),
        "offline": (plain, True),
        "seed": (plain, 1),
        "tile": (plain, 64),
        "device": (plain, "meta"),
        "backend": (plain, "compile"),
        "precision": (plain, "float16"),
    }
    assert changes.keys() | {"prior"} == {one.name for one in fields(Recipe)}
    # Without a yes there is a mask, or nothing that could be done.
    unasked = replace(changes["yes"][0], yes=False, mask=a)
    assert changes.pop("yes")[0].fingerprint("prior") != unasked.fingerprint("prior")
    for name, (recipe, value) in changes.items():
        assert replace(recipe, **{name: value}).fingerprint("prior") != recipe.fingerprint("prior"), name
        assert replace(recipe).fingerprint("prior") == recipe.fingerprint("prior"), name
    assert plain.fingerprint("one") != plain.fingerprint("other")
    assert plain.fingerprint() == plain.fingerprint(plain.restorer().fingerprint)
    # The same in other words.
    assert replace(plain, preset="paper").fingerprint("") == replace(plain, method=DreamClean(300)).fingerprint("")


def test_the_command_line_offers_every_field() -> None:
    """The options are in two places, the recipe and the signature of `restore`, which say the same."""
    offered = inspect.signature(restore).parameters
    command = typer.main.get_command(app).commands["restore"]  # type: ignore[attr-defined]
    options = {one.name: one for one in command.params}
    for one in fields(Recipe):
        if one.metadata:
            default = None if one.name == "settings" else one.default
            assert default is not MISSING
            assert offered[one.name].default == default, one.name
            kind = get_type_hints(restore)[one.name]
            wanted = {dict: list[str]}.get(one.metadata["kind"], one.metadata["kind"])
            assert wanted in (kind, *get_args(kind)), one.name
            flag = "--set" if one.name == "settings" else f"--{one.name}"
            assert {flag, *one.metadata["flags"]} == set(options[one.name].opts), one.name


def test_the_page_has_the_recipes_fields() -> None:
    recipe = Recipe.__dataclass_fields__
    for one in fields(Choices):
        if one.name in recipe and one.name != "settings":
            assert one.default == recipe[one.name].default, one.name


def test_the_body_of_restore_fits_a_screen() -> None:
    (function,) = ast.parse(inspect.getsource(restore)).body
    assert isinstance(function, ast.FunctionDef)
    first, last = function.body[1], function.body[-1]
    assert (last.end_lineno or 0) - first.lineno < 60


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe("dreamclean"),
        Recipe("dreamclean", {"strength": 20, "schedule": "langevin"}, seed=7),
        Recipe(),
        Recipe(task="sr2", noise=0.02, settings={"steps": 20}),
        Recipe(task="enlarge", by=3),
    ],
    ids=["bare", "strength", "nothing", "task", "factor"],
)
def test_every_door_gives_the_same_bytes(
    recipe: Recipe, tmp_path: Path, tiny_prior: Path, pellucid_command: Callable[..., Any]
) -> None:
    recipe = replace(recipe, prior=str(tiny_prior))
    pixels = np.random.default_rng(0).integers(0, 255, (16, 20, 3), np.uint8)
    source = tmp_path / "in.png"
    Image.fromarray(pixels).save(source)

    def words(text: str) -> list[str]:
        return shlex.split(text)[1:]

    said = pellucid_command(*words(recipe.to_command((str(source),), str(tmp_path / "command.png"))))
    assert said.code == 0, said.err
    (tmp_path / "run.toml").write_text(recipe.to_toml())
    said = pellucid_command("restore", source, "-o", tmp_path / "config.png", "--config", tmp_path / "run.toml")
    assert said.code == 0, said.err
    restored, _ = Recipe.from_python(recipe.to_python()).restorer().picture(images.read(source))
    images.write(restored, tmp_path / "python.png")
    # The page, as its controls would have it.
    settings = tuple(f"{key}={value}" for key, value in recipe.settings.items())
    choices = Choices(
        task=recipe.task, method=recipe.method, prior=str(tiny_prior), settings=settings,  # type: ignore[arg-type]
        noise=recipe.noise, seed=recipe.seed, by=recipe.by,  # type: ignore[arg-type]
    )  # fmt: skip
    (variant,) = variants(choices)
    assert variant.choices.recipe() == recipe
    assert Recipe.from_command(Call(["in.png"], [variant]).command()) == recipe
    restored, _ = Restorers().of(variant).picture(images.read(source), variant.choices.seed)
    images.write(restored, tmp_path / "page.png")
    # A job of one image, and of a folder, in which an image's seed follows from its name.
    work = jobs.Work(recipe.restorer(), recipe.seed)
    (outcome,) = work.outcomes(jobs.plan([source], tmp_path / "job.png"))
    assert outcome.error is None
    (tmp_path / "many").mkdir()
    (tmp_path / "many" / "in.png").write_bytes(source.read_bytes())
    said = pellucid_command(*words(recipe.to_command((str(tmp_path / "many"),), str(tmp_path / "out"))))
    assert said.code == 0, said.err
    restored, _ = recipe.restorer().picture(images.read(source), derive_seed(recipe.seed, "in.png"))
    images.write(restored, tmp_path / "out" / "python.png")
    assert (tmp_path / "out" / "in.png").read_bytes() == (tmp_path / "out" / "python.png").read_bytes()
    files = {path.name: path.read_bytes() for path in tmp_path.glob("*.png") if path.name != "in.png"}
    assert len(files) == 5
    assert len(set(files.values())) == 1
    # Python's one call gives the same picture.
    out = pellucid.restore(source, recipe)
    with Image.open(tmp_path / "command.png") as written:
        assert out.tobytes() == written.tobytes()
    if recipe.task is None:
        named: Any = recipe.settings
        same = pellucid.restore(pixels, recipe.method, str(tiny_prior), seed=recipe.seed, settings=named)
        assert np.array_equal(same, np.asarray(out))


IDLE: list[tuple[str, dict[str, Any]]] = [
    ("dreamclean", {"strength": 70, "fidelity": 0.4}),
    ("dreamclean", {"strength": 70, "fidelity": 0.5}),
    ("dreamclean", {"corrections": 0, "gamma": 0.1}),
    ("dreamclean", {"corrections": 0, "schedule": "none"}),
    ("dreamclean", {"start": "forward", "climb": 3}),
    ("dip", {"stop": "never", "window": 50}),
    ("dip", {"stop": "never", "patience": 50}),
    ("diip", {"stop": "never", "slope": 0.1}),
    ("diip", {"stop": "slope", "minimum": 5}),
    ("diip", {"stop": "never", "window": 5}),
    ("bird", {"degradation": "light", "kernel": 9}),
    ("gdp", {"degradation": "kernel", "cell": 4}),
    ("gdp", {"degradation": "light", "kernel": 9}),
    ("gdp", {"hold": 2.0}),
    ("dgp", {"fit": "resize", "overlap": 4}),
]


@pytest.mark.parametrize(("method", "settings"), IDLE)
def test_settings_without_an_effect_are_refused(method: str, settings: dict[str, Any]) -> None:
    *_, idle = settings
    with pytest.raises(UsageError, match=f": {idle} has an effect only with .*; leave it out$"):
        _ = Recipe(method, settings).choice
    without = {name: value for name, value in settings.items() if name != idle}
    assert Recipe(method, without).choice.hyper_parameters == without


def test_settings_without_an_effect_for_a_known_damage_are_refused() -> None:
    for method, name, value in (("bird", "kernel", 9), ("gdp", "degradation", "kernel"), ("ddnm", "travel_length", 4)):
        with pytest.raises(UsageError, match=f": {name} has an effect only with"):
            _ = Recipe(method, {name: value}, task="sr4").choice
    with pytest.raises(UsageError, match="DAPS: rate has an effect only with draw langevin"):
        _ = Recipe("daps", {"draw": "exact", "rate": 0.1}, task="sr4").choice


def test_a_preset_or_a_task_may_bring_settings_without_an_effect() -> None:
    assert Recipe("diip", {"stop": "never"}, preset="fast").choice.hyper_parameters["slope"] == 0.0032
    assert Recipe(task="sr4", settings={"corrections": 0}).choice.hyper_parameters["gamma"] == 0.5
    with pytest.raises(UsageError, match="DreamClean: fidelity has an effect only with strength auto"):
        _ = Recipe("dreamclean", {"fidelity": 0.4}, preset="paper").choice


def test_every_door_refuses_a_fidelity_beside_a_strength(
    pellucid_command: Callable[..., Any], tmp_path: Path, tiny_prior: Path
) -> None:
    says = "fidelity has an effect only with strength auto; leave it out"
    image = np.zeros((8, 8, 3), np.uint8)
    calls: list[dict[str, Any]] = [
        {"strength": 70, "fidelity": 0.4},
        {"method": "dreamclean", "settings": {"strength": "70", "fidelity": "0.4"}},
        {"method": pellucid.methods.DreamClean(strength=70, fidelity=0.4)},
        {"method": "dreamclean", "preset": "paper", "fidelity": 0.4},
    ]
    for call in calls:
        with pytest.raises(UsageError, match=says):
            pellucid.restore(image, prior=tiny_prior, **call)
    images.write(images.from_array(image), tmp_path / "a.png")
    config = tmp_path / "job.toml"
    config.write_text("strength = 70\n")
    for options in (("--strength", 70), ("-m", "dreamclean", "--preset", "paper"), ("--config", config)):
        said = pellucid_command(
            "restore", tmp_path / "a.png", "-o", tmp_path / "o.png", "-p", tiny_prior, "--fidelity", 0.4, *options
        )
        assert said.code == 2
        assert said.err == f"pellucid: DreamClean: {says}\n"
    assert not (tmp_path / "o.png").exists()


def test_conditions_are_of_fields() -> None:
    for name in methods.names():
        kind = methods.find(name)
        assert set(kind.effective) <= {one.name for one in fields(kind)}  # type: ignore[arg-type]
