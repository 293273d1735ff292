r"""Training of a small generative adversarial network for DGP; it stops and resumes like `run`.

Both networks minimise the non-saturating loss ([GAN], section 3), the discriminator with a penalty on its gradient at
photographs ([R1]). The penalty is computed at every eighth update with eight times the weight, which costs less for the
same effect ([StyleGAN2], section 3.1):

.. math:: L_D = \mathrm{softplus}(D(G(z))) + \mathrm{softplus}(-D(x)) + \frac{\gamma}{2} \| \nabla_x D(x) \|^2, \quad
          L_G = \mathrm{softplus}(-D(G(z)))

References:
    [GAN] Goodfellow et al., "Generative Adversarial Nets", 2014. https://arxiv.org/abs/1406.2661
    [R1] Mescheder et al., "Which Training Methods for GANs do actually Converge?", 2018.
        https://arxiv.org/abs/1801.04406
    [StyleGAN2] Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", 2020.
        https://arxiv.org/abs/1912.04958
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..bench.prior import sheet
from ..errors import PellucidError, UsageError
from ..maths.noise import Streams
from ..priors.generator import GAN, GANConfig
from ..release import version
from ..support.devices import find_device
from ..support.settings import changes
from . import checkpoint
from .data import Crops, Photographs, Pixels, batches, find
from .export import Origin, command_section, training_section, write_folder
from .journal import NamedJournal
from .loop import CHECKPOINT, Trained, TrainingOptions, loop, resume

_SAMPLES = 64


@dataclass(frozen=True)
class GANRecipe:
    """The hyper-parameters of a run. The same recipe, images and seed give the same weights on the same machine.

    Attributes:
        network: the networks'.
        steps: updates of each network.
        batch: crops an update.
        lr: Adam's learning rate.
        ema: largest decay factor of the generator's weight average at each update.
        penalty: gamma, the weight of the gradient penalty.
        penalty_every: updates from one penalty to the next.
        seed: of weights, order, crops and latents.

    Raises:
        UsageError: a number is out of range.
    """

    network: GANConfig = field(default_factory=GANConfig)
    steps: int = 20_000
    batch: int = 16
    lr: float = 5e-4
    ema: float = 0.998
    penalty: float = 0.2
    penalty_every: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "lr", "penalty_every"):
            if not getattr(self, name) > 0:
                raise UsageError(f"a GAN recipe's {name} must be above 0, not {getattr(self, name)}")
        if not 0 <= self.ema <= 1:
            raise UsageError(f"a GAN recipe's ema must be from 0 to 1, not {self.ema}")
        for name in ("penalty", "seed"):
            if getattr(self, name) < 0:
                raise UsageError(f"a GAN recipe's {name} must not be below 0")

    def to_json(self) -> dict[str, Any]:
        """Converts it to JSON; `from_json` is the inverse."""
        return {**asdict(self), "network": self.network.to_json()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> GANRecipe:
        """Makes a recipe from the result of `to_json`; ignores unknown fields of later versions."""
        own = {f.name for f in fields(cls)}
        values = {name: value for name, value in content.items() if name in own}
        return cls(network=GANConfig.from_json(values.pop("network")), **values)


def train(
    data: Path,
    run: Path,
    recipe: GANRecipe,
    options: TrainingOptions | None = None,
    origin: Origin | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Trains a GAN on crops of images, or goes on with the training that `run` holds.

    Args:
        data: folder or uncompressed tar of images.
        run: folder of the run, made if missing: checkpoint, `log.csv`, `samples.png`, `gan/`.
        recipe: hyper-parameters. A run may continue with other values, but not with another network.
        options: device, when to save and to stop; there is no validation, and one device computes.
        origin: origin of the data for the model card.
        tell: called with one line for each event.

    Returns:
        The outcome of the run.

    Raises:
        PellucidError: images or checkpoint cannot be used.
        KeyboardInterrupt: passed on, after a checkpoint.
    """
    options, origin = options or TrainingOptions(), origin or Origin("gan")
    trainer = GANTrainer(recipe, find_device(options.device))
    resume(trainer, run, tell)
    size = recipe.network.size
    photographs = Photographs(find(data), recipe.network.channels, size, options.memory, options.workers)
    photographs.report(tell)
    pixels = batches(Crops(photographs, size, recipe.seed), trainer.seen, recipe.batch, workers=options.workers)
    if not loop(trainer, _Journal(trainer, run, tell), pixels, recipe.steps, run, options, tell):
        return Trained(trainer.step, False, None)
    command = command_section(data, run, origin, [("--gan", True)], changes(recipe, GANRecipe()))
    write_gan(run / "gan", trainer, origin, len(photographs), command)
    return Trained(trainer.step, True, run / "gan")


