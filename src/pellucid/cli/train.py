"""`pellucid train`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..settings import assignments, parse
from .options import Device, Json, Settings
from .output import as_json, tell


def train(
    data: Annotated[Path, typer.Argument(help="Folder, or uncompressed tar, of images.")],
    run: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; one that exists is gone on with.")],
    preset: Annotated[str, typer.Option("--preset", help="cpu, gpu, or tiny to try it out.")] = "cpu",
    settings: Settings = None,
    device: Device = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Stop after this long; run again to go on.")
    ] = None,
    validation: Annotated[
        Path | None, typer.Option("--validation", help="Images to validate on (default: 12 held out).")
    ] = None,
    initial: Annotated[Path | None, typer.Option("--initial", help="Folder of a prior to start from.")] = None,
    name: Annotated[str, typer.Option("--name", help="The prior's name, for its model card.")] = "prior",
    about: Annotated[str, typer.Option("--about", help="What the images are, for the model card.")] = "not said",
    licence: Annotated[str, typer.Option("--licence", help="The images' terms, for the model card.")] = "not said",
    zero_dce: Annotated[
        bool,
        typer.Option("--zero-dce", help="Train Zero-DCE's network, which brightens low light, instead of a prior."),
    ] = False,
    gan: Annotated[bool, typer.Option("--gan", help="Train a small GAN for DGP instead, into RUN/gan.")] = False,
    json: Json = False,
) -> None:
    """Trains a prior on one's own images.

    It can be stopped at any time; the same command goes on. RUN/prior is what `pellucid restore --prior` takes.
    """
    values = assignments(settings or [])
    if zero_dce or gan:
        what = "--zero-dce" if zero_dce else "--gan"
        if zero_dce and gan:
            raise UsageError("--zero-dce and --gan are two trainings: choose one")
        if preset != "cpu" or validation is not None or initial is not None:
            raise UsageError(f"{what} takes no --preset, --validation or --initial: leave them out")
        other = _train_zero_dce if zero_dce else _train_gan
        return other(data, run, values, device, minutes, (name, about, licence), json)

    from ..train.export import Origin
    from ..train.recipe import Recipe
    from ..train.recipe import preset as preset_of
    from ..train.run import Options
    from ..train.run import train as run_training

    recipe = preset_of(preset, **parse(Recipe, "a recipe", values))
    options = Options(device=device, minutes=minutes, validation=validation, initial=initial)
    outcome = run_training(data, run, recipe, options, Origin(name, about, licence), tell)
    if json:
        prior = None if outcome.prior is None else str(outcome.prior)
        as_json({**asdict(outcome), "prior": prior, "run": str(run)})
    elif outcome.finished:
        typer.echo(f"{outcome.step} updates done; the prior is in {outcome.prior}")
    else:
        typer.echo(f"stopped after {outcome.step} of {recipe.steps} updates; the same command goes on")
    return None


def _train_zero_dce(
    data: Path, run: Path, values: dict[str, str], device: str | None, minutes: float | None,
    origin: tuple[str, str, str], json: bool,
) -> None:  # fmt: skip
    from ..train.export import Origin
    from ..train.zero_dce import Recipe
    from ..train.zero_dce import train as run_training

    recipe = Recipe(**parse(Recipe, "a recipe of Zero-DCE", values))
    outcome = run_training(data, run, recipe, device=device, minutes=minutes, origin=Origin(*origin), tell=tell)
    if json:
        as_json({**asdict(outcome), "run": str(run)})
    elif outcome.finished:
        typer.echo(f"{outcome.step} updates done; the weights are in {outcome.model}")
    else:
        typer.echo(f"stopped after {outcome.step} of {recipe.steps} updates; the same command goes on")


def _train_gan(
    data: Path, run: Path, values: dict[str, str], device: str | None, minutes: float | None,
    origin: tuple[str, str, str], json: bool,
) -> None:  # fmt: skip
    from ..train.export import Origin
    from ..train.gan import GANRecipe
    from ..train.gan import train as train_gan
    from ..train.run import Options

    recipe = GANRecipe(**parse(GANRecipe, "a GAN recipe", values))
    outcome = train_gan(data, run, recipe, Options(device=device, minutes=minutes), Origin(*origin), tell)
    if json:
        as_json({**asdict(outcome), "gan": None if outcome.gan is None else str(outcome.gan), "run": str(run)})
    elif outcome.finished:
        typer.echo(f"{outcome.step} updates done; restore with --method dgp --set generator={outcome.gan}")
    else:
        typer.echo(f"stopped after {outcome.step} of {recipe.steps} updates; the same command goes on")
