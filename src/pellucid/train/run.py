"""The training loop: from images to a prior's folder, with stops and resumption at any time without a difference."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..bench.prior import dream, sheet
from ..errors import PellucidError
from ..maths.noise import linear_ladder
from ..priors.adapters import VENetwork
from ..priors.load import load_prior
from ..priors.network import DenoisingUNet, build_network
from . import checkpoint
from .data import Crops, Photographs, Pixels, batches, drawn_ones, find, split
from .devices import Devices
from .export import Origin, command_section, write_prior
from .grow import grow, grows
from .journal import PriorJournal
from .loop import CHECKPOINT, Trained, TrainingOptions, loop, resume
from .recipe import TrainingRecipe, learning_rate, loss_weight, noise_levels, settings_of
from .reshape import reshape
from .revive import revive
from .validation import Scores, Sets, open_sets, scores

# Beside teachers' estimates, weight of a drawn crop. Its distance from the truth is an order larger than a photograph's
# from its estimate, so a full weight would let the few drawn ones lead.
_DRAWN = 0.25


def train(
    data: Path,
    run: Path,
    recipe: TrainingRecipe,
    options: TrainingOptions | None = None,
    origin: Origin | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Trained:
    """Trains a prior, or goes on with the training that `run` holds.

    Args:
        data: folder or uncompressed tar of images.
        run: folder of the run, made if it is not there: checkpoint, `log.csv`, `curve.png`, `samples.png`, `prior/`.
        recipe: hyper-parameters. A run may continue with other steps, rates, batch and crop sizes, but not with another
            network.
        options: device, validation, times of saving.
        origin: origin of the data for the model card.
        tell: called with one line for each event.

    Returns:
        The outcome of the run.

    Raises:
        PellucidError: images or checkpoint cannot be used.
        KeyboardInterrupt: passed on, after a checkpoint.
    """
    options, origin = options or TrainingOptions(), origin or Origin()
    devices = Devices(options.device, options.precision)
    trainer = Trainer(recipe, devices)
    resumed = resume(trainer, run, tell)
    photographs, validation = _open(data, recipe, options, devices, tell)
    crops = Crops(photographs, recipe.size, recipe.seed, recipe.variety)
    if options.initial is not None and not resumed:
        trainer.start_from(options.initial, crops, tell)
    journal = PriorJournal(trainer, run, validation, tell) if devices.first else None
    pixels = batches(crops, trainer.seen, recipe.batch, devices.rank, devices.world, options.workers)
    finished = loop(trainer, journal, pixels, recipe.steps, run, options, tell, devices)
    reached = {} if journal is None else journal.scores
    if not finished or journal is None:
        return Trained(trainer.step, finished, None, reached)
    tell("writing the prior")
    if options.samples:
        sheet(dream(trainer.prior(), options.samples, options.sample_size, seed=recipe.seed)).save(run / "samples.png")
    start, settings = settings_of(recipe)
    given = [("--preset", start), ("--initial", options.initial), ("--precision", options.precision)]
    # The validation decides which images are held out.
    given += [("--validation", f"{name}={folder}") for name, folder in options.validation.items()]
    command = command_section(data, run, origin, given, settings)
    write_prior(
        run / "prior", trainer.average, recipe, trainer.step, trainer.seen, reached, origin, len(photographs), command
    )
    return Trained(trainer.step, True, run / "prior", reached)


def export(
    run: Path,
    target: Path,
    origin: Origin | None = None,
    validation: Sets | None = None,
    images: int | None = None,
) -> Path:
    """Writes the prior's folder from a run's checkpoint before the end of the run.

    Args:
        run: folder of the run.
        target: folder to write.
        origin: origin of the data for the model card.
        validation: images whose denoising the card reports, by set.
        images: number of training images.

    Raises:
        PellucidError: the checkpoint is missing.
    """
    _, about = checkpoint.load(run / CHECKPOINT)
    recipe = TrainingRecipe.from_json(about["recipe"])
    # Nothing is learnt here, and the teachers may be elsewhere by now.
    trainer = Trainer(replace(recipe, teachers=()), Devices("cpu"))
    trainer.restore(run / CHECKPOINT)
    reached = trainer.validate(validation or {})
    origin = origin or Origin()
    write_prior(target, trainer.average, recipe, trainer.step, trainer.seen, reached, origin, images)
    return target


class Trainer:
    """The state of a run and its one move.

    Args:
        recipe: hyper-parameters.
        devices: devices of the computation.

    Attributes:
        network: the trained network.
        average: the running average of its weights, which becomes the prior.
        step: number of updates so far.
        seen: number of crops so far, the position in the data.
    """

    def __init__(self, recipe: TrainingRecipe, devices: Devices) -> None:
        self.recipe = recipe
        self.devices = devices
        torch.manual_seed(recipe.seed)
        network = DenoisingUNet(recipe.network)
        # Module.to takes memory_format, only its annotations do not say so.
        self.network: DenoisingUNet = network.to(devices.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False).eval()
        self.step = 0
        self.seen = 0
        self._model: nn.Module = devices.wrap(self.network)
        self._optimiser = _optimiser(self.network, recipe)
        self._teachers = [_teacher(name, recipe, devices) for name in recipe.teachers]

    def update(self, pixels: Pixels) -> tuple[Tensor, Tensor, float]:
        """Makes one update of the weights.

        Args:
            pixels: this process's share of the batch, (B, H, W, C), 8 bits.

        Returns:
            Noise level and weighted loss of each crop, (B,) each, and the norm of the gradient before clipping.
        """
        recipe, devices = self.recipe, self.devices
        numbers = range(self.seen + devices.rank, self.seen + recipe.batch, devices.world)
        # All chance is a function of the seed and the step: there is no state of a generator to save.
        x0, noisy, sigma = _noisy(pixels, recipe, numbers, [recipe.seed, 3, self.step, devices.rank], devices.device)
        rate = learning_rate(recipe, self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["share"]
        with devices.precision():
            estimate = self._model(noisy, sigma)
        scale = loss_weight(sigma)
        target, share = self._target(x0, noisy, sigma, numbers)
        losses = share * scale * _distances(estimate.float(), target)
        self._optimiser.zero_grad(set_to_none=True)
        devices.backward(losses.mean())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        if not torch.isfinite(norm):
            raise PellucidError(
                f"the gradient at update {self.step} is not finite: go on from the checkpoint with a smaller --set lr="
            )
        self._optimiser.step()
        # Early on, a long memory would mostly remember the start.
        keep = min(recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, 1 - keep)
        self.step += 1
        self.seen += recipe.batch
        # The log shows the distance from the photographs, whatever the target: so runs can be compared.
        shown = scale * _distances(estimate.detach().float(), x0)
        return sigma.cpu(), shown.cpu(), norm.item()

    @torch.no_grad()
    def _target(self, x0: Tensor, noisy: Tensor, sigma: Tensor, numbers: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Targets of the crops and their weights, (B,): the crops themselves, or estimates of teachers."""
        if not self._teachers:
            return x0, torch.ones_like(sigma)
        with self.devices.precision():
            estimates = torch.stack([teacher(noisy, sigma).float() for teacher in self._teachers])
        nearest = torch.stack([_distances(estimate, x0) for estimate in estimates]).argmin(0)
        target = x0.lerp(estimates[nearest, torch.arange(len(x0), device=x0.device)], self.recipe.trust)
        drawn = torch.from_numpy(drawn_ones(self.recipe.variety, self.recipe.seed, numbers)).to(x0.device)
        return torch.where(drawn.view(-1, 1, 1, 1), x0, target), torch.where(drawn, _DRAWN, 1.0)

    def prior(self) -> VENetwork:
        """Averaged weights as a prior on this process's device."""
        return VENetwork(
            self.average,
            linear_ladder(),
            channels=self.network.channels,
            multiple=self.network.multiple,
        )

    def validate(self, sets: Sets) -> Scores:
        """Mean denoising PSNR in dB of the averaged weights, by set and by level over 255."""
        return scores(self.prior(), sets)

    def save(self, path: Path) -> None:
        """Writes the checkpoint."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        state, numbers = checkpoint.pack(self._optimiser)
        tensors |= {f"optimiser.{name}": value for name, value in state.items()}
        about = {"recipe": self.recipe.to_json(), "step": self.step, "seen": self.seen, "optimiser": numbers}
        checkpoint.save(path, tensors, about)

    def restore(self, path: Path) -> None:
        """Restores the state of a checkpoint.

        Raises:
            PellucidError: the checkpoint is of another network or optimiser.
        """
        tensors, about = checkpoint.load(path)
        then = TrainingRecipe.from_json(about["recipe"])
        if then.network != self.recipe.network or then.optimiser != self.recipe.optimiser:
            raise PellucidError(f"{path}: is of another network or optimiser; choose another folder for this run")
        self.network.load_state_dict(checkpoint.part(tensors, "network."))
        self.average.load_state_dict(checkpoint.part(tensors, "average."))
        checkpoint.unpack(self._optimiser, checkpoint.part(tensors, "optimiser."), about["optimiser"])
        self.step, self.seen = about["step"], about["seen"]

    def start_from(self, folder: Path, crops: Crops, tell: Callable[[str], None] = lambda line: None) -> None:
        """Takes the weights of a prior's folder, or a run's averaged ones.

        Args:
            folder: the folder. Its network may be smaller, or of another shape; see `grow` and `reshape`.
            crops: training crops, which show what matters in a network of another shape.
            tell: called with a line if the shape changes, which takes minutes.

        Raises:
            PellucidError: the weights suit neither.
        """
        from ..priors.folder import fill, read_json, read_weights

        if (folder / CHECKPOINT).is_file():
            # A run's own are exact, and exist before its end.
            tensors, about = checkpoint.load(folder / CHECKPOINT)
            weights, shape = checkpoint.part(tensors, "average."), about["recipe"]["network"]
        else:
            weights, shape = read_weights(folder), read_json(folder / "config.json")
        try:
            old = build_network(shape)
        except PellucidError as error:
            raise PellucidError(f"{folder}: {error}") from None
        fill(old, weights, folder)
        # On the processor, so that several GPUs get the same weights.
        new = DenoisingUNet(self.network.config)
        new.load_state_dict(self.network.state_dict())
        fresh = copy.deepcopy(new)
        if grows(new.config, old.config):
            grow(new, old)
        else:
            tell(f"{folder}: changing the network's shape")
            try:
                reshape(new, old, _calibration(crops, self.recipe))
            except PellucidError as error:
                raise PellucidError(f"{folder}: {error}") from None
        silent = revive(new, fresh, _calibration(crops, self.recipe))
        if silent:
            tell(f"{folder}: {silent} hidden channels never fire, and begin anew")
        self.network.load_state_dict(new.state_dict())
        self.average.load_state_dict(self.network.state_dict())


def _noisy(
    pixels: Pixels, recipe: TrainingRecipe, numbers: range, key: list[int], device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops in [-1, 1], the same with noise, and the noise's levels, (B,)."""
    x0 = torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    sigma = torch.from_numpy(noise_levels(recipe, numbers)).to(device)
    high, low = np.random.SeedSequence(key).generate_state(2)
    chance = torch.Generator(device).manual_seed(int(high) << 31 ^ int(low))
    noise = torch.randn(x0.shape, generator=chance, device=device)
    return x0, x0 + sigma.view(-1, 1, 1, 1) * noise, sigma


