"""`pellucid methods`, `tasks`, `degradations`, `priors` and `doctor`: the available parts, and a check of them."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Device, Json, Offline
from .output import FAILED, as_json, table, tell

# What `doctor` measures beside torch in float32.
_CPU_WAYS = ({"precision": "bfloat16"}, {"backend": "openvino"}, {"backend": "openvino", "precision": "bfloat16"})
_GPU_WAYS = ({"precision": "bfloat16"}, {"precision": "float16"})


def methods(
    named: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, or FILE.py:CLASS.")] = None,
    json: Json = False,
) -> None:
    """Lists the restoration methods with their hyper-parameters, or describes one in full."""
    from .. import methods as registry

    if named is not None:
        record = registry.describe(named)
        if json:
            return as_json(record)
        typer.echo(f"{named}: {'blind' if record['blind'] else 'needs the degradation'}\n\n{record['about']}\n")
        return _print_settings(record)
    records = [registry.describe(name) for name in registry.names()]
    if json:
        return as_json(records)
    rows = [("METHOD", "BLIND", "WHAT IT IS")]
    table(rows + [(r["name"], "yes" if r["blind"] else "no", r["summary"]) for r in records])
    for record in records:
        typer.echo("")
        _print_settings(record)
    return None


def _print_settings(method: Mapping[str, Any]) -> None:
    """Prints a method's hyper-parameters and presets in the form of options."""
    typer.echo(f"{method['name']} --set: {_assigned(method['hyper_parameters'])}")
    for preset, values in method["presets"].items():
        typer.echo(f"{method['name']} --preset {preset}: {_assigned(values) or 'these defaults'}")


def tasks(json: Json = False) -> None:
    """Lists the kinds of damage that `pellucid restore --task` knows."""
    from ..catalogue import UNDONE_BY
    from ..catalogue import tasks as registry

    records = [(name, registry.find(name)) for name in registry.names()]
    if json:
        return as_json(
            [
                {"name": name, "method": t.method, "settings": t.settings, "summary": t.summary, "needs": t.needs,
                 "undoes": [damage for damage, task in UNDONE_BY.items() if task == name]}
                for name, t in records
            ]
        )  # fmt: skip
    table([("TASK", "METHOD", "WHAT IT DOES"), *((name, task.method, task.summary) for name, task in records)])
    return None


def degradations(json: Json = False) -> None:
    """Lists the kinds of damage that `pellucid degrade --damage` makes, with their parameters."""
    from .. import degradations as registry

    records = [registry.describe(name) for name in registry.names()]
    if json:
        return as_json(records)
    table([("DAMAGE", "WHAT IT DOES"), *((r["name"], r["summary"]) for r in records)])
    typer.echo("")
    table([("DAMAGE", "--set"), *((r["name"], _assigned(r["parameters"])) for r in records)])
    return None


def _assigned(parameters: Mapping[str, Any]) -> str:
    """Formats parameters with their values as --set takes them."""
    values = {key: ",".join(map(str, v)) if isinstance(v, tuple) else v for key, v in parameters.items()}
    return " ".join(f"{key}={value}" for key, value in values.items())


priors_app = typer.Typer(help="Lists the priors that come with the package, inspects or converts one.")


@priors_app.callback(invoke_without_command=True)
def priors(context: typer.Context, json: Json = False) -> None:
    """Lists the priors that come with the package."""
    if context.invoked_subcommand is not None:
        return None
    from ..priors import embedded

    records = [embedded.describe(name) for name in embedded.names()]
    if json:
        return as_json(records)
    rows = [("PRIOR", "SIZE", "25/255", "TRAINING DATA")]
    table(rows + [(r["name"], f"{r['bytes'] / 1e6:.0f} MB", f"{r['psnr']['25']:.2f} dB", r["about"]) for r in records])
    typer.echo("\n25/255: the PSNR to which one call brings images with noise of that level, on its validation images.")
    typer.echo(
        "\nAny folder that `pellucid train` wrote, or of a diffusers UNet2DModel, any checkpoint of guided-diffusion "
        "or DDPM, any folder or file of Stable Diffusion or SDXL, any such model of the hub (owner/name) and any "
        "denoiser in Python (MODULE:OBJECT) is a prior, too: see pellucid priors inspect."
    )
    return None


PriorFiles = Annotated[
    str, typer.Argument(help="A checkpoint, a folder, the name of a prior, or a model of the hub.", metavar="PRIOR")
]


@priors_app.command("convert")
def convert(
    source: PriorFiles,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    half: Annotated[bool, typer.Option("--half", help="Write the weights in half precision.")] = False,
    licence: Annotated[str | None, typer.Option("--licence", help="Terms of the weights, for the model card.")] = None,
    offline: Offline = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a folder that a conversion wrote.")] = False,
    json: Json = False,
) -> None:
    """Writes a prior as a folder of safetensors and JSON, with a model card."""
    from ..priors.convert import convert as write

    told = write(source, output, half=half, overwrite=overwrite, licence=licence, offline=offline)
    if json:
        as_json({"input": source, "output": str(output), "family": told.family, "sha256": told.sha256})
    else:
        typer.echo(f"{source} -> {output}  {told.family}, {told.parameters:,} parameters")


