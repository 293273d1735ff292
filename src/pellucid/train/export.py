"""The result of a run: a prior's folder with a model card of its origin."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..priors.network import DenoisingUNet
from ..release import version
from .recipe import SIGMA_MAX, SIGMA_MIN, TrainingRecipe
from .validation import Scores

# Longest line of a card's command, where its pieces permit it.
_COLUMNS = 100


@dataclass(frozen=True)
class Origin:
    """Origin of the data for a model card; the network cannot know.

    Attributes:
        name: of the prior.
        data: the images and their source in a sentence.
        licence: terms of the images, presumably also those of the weights.
    """

    name: str = "prior"
    data: str = "not said"
    licence: str = "not said"

    def section(self) -> list[str]:
        """Section of a model card about the data, in lines of Markdown with an empty one at its end."""
        return ["## Data", "", self.data, "", f"Licence: {self.licence}", ""]


def write_prior(
    folder: Path,
    network: DenoisingUNet,
    recipe: TrainingRecipe,
    step: int,
    seen: int,
    psnr: Scores,
    origin: Origin,
    images: int | None,
    command: Sequence[str] = (),
) -> None:
    """Writes `config.json`, `prior.json`, `model.safetensors` (half precision) and `README.md`.

    Args:
        folder: made if missing; files of these names are replaced.
        network: the weights.
        recipe: the recipe of the run.
        step: number of updates so far.
        seen: number of crops so far.
        psnr: mean validation PSNR in dB by set and by noise level over 255.
        origin: about the data.
        images: number of images; None if unknown.
        command: lines of `command_section`; none if the command is unknown.
    """
    about = {
        "name": origin.name,
        "sigma_range": [SIGMA_MIN, SIGMA_MAX],
        # The ladder that methods count their steps on: DDPM's, so that a strength means what it does in the papers.
        "ladder": {"kind": "linear", "steps": 1000, "beta_start": 1e-4, "beta_end": 0.02},
        "data": {"about": origin.data, "licence": origin.licence, "images": images},
        "training": {"steps": step, "crops": seen, "recipe": recipe.to_json(), "pellucid": version("pellucid")},
        "validation_psnr": {
            name: {str(level): round(value, 2) for level, value in levels.items()} for name, levels in psnr.items()
        },
    }
    texts = {
        "config.json": json.dumps(network.config.to_json(), indent=1) + "\n",
        "prior.json": json.dumps(about, indent=1) + "\n",
        "README.md": card(network, recipe, step, seen, psnr, origin, images, command),
    }
    write_folder(folder, network, texts)


def write_folder(folder: Path, network: nn.Module, texts: dict[str, str]) -> None:
    """Writes a network's weights as `model.safetensors`, in half precision, and texts beside them.

    Args:
        folder: made if missing; files of these names are replaced.
        network: the weights.
        texts: contents by file name.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_whole(folder / name, text)
    write_whole(folder / "model.safetensors", save(half(network), metadata={"format": "pt"}))


def half(network: nn.Module) -> dict[str, Tensor]:
    """Weights in half precision for the file; the loader converts them to float32."""
    return {name: value.detach().cpu().half().contiguous() for name, value in network.state_dict().items()}


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file atomically."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    os.replace(temporary, path)  # noqa: PTH105 - the one call documented to be atomic


def training_section(rows: Iterable[tuple[str, object]], command: Sequence[str]) -> list[str]:
    """Section of a model card about the training, in lines of Markdown with an empty one at its end.

    Args:
        rows: names and values of a table.
        command: lines of `command_section`; none if the command is unknown.
    """
    table = (f"| {name} | {value} |" for name, value in rows)
    return ["## Training", "", "| | |", "|---|---|", *table, "", *command]


def command_section(
    data: Path, run: Path, origin: Origin, options: Iterable[tuple[str, Any]], settings: Mapping[str, str]
) -> list[str]:
    """Section of a model card with the command that makes the run, in lines of Markdown with an empty one at its end.

    Options that change a run's duration alone are left out, as are the texts of the section about the data.

    Args:
        data: folder or tar of images, as typed.
        run: folder of the run, as typed.
        origin: the name is used.
        options: option and value; those with None are left out, and True stands for an option without a value.
        settings: of the recipe, for `--set`.
    """
    given = [*options, ("--name", origin.name), *(("--set", f"{key}={text}") for key, text in settings.items())]
    pieces = [
        f"pellucid train {shlex.quote(str(data))} -o {shlex.quote(str(run))}",
        *(option if value is True else f"{option} {shlex.quote(str(value))}" for option, value in given if value),
    ]
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + len(piece) < _COLUMNS:
            lines[-1] += f" {piece}"
        else:
            lines.append(f"  {piece}" if lines else piece)
    lines = [*(f"{line} \\" for line in lines[:-1]), lines[-1]]
    return ["The command of the run, or of its last part:", "", "```bash", *lines, "```", ""]


def card(
    network: DenoisingUNet, recipe: TrainingRecipe, step: int, seen: int, psnr: Scores, origin: Origin,
    images: int | None, command: Sequence[str],
) -> str:  # fmt: skip
    """The model card, in Markdown; arguments as in `write_prior`."""
    parameters = sum(p.numel() for p in network.parameters())
    config = asdict(network.config)
    shape = ", ".join(f"{key} {value}" for key, value in config.items())
    rows: list[tuple[str, Any]] = [
        ("images", "not recorded" if images is None else f"{images:,}"),
        (
            "updates",
            f"{step:,} of {recipe.batch} crops, the last of {recipe.size}x{recipe.size}; {seen:,} crops in all",
        ),
        ("optimiser", f"{recipe.optimiser}, learning rate {recipe.lr:g}, {recipe.schedule}, average {recipe.ema:g}"),
        (
            "noise levels",
            f"ln sigma ~ N({recipe.noise_mean:g}, {recipe.noise_spread:g}^2), "
            f"{recipe.noise_tail:.0%} uniform in ln sigma from {SIGMA_MIN:g} to {SIGMA_MAX:g}",
        ),
        *([("target", "photographs, as taught by " + ", ".join(recipe.teachers))] if recipe.teachers else []),
        ("seed", recipe.seed),
        ("software", f"pellucid {version('pellucid')}, torch {torch.__version__.split('+')[0]}"),
    ]
    lines = [
        f"# {origin.name}",
        "",
        "A denoising prior for image restoration with pellucid: `f(x, sigma) -> x0` for `x = x0 + sigma n`, images in",
        f"[-1, 1]. {type(network).__name__} with {parameters / 1e6:.2f} million parameters ({shape}), weights in half",
        f"precision, to be computed in float32. Height and width divide by {network.multiple}; others are padded.",
        "",
        *origin.section(),
        *training_section(rows, command),
    ]
    if psnr:
        levels = list(next(iter(psnr.values())))
        lines += [
            "## Denoising",
            "",
            "Mean PSNR in dB by validation set (white Gaussian noise; `pellucid bench prior` measures others):",
            "",
            "| noise | " + " | ".join(f"{level}/255" for level in levels) + " |",
            "|---|" + "---|" * len(levels),
            *(
                f"| {name} | " + " | ".join(f"{row[level]:.2f}" for level in levels) + " |"
                for name, row in psnr.items()
            ),
            "",
        ]
    return "\n".join(lines)
