"""The training loop: from images to a prior's folder, stopping and going on at any time without a difference."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..bench.prior import LEVELS, averages, denoising, dream, sheet
from ..errors import PellucidError
from ..images import from_array
from ..noise import linear_ladder
from ..priors.adapters import VENetwork
from ..priors.network import DenoisingUNet
from ..problem import to_model
from . import checkpoint
from .data import Crops, Photographs, Pixels, batches, find, split
from .devices import Devices
from .export import Origin, write_prior
from .grow import grow
from .recipe import Recipe, band_of, bands, learning_rate, loss_weight, noise_levels
from .report import Log, Row, plot

CHECKPOINT = "checkpoint.safetensors"


@dataclass(frozen=True)
class Options:
    """What changes how a run is made, not what it makes.

    Attributes:
        device: "cpu", "cuda", "cuda:1" ...; None for a GPU where there is one.
        workers: threads that prepare crops.
        memory: bytes of decoded images to keep in memory.
        held_out: images kept from training to validate on, a tenth at most, where no folder of them is given.
        validation: folder of images to validate on.
        save_minutes: between two checkpoints, each of which also validates.
        log_every: updates between two lines of the log.
        minutes: stop, with a checkpoint, after this long; None to go on to the end.
        samples: how many images the sample sheet shows; 0 for none.
        sample_size: their side in pixels.
        initial: folder of a prior, of this network or of a smaller one, to start from instead of fresh weights.
    """

    device: str | None = None
    workers: int = 2
    memory: float = 8e9
    held_out: int = 12
    validation: Path | None = None
    save_minutes: float = 10.0
    log_every: int = 100
    minutes: float | None = None
    samples: int = 16
    sample_size: int = 128
    initial: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run, or a part of it, ended.

    Attributes:
        step: updates made.
        finished: whether that was all of them; then `prior` is there.
        prior: the prior's folder.
        psnr: mean validation PSNR in dB by noise level over 255, of the averaged weights.
    """

    step: int
    finished: bool
    prior: Path | None
    psnr: dict[int, float]


