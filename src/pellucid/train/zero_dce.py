"""Training of Zero-DCE's network: no pairs, only randomly darkened photographs.

The paper trains on photographs of many exposures. Here ordinary ones are darkened, y = f x^g, with random f and g. The
losses compare the dark image with its enhancement, never with the original photograph.

References:
    Guo et al., "Zero-Reference Deep Curve Estimation for Low-Light Image Enhancement", CVPR 2020, sections 3.3 and 4.
        https://arxiv.org/abs/2001.06826
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import PellucidError, UsageError
from ..methods.losses import colour_constancy, exposure, illumination_smoothness, spatial_consistency
from ..methods.zero_dce import CurveNet, enhance
from ..release import version
from ..support.devices import find_device
from ..support.settings import changes
from . import checkpoint
from .data import Crops, Photographs, Pixels, batches, find
from .export import Origin, command_section, half, write_whole
from .journal import NamedJournal
from .loop import Trained, TrainingOptions, loop, resume

LOSSES = ("spatial", "exposure", "colour", "smoothness")


@dataclass(frozen=True)
class CurveRecipe:
    """The hyper-parameters of a run. The same recipe, images and seed give the same weights on the same machine.

    The weights of the losses are the released code's, ten times those of equation 8, where the exposure has weight 1.
    Smoothness differs: that code sums all maps and doubles the sum, while equation 7 takes their mean. So its 200
    corresponds to 16 times as much here.

    Attributes:
        steps: updates of the weights in all.
        batch: crops an update.
        size: side of a crop in pixels.
        lr: Adam's learning rate.
        decay: weight decay.
        clip: largest norm of a gradient.
        level: brightness of a well-exposed region.
        spatial: weight of the contrast's loss.
        exposure: weight of the exposure's.
        colour: weight of the tint's.
        smoothness: weight of the curves'.
        darkest: least factor f of the light; its logarithm is uniform up to 0.
        steepest: greatest exponent g; uniform from 1 on.
        noise: greatest standard deviation of added noise; uniform from 0 on. Curves that follow noise amplify it.
        seed: of weights, order, crops and darkness.

    Raises:
        UsageError: a number is out of range.
    """

    steps: int = 4000
    batch: int = 8
    size: int = 64
    lr: float = 1e-4
    decay: float = 1e-4
    clip: float = 0.1
    level: float = 0.6
    spatial: float = 1.0
    exposure: float = 10.0
    colour: float = 5.0
    smoothness: float = 3200.0
    darkest: float = 0.1
    steepest: float = 2.0
    noise: float = 0.03
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "size", "lr", "clip", "darkest"):
            if not 0 < getattr(self, name) < math.inf:
                raise UsageError(f"a recipe's {name} must be above 0, not {getattr(self, name)}")
        for name in ("decay", "seed", "noise", *LOSSES):
            if not 0 <= getattr(self, name) < math.inf:
                raise UsageError(f"a recipe's {name} must not be below 0, not {getattr(self, name)}")
        for name, holds, demand in (
            ("level", 0 <= self.level <= 1, "from 0 to 1"),
            ("darkest", self.darkest <= 1, "at most 1"),
            ("steepest", 1 <= self.steepest < math.inf, "at least 1"),
        ):
            if not holds:
                raise UsageError(f"a recipe's {name} must be {demand}, not {getattr(self, name)}")


def train(
    data: Path,
    run: Path,
    recipe: CurveRecipe,
    options: TrainingOptions | None = None,
    origin: Origin | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Trains the network, or goes on with the training that `run` holds.

    Args:
        data: folder or uncompressed tar of photographs.
        run: folder of the run, made if missing: checkpoint, `log.csv`, and at the end `zero-dce.safetensors`
            (half precision) and `README.md`.
        recipe: hyper-parameters. A run may continue with other values.
        options: device, when to save and to stop; there is no validation, and one device computes.
        origin: origin of the data for the model card.
        tell: called with one line for each event.

    Returns:
        The outcome of the run.

    Raises:
        PellucidError: images or checkpoint cannot be used.
        KeyboardInterrupt: passed on, after a checkpoint.
    """
    options, origin = options or TrainingOptions(), origin or Origin("Zero-DCE")
    trainer = CurveTrainer(recipe, find_device(options.device))
    resume(trainer, run, tell)
    photographs = Photographs(find(data), 3, recipe.size, options.memory, options.workers)
    photographs.report(tell)
    pixels = batches(Crops(photographs, recipe.size, recipe.seed), trainer.seen, recipe.batch, workers=options.workers)
    if not loop(trainer, NamedJournal(trainer, run, LOSSES, tell), pixels, recipe.steps, run, options, tell):
        return Trained(trainer.step, False, None)
    command = command_section(data, run, origin, [("--zero-dce", True)], changes(recipe, CurveRecipe()))
    return Trained(trainer.step, True, _export(run, trainer, origin, len(photographs), command))


