"""Training of a network by the configuration of a scheduler of the diffusers library.

A scheduler's class defines the meaning of a network's output, and each class has its defaults for missing fields.
Fields that only affect sampling are ignored. A class or a field outside the tables below is rejected, since a wrong
guess would silently give another prior.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import PellucidError
from ..maths.noise import cosine_ladder, linear_ladder, scaled_linear_ladder
from .adapters import Prediction, VPNetwork
from .forms import INFINITE, Consistency, Continuous, Edm, Flow, Form, Formed, Score, levels_of, zero_terminal

_LOG = logging.getLogger("pellucid")

Config = Mapping[str, Any]

_PREDICTIONS: dict[str, Prediction] = {"epsilon": "epsilon", "v_prediction": "v", "sample": "x0"}
_MOST_STEPS = 100_000

# --- the tables ------------------------------------------------------------------------------------------------------

# Schedule of beta, its first and its last value, where a class's file says nothing.
_PLAIN = ("linear", 1e-4, 0.02)
_LATENT = ("scaled_linear", 0.00085, 0.012)
_KATHERINE = ("linear", 0.00085, 0.012)

BETAS: dict[str, tuple[str, float, float]] = {
    **dict.fromkeys(
        (
            "DDIMInverseScheduler",
            "DDIMParallelScheduler",
            "DDIMScheduler",
            "DDPMParallelScheduler",
            "DDPMScheduler",
            "DEISMultistepScheduler",
            "DPMSolverMultistepInverseScheduler",
            "DPMSolverMultistepScheduler",
            "DPMSolverSinglestepScheduler",
            "EulerAncestralDiscreteScheduler",
            "EulerDiscreteScheduler",
            "LMSDiscreteScheduler",
            "PNDMScheduler",
            "RePaintScheduler",
            "SASolverScheduler",
            "UniPCMultistepScheduler",
        ),
        _PLAIN,
    ),
    **dict.fromkeys(
        (
            "DPMSolverSDEScheduler",
            "HeunDiscreteScheduler",
            "KDPM2AncestralDiscreteScheduler",
            "KDPM2DiscreteScheduler",
        ),
        _KATHERINE,
    ),
    "TCDScheduler": _LATENT,
}
"""Classes for networks with discrete steps, and their defaults."""

_OF_BETAS = {
    "num_train_timesteps", "beta_start", "beta_end", "beta_schedule", "trained_betas", "prediction_type",
    "rescale_betas_zero_snr", "variance_type", "predict_epsilon", "timesteps", "use_flow_sigmas", "flow_shift",
    "timestep_type",
}  # fmt: skip
_OF_EDM = {"sigma_min", "sigma_max", "sigma_data", "sigma_schedule", "num_train_timesteps", "prediction_type", "rho"}
_OF_FLOW = {"num_train_timesteps", "shift", "use_dynamic_shifting", "invert_sigmas"}

SAMPLING = {
    "algorithm_type", "base_image_seq_len", "base_shift", "clip_denoised", "clip_sample", "clip_sample_range",
    "correct_steps", "corrector_order", "disable_corrector", "dynamic_thresholding_ratio", "eta", "euler_at_final",
    "final_sigmas_type", "interpolation_type", "lambda_min_clipped", "lower_order_final", "max_image_seq_len",
    "max_shift", "noise_sampler_seed", "original_inference_steps", "predict_x0", "predictor_order", "s_churn", "s_max",
    "s_min", "s_noise", "sample_max_value", "sampling_eps", "scale_factors", "set_alpha_to_one", "shift_terminal",
    "sigma_max", "sigma_min", "skip_prk_steps", "snr", "solver_order", "solver_p", "solver_type", "steps_offset",
    "stochastic_sampling", "tau_func", "tensor_format", "thresholding", "time_shift_type", "timestep_scaling",
    "timestep_spacing", "timestep_values", "upscale_mode", "use_beta_sigmas", "use_dynamic_shifting",
    "use_exponential_sigmas", "use_karras_sigmas", "use_lu_lambdas", "variance_type",
}  # fmt: skip
"""Fields that affect only sampling, not the training."""


@dataclass(frozen=True)
class Training:
    """Training of a network.

    Attributes:
        sigmas: its training ladder, ascending, (T,).
        prediction: predicted quantity of a variance-preserving network of discrete steps; None for other forms.
        form: the form of all other networks.
        ranged: see `VPNetwork`.
    """

    sigmas: Tensor
    prediction: Prediction | None = None
    form: Form | None = None
    ranged: bool = True

    def prior(
        self, network: Callable[[Tensor, Tensor], Tensor], *, channels: int = 3, multiple: int = 1
    ) -> VPNetwork | Formed:
        """Makes the prior of a network `network(x, t)` with this training; see `VPNetwork`."""
        if self.form is not None:
            return Formed(network, self.form, self.sigmas, channels=channels, multiple=multiple)
        assert self.prediction is not None
        return VPNetwork(
            network, self.sigmas, self.prediction, channels=channels, multiple=multiple, ranged=self.ranged
        )


def read(config: Config, source: Path | str) -> Training:
    """Reads the training of a network.

    Args:
        config: the content of `scheduler_config.json`.
        source: its source, for messages.

    Raises:
        PellucidError: the class or a field is unknown, or a number is out of range.
    """
    kind = config.get("_class_name")
    if kind is None and not {"beta_schedule", "trained_betas"} & config.keys():
        _LOG.warning("%s: its scheduler_config.json says neither class nor schedule: DDPM's are assumed", source)
    try:
        return _ascending(_reader(str(kind or "DDPMScheduler"))(config))
    except PellucidError as error:
        raise PellucidError(f"{source}: scheduler_config.json: {error}") from None


def _reader(kind: str) -> Callable[[Config], Training]:
    if kind in BETAS:
        return lambda config: _betas(config, *BETAS[kind])
    if kind in _OTHERS:
        return _OTHERS[kind]
    raise PellucidError(
        f"the scheduler {kind!r} is not known: what its network's numbers mean would be a guess; known are "
        "those of epsilon, v and sample on betas, EDM, variance-exploding, continuous, consistency and flow matching"
    )


# --- discrete steps --------------------------------------------------------------------------------------------------


def _betas(config: Config, schedule: str, first: float, last: float) -> Training:
    # The samplers that turn to flow matching say so by two fields, which must agree.
    flows = (_flag(config, "use_flow_sigmas"), config.get("prediction_type") == "flow_prediction")
    _check(config, _OF_BETAS)
    if any(flows):
        if not all(flows):
            raise PellucidError("use_flow_sigmas goes with prediction_type 'flow_prediction', and that with it")
        shift = 1.0 if _flag(config, "use_dynamic_shifting") else _number(config, "flow_shift", 1.0, 1e-3, 1e3)
        return _flow_ladder(_steps(config, 1000), shift)
    if config.get("timestep_type", "discrete") != "discrete":
        raise PellucidError(f"timestep_type {config['timestep_type']!r} is not known; discrete is needed")
    prediction = _prediction(config)
    steps = _steps(config, 1000)
    sigmas = _discrete(config, config.get("beta_schedule", schedule), steps, first, last)
    if _flag(config, "rescale_betas_zero_snr"):
        sigmas = levels_of(zero_terminal(1 / (1 + sigmas**2)))
    if sigmas[-1] == INFINITE and prediction == "epsilon":
        raise PellucidError(
            "a last level of noise alone (rescale_betas_zero_snr) goes with v_prediction or sample: there epsilon "
            "says nothing of the image"
        )
    return Training(sigmas, prediction, ranged=config.get("variance_type") != "learned")


def _discrete(config: Config, kind: object, steps: int, first: float, last: float) -> Tensor:
    if config.get("trained_betas") is not None:
        given = config["trained_betas"]
        if not isinstance(given, list) or not 2 <= len(given) <= _MOST_STEPS:
            raise PellucidError(f"trained_betas are 2 to {_MOST_STEPS} numbers")
        betas = torch.tensor([_checked("trained_betas", value, 0, 1) for value in given], dtype=torch.float64)
        return levels_of((1 - betas).cumprod(0))
    ends = (_number(config, "beta_start", first, 1e-12, 1), _number(config, "beta_end", last, 1e-12, 1))
    if kind == "linear":
        return linear_ladder(steps, *ends)
    if kind == "scaled_linear":
        return scaled_linear_ladder(steps, *ends)
    if kind == "squaredcos_cap_v2":
        return cosine_ladder(steps)
    raise PellucidError(f"unknown beta_schedule {kind!r}; linear, scaled_linear or squaredcos_cap_v2 is needed")


def _prediction(config: Config) -> Prediction:
    """Predicted quantity of the network; old files state it by `predict_epsilon`."""
    old = config.get("predict_epsilon")
    found = config.get("prediction_type", "sample" if old is False else "epsilon")
    if not isinstance(found, str) or found not in _PREDICTIONS:
        raise PellucidError(f"its network predicts {found!r}; epsilon, v_prediction or sample is needed")
    return _PREDICTIONS[found]


# --- continuous levels -----------------------------------------------------------------------------------------------


def _edm(config: Config) -> Training:
    _check(config, _OF_EDM)
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in ("epsilon", "v_prediction"):
        raise PellucidError(f"its network predicts {prediction!r}; epsilon or v_prediction is needed")
    least, most = _range(config, 0.002, 80.0)
    steps = _steps(config, 1000)
    kind = config.get("sigma_schedule", "karras")
    if kind == "karras":
        sigmas = _karras(least, most, steps, _number(config, "rho", 7.0, 0.1, 100))
    elif kind == "exponential":
        sigmas = _geometric(least, most, steps)
    else:
        raise PellucidError(f"unknown sigma_schedule {kind!r}; karras or exponential is needed")
    return Training(sigmas, form=Edm(_number(config, "sigma_data", 0.5, 1e-3, 1e3), prediction == "v_prediction"))


def _consistency(config: Config) -> Training:
    _check(config, _OF_EDM - {"sigma_schedule", "prediction_type"})
    least, most = _range(config, 0.002, 80.0)
    sigmas = _karras(least, most, _steps(config, 40), _number(config, "rho", 7.0, 0.1, 100))
    return Training(sigmas, form=Consistency(least, _number(config, "sigma_data", 0.5, 1e-3, 1e3)))


def _exploding(config: Config) -> Training:
    _check(config, {"num_train_timesteps", "sigma_min", "sigma_max"})
    least, most = _range(config, 0.01, 1348.0)
    # Of images in [0, 1], which are half as wide as those here.
    return Training(2 * _geometric(least, most, _steps(config, 2000)), form=Score())


def _exploding_karras(config: Config) -> Training:
    _check(config, {"sigma_min", "sigma_max"})
    # Its pipeline shows the same networks images in [0, 1], but counts its levels in [-1, 1].
    return Training(_geometric(*_range(config, 0.02, 100.0), 1000), form=Score())


def _continuous(config: Config) -> Training:
    _check(config, {"num_train_timesteps", "beta_min", "beta_max"})
    least, most = (_number(config, name, usual, 1e-6, 1e3) for name, usual in (("beta_min", 0.1), ("beta_max", 20.0)))
    if most < least:
        raise PellucidError(f"beta_max {most} is below beta_min {least}")
    form = Continuous(least, most)
    first = _number(config, "sampling_eps", 1e-3, 1e-9, 0.5)
    return Training(
        form.sigma(torch.linspace(first, 1, _steps(config, 2000), dtype=torch.float64)),
        form=form,
    )


def _flow(config: Config) -> Training:
    _check(config, _OF_FLOW)
    if _flag(config, "invert_sigmas"):
        raise PellucidError("invert_sigmas is not known: time must go from the image to noise")
    shift = _number(config, "shift", 1.0, 1e-3, 1e3)
    # A shift by the image's size chooses steps to sample at; the network knows all of them.
    return _flow_ladder(_steps(config, 1000), 1.0 if _flag(config, "use_dynamic_shifting") else shift)


def _flow_ladder(steps: int, shift: float) -> Training:
    u = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    u = shift * u / (1 + (shift - 1) * u)
    sigmas = u / (1 - u)
    sigmas[-1] = INFINITE
    return Training(sigmas, form=Flow(float(steps)))


_OTHERS: dict[str, Callable[[Config], Training]] = {
    "EDMEulerScheduler": _edm,
    "EDMDPMSolverMultistepScheduler": _edm,
    "CMStochasticIterativeScheduler": _consistency,
    "ScoreSdeVeScheduler": _exploding,
    "KarrasVeScheduler": _exploding_karras,
    "ScoreSdeVpScheduler": _continuous,
    "FlowMatchEulerDiscreteScheduler": _flow,
    "FlowMatchHeunDiscreteScheduler": _flow,
    "FlowMatchLCMScheduler": _flow,
}


def _karras(least: float, most: float, steps: int, rho: float) -> Tensor:
    """Levels equally spaced in their rho-th root, ascending."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    low, high = least ** (1 / rho), most ** (1 / rho)
    sigmas: Tensor = (low + ramp * (high - low)) ** rho
    # Exact at both ends, whatever powers round.
    sigmas[0], sigmas[-1] = least, most
    return sigmas