@priors_app.command("inspect")
def inspect(
    source: PriorFiles,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Describes a prior and the cost of a call by its files alone."""
    from dataclasses import asdict

    from ..bench.prior import gflop
    from ..priors.describe import describe
    from ..priors.latent import latent_of
    from ..priors.memory import estimate

    told, prior = describe(source, offline=offline)
    least, most = told.sigma_range
    size = told.size or 256
    cost = gflop(prior, size)
    latent = latent_of(prior)
    memory = None if latent is None else estimate(latent, size, size, size).total
    if json:
        return as_json(asdict(told) | {"gflop": cost, "gflop_size": size, "memory": memory})
    rows = [
        ("family", told.family),
        ("resolution", f"{told.size} x {told.size}" if told.size else "not known"),
        ("images", f"{told.channels} channels, sides padded to multiples of {told.multiple}"),
        ("parameters", f"{told.parameters:,}"),
        (
            "schedule",
            f"{told.schedule}, {told.steps} steps, sigma {least:.3g} to {most:.4g}",
        ),
        ("predicts", told.predicts + (", and a variance (GDP takes it)" if told.learned_sigma else "")),
        ("classes", str(told.classes) if told.classes else "none"),
        ("attention heads", told.heads or "-"),
        ("cost of a call", f"{cost:,.1f} GFLOP at {size} x {size}"),
        *([] if memory is None else [("memory", f"about {memory / 1e9:,.1f} GB at {size} x {size}")]),
        ("file size", f"{told.bytes / 1e6:,.1f} MB"),
        ("SHA-256", told.sha256),
    ]
    table([("prior", told.source), *rows])
    return None


def doctor(device: Device = None, json: Json = False) -> int:
    """Checks that everything needed is here and works; exit code 1 if not."""
    from importlib.metadata import PackageNotFoundError

    from ..release import version

    facts: dict[str, Any] = {"pellucid": version("pellucid"), "python": platform.python_version()}
    problems: list[str] = []
    for name in ("torch", "diffusers", "safetensors", "numpy", "pillow", "tifffile"):
        try:
            facts[name] = version(name)
        except PackageNotFoundError:
            problems.append(f"{name} is not installed")
    try:
        facts |= _compute(device)
    # Whatever stands in the way on this machine is what the user wants to read.
    except Exception as error:
        problems.append(str(error).partition("\n")[0])
    facts["problems"] = problems
    if json:
        as_json(facts)
    else:
        table([(key, str(value)) for key, value in facts.items() if key != "problems"])
        for problem in problems:
            tell(f"problem: {problem}")
        typer.echo("there are problems" if problems else "all is well")
    return FAILED if problems else 0


def _compute(device: str | None) -> dict[str, Any]:
    """Lists devices and evaluates the embedded prior once."""
    import torch

    from ..bench.prior import cost
    from ..errors import PellucidError
    from ..priors import load_prior
    from ..priors.backends import accelerated, usual
    from ..support.devices import find_device

    found = find_device(device)
    prior = load_prior("natural", found)
    seconds, small, evaluations = cost(prior).seconds, cost(prior, 64).seconds, 90
    ways = {}
    for options in _CPU_WAYS if found.type == "cpu" else _GPU_WAYS:
        said = "with " + " ".join(f"--{name} {own}" for name, own in options.items())
        try:
            way = accelerated(prior, **options)
        except PellucidError:
            ways[said] = 'not installed: pip install "pellucid[openvino]"'
            continue
        # Where there are no instructions for it, half precision takes eight times as long: nobody has to wait for that.
        ways[said] = f"{cost(way).seconds:.3f} s" if cost(way, 64).seconds < 3 * small else "slower"
    return {
        "device": str(found),
        "gpus": ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())) or "none",
        "threads": torch.get_num_threads(),
        "--precision auto": " by ".join(reversed(usual(found))),
        "one evaluation at 256x256": f"{seconds:.3f} s",
        **ways,
        **({"a large folder": _folder()} if found.type == "cpu" else {}),
        "dreamclean at 256x256": f"about {evaluations * seconds:.0f} s",
    }


def _folder() -> str:
    """Compares one process for a folder with one for each core, and tells the option for the faster way."""
    import torch

    from ..api import Restorer
    from ..jobs.executors.trial import compare

    cores = torch.get_num_threads()
    if cores == 1:
        return "one process, since the network has one thread"
    # One evaluation for each image.
    one, several = compare(Restorer("denoise", device="cpu", noise=0.06), cores)
    ratio = one.rest / several.rest
    if ratio >= 1:
        return f"{cores} processes of one thread are {ratio:.2f} times as fast as one with {cores}: the default"
    return f"one process with {cores} threads is {1 / ratio:.2f} times as fast as {cores}: add --executor this"