def darken(light: Tensor, recipe: CurveRecipe, numbers: range) -> Tensor:
    """Photographs as if there had been less light, y = f x^g + noise, f, g and the noise those of the crops' numbers.

    Args:
        light: (B, 3, H, W) in [0, 1].
        recipe: recipe with the ranges of f, g and the noise.
        numbers: of the crops.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    dark = []
    for image, number in zip(light, numbers, strict=True):
        rng = np.random.default_rng([recipe.seed, 4, number])
        power = rng.uniform(1, recipe.steepest)
        factor = math.exp(rng.uniform(math.log(recipe.darkest), 0))
        noise = rng.uniform(0, recipe.noise) * rng.standard_normal(image.shape, np.float32)
        dark.append((factor * image**power + torch.from_numpy(noise).to(image)).clamp(0, 1))
    return torch.stack(dark)


class CurveTrainer:
    """The state of a run and its one move.

    Args:
        recipe: hyper-parameters.
        device: device of the computation.

    Attributes:
        network: the trained network.
        step: number of updates so far.
    """

    def __init__(self, recipe: CurveRecipe, device: torch.device) -> None:
        self.recipe = recipe
        self.step = 0
        with torch.device("meta"):
            network = CurveNet()
        rng = torch.Generator().manual_seed(recipe.seed)
        for name, weight in network.state_dict().items():
            fresh = torch.zeros(weight.shape)
            if name.endswith("weight"):
                fresh.normal_(std=0.02, generator=rng)
            network.load_state_dict({name: fresh}, strict=False, assign=True)
        # Module.to takes memory_format, only its annotations do not say so.
        self.network: CurveNet = network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._device = device
        self._adam = torch.optim.Adam(self.network.parameters(), recipe.lr, weight_decay=recipe.decay)

    @property
    def seen(self) -> int:
        """Crops used; the position in the data."""
        return self.step * self.recipe.batch

    def update(self, pixels: Pixels) -> dict[str, float]:
        """Makes one update of the weights.

        Args:
            pixels: a batch of crops, (B, H, W, 3), 8 bits.

        Returns:
            The mean of each loss by name, before its weight.

        Raises:
            PellucidError: the gradient is not finite.
        """
        recipe = self.recipe
        light = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
        dark = darken(light, recipe, range(self.seen, self.seen + len(light))).to(self._device)
        maps = self.network(dark)
        bright = enhance(dark, maps)
        losses = {
            "spatial": spatial_consistency(bright, dark).mean(),
            "exposure": exposure(bright, recipe.level).mean(),
            "colour": colour_constancy(bright).mean(),
            "smoothness": dark.shape[1] * illumination_smoothness(maps).mean(),
        }
        self._adam.zero_grad(set_to_none=True)
        torch.stack([getattr(recipe, name) * loss for name, loss in losses.items()]).sum().backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        if not torch.isfinite(norm):
            raise PellucidError(
                f"the gradient at update {self.step} is not finite: go on from the checkpoint with a smaller lr"
            )
        self._adam.step()
        self.step += 1
        return {name: loss.item() for name, loss in losses.items()}

    def save(self, path: Path) -> None:
        """Writes the checkpoint."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        state, numbers = checkpoint.pack(self._adam)
        tensors |= {f"optimiser.{name}": value for name, value in state.items()}
        about = {"network": "zero-dce", "recipe": asdict(self.recipe), "step": self.step, "optimiser": numbers}
        checkpoint.save(path, tensors, about)

    def restore(self, path: Path) -> None:
        """Restores the state of a checkpoint.

        Raises:
            PellucidError: the checkpoint is of another network.
        """
        tensors, about = checkpoint.load(path)
        if about.get("network") != "zero-dce":
            raise PellucidError(f"{path}: is of another network; choose another folder for this run")
        self.network.load_state_dict(checkpoint.part(tensors, "network."))
        checkpoint.unpack(self._adam, checkpoint.part(tensors, "optimiser."), about["optimiser"])
        self.step = about["step"]


def _export(run: Path, trainer: CurveTrainer, origin: Origin, images: int, command: Sequence[str]) -> Path:
    """Writes the weights in half precision, and their card."""
    from safetensors.torch import save

    weights = half(trainer.network)
    target = run / "zero-dce.safetensors"
    write_whole(target, save(weights, metadata={"format": "pt"}))
    recipe = trainer.recipe
    rows = "\n".join(f"| {field.name} | {getattr(recipe, field.name)} |" for field in fields(recipe))
    section, ending = "\n".join(origin.section()), "\n".join(command)
    card = f"""# {origin.name}

Zero-DCE's network for making low light bright with pellucid, `pellucid restore -m zero-dce --set model=FILE`:
{sum(value.numel() for value in weights.values()):,} weights in half precision.

{section}
## Training

{trainer.step:,} updates of {recipe.batch} crops of {recipe.size}x{recipe.size}, darkened at random, out of
{images:,} images; no pairs. pellucid {version("pellucid")}, torch {torch.__version__.split("+")[0]}.

| | |
|---|---|
{rows}

{ending}"""
    write_whole(run / "README.md", card)
    return target