def _geometric(least: float, most: float, steps: int) -> Tensor:
    """Levels equally spaced in their logarithm, ascending."""
    sigmas = torch.linspace(math.log(least), math.log(most), steps, dtype=torch.float64).exp()
    sigmas[0], sigmas[-1] = least, most
    return sigmas


# --- fields ----------------------------------------------------------------------------------------------------------


def _check(config: Config, decisive: set[str]) -> None:
    """Rejects unknown fields, except the library's marks, which begin with an underscore."""
    unknown = sorted(name for name in config.keys() - decisive - SAMPLING if not name.startswith("_"))
    if unknown:
        raise PellucidError(f"its field {unknown[0]!r} is not known: what it means for the network would be a guess")


def _flag(config: Config, name: str) -> bool:
    value = config.get(name)
    if value is not None and not isinstance(value, bool):
        raise PellucidError(f"{name} must be true or false, not {value!r:.40}")
    return bool(value)


def _steps(config: Config, usual: int) -> int:
    # As releases before 0.3 called it.
    value = config.get("num_train_timesteps", config.get("timesteps", usual))
    if isinstance(value, bool) or not isinstance(value, int) or not 2 <= value <= _MOST_STEPS:
        raise PellucidError(f"num_train_timesteps must be from 2 to {_MOST_STEPS}, not {value!r:.40}")
    return value


def _number(config: Config, name: str, usual: float, least: float, most: float) -> float:
    value = config.get(name)
    return _checked(name, usual if value is None else value, least, most)


def _checked(name: str, value: Any, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise PellucidError(f"{name} must be a number from {least:g} to {most:g}, not {value!r:.40}")
    return float(value)


def _range(config: Config, least: float, most: float) -> tuple[float, float]:
    low, high = (_number(config, name, usual, 1e-6, 1e5) for name, usual in (("sigma_min", least), ("sigma_max", most)))
    if not low < high:
        raise PellucidError(f"sigma_max {high} is not above sigma_min {low}")
    return low, high


def _ascending(training: Training) -> Training:
    """Returns the training if its levels ascend."""
    sigmas = training.sigmas
    if not torch.isfinite(sigmas).all() or not (sigmas.diff() > 0).all() or sigmas[0] <= 0:
        raise PellucidError("its noise levels do not ascend from above 0")
    return training