def _calibration(crops: Crops, recipe: TrainingRecipe, batch: int = 8) -> Iterator[tuple[Tensor, Tensor]]:
    """Endless noisy crops and their levels for a change of shape."""
    for start in itertools.count(0, batch):
        numbers = range(start, start + batch)
        _, noisy, sigma = _noisy(crops.batch(numbers), recipe, numbers, [recipe.seed, 5, start], torch.device("cpu"))
        yield noisy, sigma


def _open(
    data: Path, recipe: TrainingRecipe, options: TrainingOptions, devices: Devices, tell: Callable[[str], None]
) -> tuple[Photographs, Sets]:
    """Opens the training images and, in the first process, the validation images."""
    sources = find(data)
    # Of a small collection no more than a tenth: it is worth more in training.
    held_out = 0 if options.validation else min(options.held_out, len(sources) // 10)
    training, held = split(sources, held_out)
    photographs = Photographs(training, recipe.network.channels, recipe.size, options.memory, options.workers)
    photographs.report(tell)
    return photographs, open_sets(recipe, options.validation, held, options.workers) if devices.first else {}


def _distances(estimate: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of each image, (B,)."""
    return (estimate - target).square().mean((1, 2, 3))


def _teacher(name: str, recipe: TrainingRecipe, devices: Devices) -> nn.Module:
    """Loads a teacher's network; `load_prior` freezes it.

    Raises:
        PellucidError: it is no prior of the kind that training makes, or of images with other channels.
    """
    prior = load_prior(name, device=str(devices.device))
    network = getattr(prior, "network", None)
    if not isinstance(network, DenoisingUNet) or network.channels != recipe.network.channels:
        raise PellucidError(f"{name}: a teacher must be a prior from `pellucid train` with as many channels")
    return network


def _optimiser(network: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    from .optimiser import Muon, is_film

    if recipe.optimiser == "muon":
        return Muon(network, recipe.lr, recipe.film)
    named = list(network.named_parameters())
    groups = [
        {"params": [own for name, own in named if is_film(name) == film], "share": recipe.film if film else 1.0}
        for film in (False, True)
    ]
    return torch.optim.AdamW(groups, recipe.lr, betas=(0.9, 0.99), weight_decay=0.0)