def train(
    data: Path,
    run: Path,
    recipe: Recipe,
    options: Options | None = None,
    origin: Origin | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Trains a prior, or goes on with the training that `run` holds.

    Args:
        data: folder or uncompressed tar of images.
        run: folder of the run, made if it is not there: checkpoint, `log.csv`, `curve.png`, `samples.png`, `prior/`.
        recipe: hyper-parameters. A run may be continued with other steps, rates, batch and crop sizes, not with
            another network.
        options: device, validation, when to save.
        origin: what the model card says about the data.
        tell: is given one line about each event.

    Returns:
        How it ended.

    Raises:
        PellucidError: images or checkpoint cannot be used.
        KeyboardInterrupt: passed on, after a checkpoint.
    """
    options, origin = options or Options(), origin or Origin()
    devices = Devices(options.device)
    run.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(recipe, devices)
    if (run / CHECKPOINT).is_file():
        trainer.restore(run / CHECKPOINT)
        tell(f"going on from update {trainer.step}")
    elif options.initial is not None:
        trainer.start_from(options.initial)
    photographs, validation = _open(data, recipe, options, devices, tell)
    crops = Crops(photographs, recipe.size, recipe.seed)
    log = Log(run / "log.csv", trainer.step, recipe.batch) if devices.first else None
    stop = None if options.minutes is None else time.monotonic() + 60 * options.minutes
    meter = _Meter()
    scores: dict[int, float] = {}

    def save() -> None:
        nonlocal scores
        if log is None:
            return
        trainer.save(run / CHECKPOINT)
        scores = trainer.validate(validation)
        log.add(meter.row(trainer, scores))
        plot(log.rows(), run / "curve.png")
        tell(log.line())

    saved = time.monotonic()
    try:
        pixels = batches(crops, trainer.seen, recipe.batch, devices.rank, devices.world, options.workers)
        while trainer.step < recipe.steps:
            meter.add(*trainer.update(next(pixels)))
            now = time.monotonic()
            # Every process counts the same updates; only the first looks at the clock, for its own files.
            if trainer.step < recipe.steps and now - saved >= 60 * options.save_minutes:
                save()
                meter, saved = _Meter(), time.monotonic()
            elif log is not None and trainer.step % options.log_every == 0:
                log.add(meter.row(trainer, {}))
                meter = _Meter()
                tell(log.line())
            if devices.agree(stop is not None and now >= stop):
                break
    except KeyboardInterrupt:
        if devices.first:
            trainer.save(run / CHECKPOINT)
            tell(f"interrupted; saved at update {trainer.step}")
        raise
    save()
    finished = trainer.step >= recipe.steps
    if not finished or log is None:
        return Outcome(trainer.step, finished, None, scores)
    tell("writing the prior")
    prior = trainer.prior()
    if options.samples:
        sheet(dream(prior, options.samples, options.sample_size, seed=recipe.seed)).save(run / "samples.png")
    write_prior(run / "prior", trainer.average, recipe, trainer.step, trainer.seen, scores, origin, len(photographs))
    return Outcome(trainer.step, True, run / "prior", scores)


def export(
    run: Path,
    target: Path,
    origin: Origin | None = None,
    validation: dict[str, Tensor] | None = None,
    images: int | None = None,
) -> Path:
    """Writes the prior's folder from a run's checkpoint as it is, before the run's end.

    Args:
        run: folder of the run.
        target: folder to write.
        origin: what the model card says about the data.
        validation: images whose denoising the card reports.
        images: how many there were to train on.

    Raises:
        PellucidError: there is no checkpoint.
    """
    _, about = checkpoint.load(run / CHECKPOINT)
    trainer = Trainer(Recipe.from_json(about["recipe"]), Devices("cpu"))
    trainer.restore(run / CHECKPOINT)
    scores = trainer.validate(validation or {})
    write_prior(target, trainer.average, trainer.recipe, trainer.step, trainer.seen, scores, origin or Origin(), images)
    return target


class Trainer:
    """The state of a run and its one move.

    Args:
        recipe: hyper-parameters.
        devices: where it computes.

    Attributes:
        network: what is trained.
        average: the running average of its weights, which becomes the prior.
        step: updates made.
        seen: crops used; the position in the data.
    """

    def __init__(self, recipe: Recipe, devices: Devices) -> None:
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

    def update(self, pixels: Pixels) -> tuple[Tensor, Tensor, float]:
        """Makes one update of the weights.

        Args:
            pixels: this process's share of the batch, (B, H, W, C), 8 bits.

        Returns:
            Noise level and weighted loss of each crop, (B,) each, and the norm of the gradient before it was clipped.
        """
        recipe, devices = self.recipe, self.devices
        x0 = torch.from_numpy(np.ascontiguousarray(pixels)).to(devices.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        numbers = range(self.seen + devices.rank, self.seen + recipe.batch, devices.world)
        sigma = torch.from_numpy(noise_levels(recipe, numbers)).to(devices.device)
        # All chance is a function of the seed and the step: there is no state of a generator to save.
        key = np.random.SeedSequence([recipe.seed, 3, self.step, devices.rank]).generate_state(2)
        chance = torch.Generator(devices.device).manual_seed(int(key[0]) << 31 ^ int(key[1]))
        noise = torch.randn(x0.shape, generator=chance, device=devices.device)
        rate = learning_rate(recipe, self.step)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        with devices.precision():
            estimate = self._model(x0 + sigma.view(-1, 1, 1, 1) * noise, sigma)
        losses = loss_weight(sigma) * (estimate.float() - x0).square().mean((1, 2, 3))
        self._optimiser.zero_grad(set_to_none=True)
        devices.backward(losses.mean())
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), recipe.clip)
        if not torch.isfinite(norm):
            raise PellucidError(
                f"the gradient at update {self.step} is not finite: go on from the checkpoint with a smaller --lr"
            )
        self._optimiser.step()
        # Early on, a long memory would mostly remember the start.
        keep = min(recipe.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, weight in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(weight, 1 - keep)
        self.step += 1
        self.seen += recipe.batch
        return sigma.cpu(), losses.detach().cpu(), norm.item()

    def prior(self) -> VENetwork:
        """The averaged weights as a prior, on this process's device."""
        return VENetwork(
            self.average,
            linear_ladder(),
            channels=self.network.channels,
            multiple=self.network.multiple,
        )

    def validate(self, images: dict[str, Tensor]) -> dict[int, float]:
        """Mean denoising PSNR in dB of the averaged weights by level over 255; nothing for no images."""
        return averages(denoising(self.prior(), images, LEVELS)) if images else {}

    def save(self, path: Path) -> None:
        """Writes the checkpoint."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        state, numbers = checkpoint.pack(self._optimiser)
        tensors |= {f"optimiser.{name}": value for name, value in state.items()}
        about = {"recipe": self.recipe.to_json(), "step": self.step, "seen": self.seen, "optimiser": numbers}
        checkpoint.save(path, tensors, about)

    def restore(self, path: Path) -> None:
        """Goes back to a checkpoint.

        Raises:
            PellucidError: it is of another network or optimiser.
        """
        tensors, about = checkpoint.load(path)
        then = Recipe.from_json(about["recipe"])
        if then.network != self.recipe.network or then.optimiser != self.recipe.optimiser:
            raise PellucidError(f"{path}: is of another network or optimiser; choose another folder for this run")
        self.network.load_state_dict(part(tensors, "network."))
        self.average.load_state_dict(part(tensors, "average."))
        checkpoint.unpack(self._optimiser, part(tensors, "optimiser."), about["optimiser"])
        self.step, self.seen = about["step"], about["seen"]

    def start_from(self, folder: Path) -> None:
        """Takes the weights of a prior's folder, of this network or of a smaller one.

        Raises:
            PellucidError: they are of neither.
        """
        from ..priors.folder import read_weights

        try:
            grow(self.network, {name: value.float() for name, value in read_weights(folder).items()})
        except PellucidError as error:
            raise PellucidError(f"{folder}: {error}") from None
        self.average.load_state_dict(self.network.state_dict())


def _open(
    data: Path, recipe: Recipe, options: Options, devices: Devices, tell: Callable[[str], None]
) -> tuple[Photographs, dict[str, Tensor]]:
    """The images to train on and, in the first process, those to validate on."""
    channels = recipe.network.channels
    sources = find(data)
    # Of a small collection no more than a tenth: it is worth more in training.
    held_out = 0 if options.validation is not None else min(options.held_out, len(sources) // 10)
    training, held = split(sources, held_out)
    photographs = Photographs(training, channels, recipe.size, options.memory, options.workers)
    photographs.report(tell)
    if not devices.first:
        return photographs, {}
    held = held if options.validation is None else find(options.validation)
    images = Photographs(held, channels, smallest=1, workers=options.workers) if held else []
    # The middle of each: the same cost for all, whatever their size.
    middles = [_middle(pixels, 256) for pixels in images]
    return photographs, {f"{i:04d}": to_model(from_array(pixels).tensor()) for i, pixels in enumerate(middles)}


def _middle(pixels: Pixels, size: int) -> Pixels:
    top, left = (max(0, (side - size) // 2) for side in pixels.shape[:2])
    return pixels[top : top + size, left : left + size]


def _optimiser(network: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    from .optimiser import Muon

    if recipe.optimiser == "muon":
        return Muon(network, recipe.lr)
    return torch.optim.AdamW(network.parameters(), recipe.lr, betas=(0.9, 0.99), weight_decay=0.0)


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


@dataclass
class _Meter:
    """Averages what happened since the last line of the log."""

    started: float = field(default_factory=time.monotonic)
    updates: int = 0
    norms: float = 0.0
    totals: Tensor = field(default_factory=lambda: torch.zeros(len(bands())))
    counts: Tensor = field(default_factory=lambda: torch.zeros(len(bands())))

    def add(self, sigma: Tensor, losses: Tensor, norm: float) -> None:
        """Takes in one update."""
        index = band_of(sigma)
        self.totals.index_add_(0, index, losses)
        self.counts.index_add_(0, index, torch.ones_like(losses))
        self.updates += 1
        self.norms += norm

    def row(self, trainer: Trainer, scores: dict[int, float]) -> Row:
        """A line of the log; `scores` is empty where nothing was validated."""
        seconds = max(time.monotonic() - self.started, 1e-9)
        return Row(
            step=trainer.step,
            seen=trainer.seen,
            lr=learning_rate(trainer.recipe, max(trainer.step - 1, 0)),
            images_per_second=self.updates * trainer.recipe.batch / seconds,
            gradient=self.norms / max(self.updates, 1),
            losses=tuple((self.totals / self.counts).tolist()),
            psnr=scores,
        )
