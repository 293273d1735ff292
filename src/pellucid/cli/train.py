"""`pellucid train`."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..support.settings import assignments, parse
from .options import Device, Json, Settings
from .output import as_json, tell


def train(
    data: Annotated[Path, typer.Argument(help="Folder, or uncompressed tar, of images.")],
    run: Annotated[Path, typer.Option("--output", "-o", help="Folder of the run; an existing run continues.")],
    preset: Annotated[str, typer.Option("--preset", help="cpu, gpu, or tiny to try it out.")] = "cpu",
    settings: Settings = None,
    device: Device = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", help="float32 or bfloat16 (default: bfloat16 where a GPU has it); see doctor."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Stop after so many minutes; run again to continue.")
    ] = None,
    validation: Annotated[
        list[str] | None,
        typer.Option(
            "--validation", metavar="NAME=FOLDER", help="Images to validate on; repeatable (default: 12 held out)."
        ),
    ] = None,
    initial: Annotated[
        Path | None, typer.Option("--initial", help="Folder of a prior or run to start from, of this shape or another.")
    ] = None,
    name: Annotated[str, typer.Option("--name", help="The prior's name, for its model card.")] = "prior",
    about: Annotated[str, typer.Option("--about", help="Description of the images, for the model card.")] = "not said",
    licence: Annotated[str, typer.Option("--licence", help="The images' terms, for the model card.")] = "not said",
    zero_dce: Annotated[
        bool,
        typer.Option("--zero-dce", help="Train Zero-DCE's network, which brightens low light, instead of a prior."),
    ] = False,
    gan: Annotated[bool, typer.Option("--gan", help="Train a small GAN for DGP instead, into RUN/gan.")] = False,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Processor threads; use 1 on a busy machine.")
    ] = None,
    json: Json = False,
) -> None:
    """Trains a prior on a folder of images.

    It can be stopped at any time; the same command continues. Pass RUN/prior to `pellucid restore --prior`.
    """
    if zero_dce and gan:
        raise UsageError("--zero-dce and --gan are two trainings: choose one")
    if (zero_dce or gan) and (preset != "cpu" or any(given is not None for given in (validation, initial, precision))):
        what = "--zero-dce" if zero_dce else "--gan"
        raise UsageError(f"{what} takes no --preset, --validation, --initial or --precision: leave them out")
    from ..train import gan as gans
    from ..train import run as priors
    from ..train import zero_dce as curves
    from ..train.export import Origin
    from ..train.loop import TrainingOptions
    from ..train.recipe import preset as preset_of
    from ..train.recipe import with_settings
    from ..train.validation import named_folders

    values, origin = assignments(settings or []), Origin(name, about, licence)
    options = TrainingOptions(device=device, minutes=minutes, threads=threads)
    if zero_dce:
        curve = curves.CurveRecipe(**parse(curves.CurveRecipe, "a recipe of Zero-DCE", values))
        steps, use = curve.steps, "--method zero-dce --set model="
        outcome = curves.train(data, run, curve, options, origin, tell)
    elif gan:
        recipe = gans.GANRecipe(**parse(gans.GANRecipe, "a GAN recipe", values))
        steps, use = recipe.steps, "--method dgp --set generator="
        outcome = gans.train(data, run, recipe, options, origin, tell)
    else:
        own = with_settings(preset_of(preset), values)
        options = replace(options, validation=named_folders(validation or []), initial=initial, precision=precision)
        steps, use = own.steps, "--prior "
        outcome = priors.train(data, run, own, options, origin, tell)
    if json:
        as_json({**asdict(outcome), "result": outcome.result and str(outcome.result), "run": str(run)})
    elif outcome.finished:
        typer.echo(f"{outcome.step} updates done; restore with {use}{outcome.result}")
    else:
        typer.echo(f"stopped after {outcome.step} of {steps} updates; the same command continues")
