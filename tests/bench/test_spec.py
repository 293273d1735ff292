from __future__ import annotations

import re
from pathlib import Path

import pytest

from pellucid import degradations, metrics
from pellucid.bench import cases, data, official, spec
from pellucid.bench.run_table import entrant_method
from pellucid.errors import PellucidError, UsageError
from pellucid.methods import DreamClean, DreamCleanKnown

TEXT = Path(__file__).with_name("tiny.toml").read_text()


def test_every_table_of_the_papers_is_there() -> None:
    dreamclean = {f"dreamclean-{number}" for number in (1, 2, 3, 4, 5, "a1", "a2", "a3")}
    slides = {"diip-1", "diip-2", "gdp-1", "gdp-2"}
    own = {"diip-regimes", "gdp-figures", *(f"ablation-{what}" for what in ("calm", "corrections", "map", "strength"))}
    assert set(spec.names()) == dreamclean | slides | own


@pytest.mark.parametrize("name", spec.names())
def test_a_tables_words_are_sentences(name: str) -> None:
    found = spec.load(name)
    for said in filter(None, (found.note, found.protocol.note)):
        assert re.fullmatch(r"[A-Z].{20,}\.", said.strip(), re.DOTALL), said
    if name in {f"dreamclean-{number}" for number in (1, 2, 3, 4, 5, "a1", "a2", "a3")}:
        # The paper's procedure is said, and is what runs.
        assert "from tau 300 of a DDIM ladder of 100 steps, with gamma 0.05 and one correction a level" in found.note
        ours = [one for one in found.methods if one.method.startswith("dreamclean")]
        walks = [entrant_method(one, found.tasks[0].name, False, {}) for one in ours]
        assert walks
        for walk in walks:
            assert isinstance(walk, DreamClean | DreamCleanKnown)
            assert (walk.strength, walk.steps, walk.gamma, walk.corrections) == (300, 100, 0.05, 1)


@pytest.mark.parametrize("name", spec.names())
def test_every_table_names_what_exists(name: str) -> None:
    found = spec.load(name)
    assert found.name == name
    for source in found.data:
        assert source.name in data.names()
    for task in found.tasks:
        damage = task.damage or task.stand_in
        assert bool(damage) != bool(task.operator)  # every one can be simulated
        if damage and damage["name"] != "exposures":
            degradations.get(damage["name"], **{key: value for key, value in damage.items() if key != "name"})
        if task.operator:
            cases.operator(task.operator, 64, 64)
        for entrant in found.methods:
            if not entrant.model and entrant.takes_part(task.name):
                for quick in (False, True):
                    entrant_method(entrant, task.name, quick, {})


def test_every_metric_has_a_definition() -> None:
    assert {metric for name in spec.names() for metric in spec.load(name).metrics} <= set(metrics.names())


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ('title = "', 'tilte = "', "tilte: there is no such key"),
        ("images = 2", 'images = "2"', "data.0.images"),
        ('label = "Ours", ', "", "methods.0.label"),
        ("sigma = 0.2 } }", 'sigma = 0.2 }, oprator = "x" }', "tasks.0.oprator: there is no such key"),
        ("figures = { psnr", "figures = { psmr", "published: unknown name 'psmr': did you mean 'psnr'?"),
        ('tasks = ["half"]', 'tasks = ["hlaf"]', "methods: unknown name 'hlaf'"),
        ('task = "noise"', 'task = "nose"', "published: unknown name 'nose'"),
        ('better = "DDRM"', 'better = "DDNM"', "claims: unknown name 'DDNM'"),
        ('name = "half", operator', 'name = "noise", operator', "tasks: 'noise' is there twice"),
        ("noise = 0.05", "noise = 25", "tasks: noise is in [0, 1] units, not 25: say 25/255 for 25 of 255"),
        ("noise = 0.05", 'noise = "ten"', "noise: 'ten' is no number: write it as 0.04 or 10/255"),
        ("factor = 2 }", 'factor = 2 }, damage = { name = "jpeg" }', "a damage and an operator"),
        ("methods = [", "methods = [[", "is no TOML"),
        ("noise = 0.05", "noise = " + "1" * 5000, "is no TOML"),
    ],
)
def test_a_slip_is_one_line_that_names_file_and_key(before: str, after: str, said: str) -> None:
    assert before in TEXT
    with pytest.raises(PellucidError) as error:
        spec.parse(TEXT.replace(before, after, 1), "tiny")
    message = str(error.value)
    assert message.startswith("tiny.toml: ")
    assert said in message
    assert "\n" not in message


def test_noise_may_be_a_fraction() -> None:
    before, after = (
        spec.parse(TEXT.replace("noise = 0.05", f"noise = {one}", 1), "tiny") for one in ("0.2", '"51/255"')
    )
    assert before == after


def test_an_unknown_table_is_told_with_its_neighbour() -> None:
    with pytest.raises(UsageError, match="did you mean 'dreamclean-1'"):
        spec.load("dreamclean1")


def test_settings_of_a_task_and_of_quick_runs_go_before_the_papers() -> None:
    entrant = spec.Entrant(
        "x", "gdp", {"scale": 1.0, "steps": 9}, {"t": {"scale": 2.0}}, {"steps": 3}, {"t": {"clip": False}}
    )
    assert entrant.resolved("other", False) == {"scale": 1.0, "steps": 9}
    assert entrant.resolved("t", False) == {"scale": 2.0, "steps": 9}
    assert entrant.resolved("t", True) == {"scale": 2.0, "steps": 3, "clip": False}
    assert entrant.resolved("other", True) == {"scale": 1.0, "steps": 3}


@pytest.mark.parametrize("name", spec.names())
def test_quick_runs_take_over_nothing_that_a_paper_chose_for_its_own_network(name: str) -> None:
    """With the paper's settings quick SNIPS has 6 dB in place of 23 on the package's photographs, RED 24 for 28."""
    chosen = {
        "snips": ("calibrate",),
        "red": ("strength", "final"),
        "gibbsddrm": ("langevin", "preconditioned", "size"),
    }
    table = spec.load(name)
    for entrant in table.methods:
        for key in chosen.get(entrant.method, ()):
            for task in filter(entrant.takes_part, (task.name for task in table.tasks)):
                quick = entrant_method(entrant, task, True, {})
                assert getattr(quick, key) == getattr(type(quick)(), key), (entrant.label, key)


def test_variants_of_published_code_are_named_as_such() -> None:
    method = entrant_method(spec.parse(TEXT, "tiny").methods[1], "half", False, {})
    assert isinstance(method, official.DDRMStrict)
    with pytest.raises(PellucidError, match="--weights fbcnn=FILE"):
        entrant_method(spec.parse(TEXT, "tiny").methods[2], "noise", False, {})
