"""Interface of methods: hyper-parameters, and a loop that yields every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..errors import PellucidError, UsageError
from ..maths.noise import Streams, strided
from ..maths.problem import Problem
from ..operators import Operator
from ..priors.prior import Prior


@dataclass(frozen=True, slots=True)
class State:
    """State of a restoration after one step; progress bars, previews and traces read nothing else.

    Attributes:
        step: steps done, from 1 to total.
        total: number of steps in this run.
        sigma: noise level of x, in [-1, 1] units.
        x: the iterate, (B, C, H, W), in variance-exploding coordinates.
        x0: the newest estimate of the clean image, (B, C, H, W), in [-1, 1]; not clamped.
        nfe: evaluations of the prior so far.
        curves: further numbers by name, one for each image.
        notes: notes for people on each image's restoration, a line each; empty without a note.
        found: current estimates of the degradation by name, (B, ...): a "kernel", (B, 1, h, w), or the "noise", (B,).
        corrected: a level, and its latents before and after a correction such as Variance Preservation Sampling; None
            without one.

    Example:
        >>> prior = priors.GaussianPrior(torch.zeros(3, 8, 8), torch.tensor(0.25))
        >>> problem, rng = pellucid.Problem(torch.ones(1, 3, 8, 8)), noise.Streams.of(0, 1)
        >>> states = methods.get("dreamclean", strength=50).iterate(problem, prior, rng)
        >>> state = next(iter(states))
        >>> state.step, state.x0.shape
        (1, torch.Size([1, 3, 8, 8]))
    """

    step: int
    total: int
    sigma: float
    x: Tensor
    x0: Tensor
    nfe: int
    curves: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    found: Mapping[str, Tensor] = field(default_factory=dict)
    corrected: tuple[float | Tensor, Tensor, Tensor] | None = None


Effective = Mapping[str, tuple[str, Callable[[Any, bool], bool]]]
"""Condition of a hyper-parameter by name, in words and as a function of the method and of a known operator."""


class Method:
    """Base of all methods: a frozen dataclass of hyper-parameters, a pure function of problem, prior and seed.

    A subclass is a frozen dataclass with defaults from its paper, and defines `iterate` and `nfe`. It keeps no y and
    no A, draws noise only from `rng`, and never writes into its inputs.

    Example:
        >>> prior = priors.GaussianPrior(torch.zeros(3, 8, 8), torch.tensor(0.25))
        >>> problem = pellucid.Problem(torch.ones(1, 3, 8, 8))
        >>> methods.get("dreamclean", strength=50)(problem, prior, seed=0).shape
        torch.Size([1, 3, 8, 8])
    """

    blind: ClassVar[bool] = True
    """True if it restores without knowing the degradation."""

    takes_exposures: ClassVar[bool] = False
    """True if it merges several exposures, stacked along the channels, into one image."""

    takes_operator: ClassVar[bool] = False
    """True if a blind method uses the degradation if it is known."""

    takes_noise: ClassVar[bool] = False
    """True if a blind method accepts a noise level without a degradation."""

    needs_noise: ClassVar[bool] = True
    """True if a method for known degradations also requires the noise level."""

    by_gradient: ClassVar[bool] = False
    """True if it needs only the gradient of the degradation, which every differentiable map has."""

    latents_only: ClassVar[bool] = False
    """True if it needs an autoencoder, and so a prior of latents; its problem's operator is a `Decoder`."""

    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """Combinations of hyper-parameters by name; every method of a paper has "paper", the paper's values."""

    effective: ClassVar[Effective] = {}
    """Conditions of hyper-parameters that have no effect without them; see `check_effective`."""

    diagnoses: ClassVar[bool] = False
    """True if it diagnoses each image, and so receives the file's own information (`Problem.known`)."""

    takes_decoded: ClassVar[bool] = False
    """True if it takes a `Jpeg` operator with the decoded picture; other methods get the coefficients instead."""

    takes_grey_noise: ClassVar[bool] = False
    """True if it takes the noise level of a channel for grey pictures, too; others get that of the grey axis."""

    needs_prior: ClassVar[bool] = True
    """True if it evaluates the prior; without a prior, images may have any number of channels."""

    @property
    def through_network(self) -> bool:
        """True if it needs the gradient through the network, and so the memory of all activations."""
        return False

    def in_latents(self, known_operator: bool) -> tuple[Method | None, str]:
        """Adapts the method to latents; also returns a note for people about it.

        Args:
            known_operator: whether the degradation will be given.

        Returns:
            None in place of the method if images must stay unchanged.

        Raises:
            UsageError: the method cannot work in latents.
        """
        if known_operator and not self.by_gradient:
            raise UsageError(
                f"{type(self).__name__} needs more of a degradation than its gradient, which is all that there is in "
                "latents: take dps or gdp, or a prior of pixels"
            )
        return self, ""

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        if "iterate" in vars(cls):
            cls.iterate = _by_level(cls.iterate)  # type: ignore[method-assign, assignment]

    def prepare(self, device: torch.device) -> None:
        """Loads its requirements besides the prior, so that missing ones are reported before the first image."""

    def iterate(self, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        """Restores, yielding after each step; the last state's x is the result."""
        raise NotImplementedError

    def nfe(self, prior: Prior) -> int:
        """Number of evaluations of `prior` in a run."""
        raise NotImplementedError

    def __call__(self, problem: Problem, prior: Prior, seed: int | Sequence[int] = 0) -> Tensor:
        """Drains `iterate`.

        Args:
            problem: the measurements of B images.
            prior: the diffusion prior.
            seed: image i of the batch has seed `seed + i`, or `seed[i]` if there is a seed for each.

        Returns:
            The restored images, (B, C, H, W) in [-1, 1] units, not clamped. They are detached from gradients.
        """
        return last(self.iterate(problem, prior, Streams.of(seed, len(problem.y)))).x.detach()

    def __getstate__(self) -> dict[str, Any]:
        # What it has loaded, a session of another library perhaps, is loaded again where it is sent to.
        return {name: value for name, value in vars(self).items() if name in self.__dataclass_fields__}  # type: ignore[attr-defined]

    def require(self, holds: bool, field: str, demand: str) -> None:
        """Refuses a hyper-parameter out of range."""
        if not holds:
            value = getattr(self, field)
            raise UsageError(f"{type(self).__name__}: {field} must be {demand}, not {value!r}")

    def check_effective(self, given: Iterable[str], known_operator: bool = False) -> None:
        """Rejects given hyper-parameters that would be ignored.

        Args:
            given: names of hyper-parameters that a caller set.
            known_operator: whether the degradation is given.

        Raises:
            UsageError: a hyper-parameter has no effect beside the others.
        """
        for name in given:
            condition, holds = self.effective.get(name, ("", _always))
            if not holds(self, known_operator):
                raise UsageError(f"{type(self).__name__}: {name} has an effect only with {condition}; leave it out")

    def operator_of(self, problem: Problem) -> Operator:
        """The operator of a problem that must have one."""
        if problem.operator is None:
            raise UsageError(f"{type(self).__name__} needs the degradation: give an operator")
        return problem.operator

    def operator_and_noise(self, problem: Problem) -> tuple[Operator, float]:
        """The operator and the noise level in [-1, 1] units of a problem that must have both."""
        operator = self.operator_of(problem)
        if problem.sigma_y is None:
            raise UsageError(f"{type(self).__name__} needs the noise level: give noise, 0 if there is none")
        return operator, problem.sigma_y

    def require_blind(self, problem: Problem) -> None:
        """Refuses knowledge that a blind method would leave unused."""
        if problem.operator is not None or problem.sigma_y is not None:
            known = "the operator" if problem.operator is not None else "the noise level"
            raise UsageError(f"{type(self).__name__} is blind: it cannot use {known}; leave it out")


def _always(method: Method, known_operator: bool) -> bool:
    return True


PAPERS: Mapping[str, Mapping[str, Any]] = {"paper": {}}
"""Presets of a method whose defaults are its paper's."""

Iterate = Callable[[Any, Problem, Prior, Streams], Iterator[State]]


def _by_level(iterate: Iterate) -> Iterate:
    """Restores images of different noise levels side by side, so that a method handles a single level."""

    @wraps(iterate)
    def levelled(self: Any, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        if not problem.levels:
            return iterate(self, problem, prior, rng)
        from .sidebyside import side_by_side

        parts = zip(problem.split(), rng.split(), strict=True)
        return side_by_side([iterate(self, one, prior, own) for one, own in parts])

    return levelled


def with_gradients(iterate: Iterate) -> Iterate:
    """Enables gradients in an `iterate` that needs them, also under `torch.no_grad`.

    Raises:
        UsageError: when called under `torch.inference_mode`, whose tensors have no gradients.
    """
    enabled = torch.enable_grad()(iterate)

    @wraps(iterate)
    def checked(self: Any, problem: Problem, prior: Prior, rng: Streams) -> Iterator[State]:
        if torch.is_inference_mode_enabled():
            raise UsageError(f"{type(self).__name__} takes gradients: call it outside torch.inference_mode")
        return enabled(self, problem, prior, rng)

    return checked


class Stepper(Method):
    """Base of methods that walk down a ladder, with one evaluation a level; it has a field `steps`.

    As in DDRM's code, steps that do not divide the training ladder walk a few levels more; see `maths.noise.strided`.

    Example:
        >>> method = methods.get("ddrm", steps=10)
        >>> method.nfe(priors.GaussianPrior(torch.zeros(3, 8, 8), torch.tensor(0.25)))
        10
    """

    steps: int

    def ladder(self, sigmas: Tensor) -> Tensor:
        """Levels of the walk on a training ladder: descending, then 0."""
        return strided(sigmas, self.steps)

    def nfe(self, prior: Prior) -> int:
        """One evaluation a level."""
        return len(self.ladder(prior.sigmas)) - 1


def ancestral_spread(
    sigma: float, sigma_next: float, variance: str = "posterior", share: Tensor | None = None
) -> float | Tensor:
    """Standard deviation of an ancestral step's fresh noise; 0 at the last step.

    Args:
        sigma: level before the step.
        sigma_next: level after it.
        variance: "posterior" or "beta", its two bounds (DDPM, section 3.2).
        share: position of a learnt variance between the two, (B, C, H, W); see `VPNetwork.learned`.
    """
    if not sigma_next:
        return 0.0
    added = math.sqrt(sigma**2 - sigma_next**2)
    posterior = sigma_next / sigma * added
    # sqrt(beta) of the variance-preserving chain, beta = 1 - abar / abar', in this library's coordinates.
    beta = math.sqrt((1 + sigma_next**2) / (1 + sigma**2)) * added
    if share is not None:
        return posterior * (beta / posterior) ** share
    return beta if variance == "beta" else posterior


def last(states: Iterator[State], watch: Callable[[State], object] | None = None) -> State:
    """Drains the iterator of `iterate`.

    Args:
        states: of one run.
        watch: called with each state.

    Raises:
        PellucidError: there is no step, or the result is no image.
    """
    state = None
    for state in states:
        if watch is not None:
            watch(state)
    if state is None:
        raise PellucidError("the method took no step")
    _refuse_absurd(state)
    return state


def _refuse_absurd(state: State) -> None:
    """Rejects a result that is no image: it is not finite, or most of it is far outside the range of images."""
    for image in state.x:
        largest = max(abs(end.item()) if not end.isnan() else math.inf for end in image.aminmax())
        if not math.isfinite(largest):
            raise PellucidError("the result is no image: it has values that are not finite, although the prior's are")
        if largest <= _FAR:
            continue
        beyond = int((image.abs() > _FAR).sum()) / image.numel()
        if beyond > _MOST:
            raise PellucidError(
                f"the result is no image: {beyond:.0%} of its values are far outside the range, up to "
                f"{largest:.3g}: the iteration has diverged; take smaller steps (scale, rate), or more"
            )


_FAR, _MOST = 10.0, 0.5
"""Bound on the values of images in [-1, 1], and the share of values beyond it from which a result is no image."""