class GANTrainer:
    """The state of a run and its one move.

    Args:
        recipe: hyper-parameters.
        device: device of the computation.

    Attributes:
        network: the trained network.
        average: the same, with the running average of the generator's weights; becomes the result.
        step: number of updates so far.
        seen: number of crops so far, the position in the data.
    """

    def __init__(self, recipe: GANRecipe, device: torch.device) -> None:
        self.recipe = recipe
        self.device = device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            network = GAN(recipe.network)
        self.network = network.to(device)
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.step = 0
        self.seen = 0
        # No momentum: each network is after a target that moves ([StyleGAN2]'s and most others' choice).
        self._optimisers = {
            name: torch.optim.Adam(part.parameters(), recipe.lr, betas=(0.0, 0.99))
            for name, part in self.network.named_children()
        }

    def update(self, pixels: Pixels) -> dict[str, float]:
        """Makes one update of each network.

        Args:
            pixels: crops, (B, H, W, C), 8 bits.

        Returns:
            The losses: "discriminator", "generator" and, at the updates that have one, "penalty".

        Raises:
            PellucidError: a loss is not finite.
        """
        recipe, network = self.recipe, self.network
        real = torch.from_numpy(np.ascontiguousarray(pixels)).to(self.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        # All chance is a function of the seed and the step: there is no state of a generator to save.
        z = Streams([_key(recipe.seed, self.step)]).like(real.new_empty(1, 2 * len(real), recipe.network.latent))[0]
        first, second = z.chunk(2)
        losses = {}
        with torch.no_grad():
            made = network.generator(first)
        loss = F.softplus(network.discriminator(made)).mean() + F.softplus(-network.discriminator(real)).mean()
        losses["discriminator"] = loss.item()
        if recipe.penalty and self.step % recipe.penalty_every == 0:
            penalty = self._penalty(real)
            losses["penalty"] = penalty.item()
            loss = loss + recipe.penalty_every * recipe.penalty / 2 * penalty
        self._move("discriminator", loss)
        loss = F.softplus(-network.discriminator(network.generator(second))).mean()
        losses["generator"] = loss.item()
        self._move("generator", loss)
        # Early on, a long memory would mostly remember the start.
        keep = min(recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, weight in zip(self.average.generator.parameters(), network.generator.parameters(), strict=True):
                mean.lerp_(weight, 1 - keep)
            self.average.discriminator.load_state_dict(network.discriminator.state_dict())
        self.step += 1
        self.seen += recipe.batch
        return losses

    def _penalty(self, real: Tensor) -> Tensor:
        """Mean squared norm of the verdict's gradient at photographs."""
        x = real.detach().requires_grad_()
        (slope,) = torch.autograd.grad(self.network.discriminator(x).sum(), x, create_graph=True)
        return slope.square().flatten(1).sum(1).mean()

    def _move(self, name: str, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            raise PellucidError(
                f"the {name}'s loss at update {self.step} is not finite: go on from the checkpoint with a smaller lr"
            )
        optimiser = self._optimisers[name]
        weights = list(getattr(self.network, name).parameters())
        for group in optimiser.param_groups:
            group["lr"] = self.recipe.lr
        for weight, slope in zip(weights, torch.autograd.grad(loss, weights), strict=True):
            weight.grad = slope
        optimiser.step()

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        """Images of the averaged generator, (count, C, size, size), from the same latents at every call."""
        z = Streams.of(self.recipe.seed, count).like(torch.empty(count, self.recipe.network.latent))
        images: Tensor = self.average.generator(z.to(self.device))
        return images.cpu()

    def save(self, path: Path) -> None:
        """Writes the checkpoint."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        numbers = {}
        for name, optimiser in self._optimisers.items():
            state, numbers[name] = checkpoint.pack(optimiser)
            tensors |= {f"{name}.{entry}": value for entry, value in state.items()}
        about = {"gan": self.recipe.to_json(), "step": self.step, "seen": self.seen, "optimisers": numbers}
        checkpoint.save(path, tensors, about)

    def restore(self, path: Path) -> None:
        """Restores the state of a checkpoint.

        Raises:
            PellucidError: the checkpoint is of another kind or another network.
        """
        tensors, about = checkpoint.load(path)
        if "gan" not in about or GANRecipe.from_json(about["gan"]).network != self.recipe.network:
            raise PellucidError(f"{path}: is of another network; choose another folder for this run")
        self.network.load_state_dict(checkpoint.part(tensors, "network."))
        self.average.load_state_dict(checkpoint.part(tensors, "average."))
        for name, optimiser in self._optimisers.items():
            checkpoint.unpack(optimiser, checkpoint.part(tensors, f"{name}."), about["optimisers"][name])
        self.step, self.seen = about["step"], about["seen"]


def _key(seed: int, step: int) -> int:
    high, low = np.random.SeedSequence([seed, 4, step]).generate_state(2).tolist()
    return int(high << 31 ^ low)


def write_gan(
    folder: Path, trainer: GANTrainer, origin: Origin, images: int | None, command: Sequence[str] = ()
) -> None:
    """Writes the folder for `load_gan`: `config.json`, `model.safetensors` (half precision) and the card `README.md`.

    Args:
        folder: made if missing; files of these names are replaced.
        trainer: the state of the run.
        origin: what the card says about the data.
        images: number of images; None if unknown.
        command: lines of `command_section`; none if the command is unknown.
    """
    config = json.dumps(trainer.recipe.network.to_json(), indent=1) + "\n"
    write_folder(folder, trainer.average, {"config.json": config, "README.md": _card(trainer, origin, images, command)})


def export(run: Path, target: Path, origin: Origin | None = None, images: int | None = None) -> Path:
    """Writes the GAN's folder from a run's checkpoint before the end of the run.

    Args:
        run: folder of the run.
        target: folder to write.
        origin: origin of the data for the model card.
        images: number of training images.

    Raises:
        PellucidError: the checkpoint is missing or of another kind.
    """
    _, about = checkpoint.load(run / CHECKPOINT)
    if "gan" not in about:
        raise PellucidError(f"{run / CHECKPOINT}: is of no GAN")
    trainer = GANTrainer(GANRecipe.from_json(about["gan"]), torch.device("cpu"))
    trainer.restore(run / CHECKPOINT)
    write_gan(target, trainer, origin or Origin("gan"), images)
    return target


def _card(trainer: GANTrainer, origin: Origin, images: int | None, command: Sequence[str]) -> str:
    recipe, network = trainer.recipe, trainer.network
    size = recipe.network.size
    made, judges = (sum(p.numel() for p in part.parameters()) / 1e6 for part in network.children())
    rows = [
        ("images", "not recorded" if images is None else f"{images:,}"),
        ("updates", f"{trainer.step:,} of {recipe.batch} crops; {trainer.seen:,} crops in all"),
        ("loss", f"non-saturating, R1 of {recipe.penalty:g} at every update in {recipe.penalty_every}"),
        ("optimiser", f"Adam, learning rate {recipe.lr:g}, average of the generator {recipe.ema:g}"),
        ("seed", recipe.seed),
        ("software", f"pellucid {version('pellucid')}, torch {torch.__version__.split('+')[0]}"),
    ]
    lines = [
        f"# {origin.name}",
        "",
        f"A generator of {size}x{size} images for DGP in pellucid ({made:.2f} million parameters,",
        f"latents of {recipe.network.latent} numbers) and its discriminator ({judges:.2f} million), weights in half",
        "precision, to be computed in float32.",
        "",
        *origin.section(),
        *training_section(rows, command),
    ]
    return "\n".join(lines)


class _Journal(NamedJournal):
    """`log.csv`, and `samples.png` of the averaged generator with each checkpoint."""

    def __init__(self, trainer: GANTrainer, run: Path, tell: Callable[[str], None]) -> None:
        super().__init__(trainer, run, ("discriminator", "generator", "penalty"), tell)
        self._gan, self._sheet = trainer, run / "samples.png"

    def save(self) -> None:
        """See above."""
        super().save()
        sheet(self._gan.samples(_SAMPLES), columns=8, gap=2).save(self._sheet)
