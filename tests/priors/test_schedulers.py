"""How networks were trained, by their schedulers: against the diffusers library's own steps, over whole ladders."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pellucid.errors import PellucidError
from pellucid.priors import load_prior
from pellucid.priors.forms import INFINITE, Formed
from pellucid.priors.schedulers import BETAS, SAMPLING, read

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(x: Tensor, t: Tensor) -> Tensor:
    """Something that depends on all it is told."""
    return torch.tanh(0.7 * x.flip(-1) + 0.1 * x + torch.sin(0.01 * t).view(-1, 1, 1, 1))


def made(name: str, **fields: Any) -> Any:
    import diffusers
    from diffusers.schedulers import deprecated

    return getattr(diffusers, name, None) or getattr(deprecated, name)


def scheduler_of(name: str, **fields: Any) -> tuple[Any, dict[str, Any]]:
    own = made(name)(**fields)
    return own, {**own.config, "_class_name": name}


X0, N = 0.5 * draw(1, 3, 4, 4), draw(1, 3, 4, 4, seed=1)


def close(found: Tensor, expected: Tensor) -> None:
    # Their schedulers keep their levels in single precision: 1e-5 of what is in the image.
    torch.testing.assert_close(found, expected, atol=1e-5 * max(1.0, expected.abs().max().item()), rtol=1e-5)


# --- discrete steps ---


@pytest.mark.parametrize("name", ["DDIMScheduler", "DDPMScheduler", "DDIMParallelScheduler"])
@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("zero", [False, True])
def test_discrete_steps_are_the_librarys(name: str, schedule: str, prediction: str, zero: bool) -> None:
    fields = {"beta_schedule": schedule, "prediction_type": prediction, "rescale_betas_zero_snr": zero}
    own, config = scheduler_of(name, clip_sample=False, num_train_timesteps=200, **fields)
    if zero and prediction == "epsilon":
        with pytest.raises(PellucidError, match="goes with v_prediction or sample"):
            read(config, "here")
        return
    prior = read(config, "here").prior(network)
    own.set_timesteps(200)
    if not zero:
        # The library's 1 - abar in single precision is wrong by 2e-4 of a level: its own betas, in double precision.
        own.alphas_cumprod = (1 - own.betas.double()).cumprod(0)
    close_enough = 1e-4 if zero else 1e-5
    for t in range(200):
        abar = own.alphas_cumprod[t].double().item()
        sigma = prior.sigmas[t].item()
        if abar > 1e-6:
            # The library rescales in single precision: an error of some units in the last place of abar, near 1.
            allowed = 1e-4 + 2.5e-7 / (1 - abar) if zero else 1e-5
            assert sigma == pytest.approx(math.sqrt((1 - abar) / abar), rel=allowed)
        noisy = (X0 + sigma * N) / math.sqrt(1 + sigma**2)
        output = network(noisy, torch.tensor([float(t)]))
        expected = own.step(output, t, noisy, generator=torch.Generator().manual_seed(0)).pred_original_sample
        # An epsilon's rounding becomes sigma times as large in x0.
        scale = max(1.0, sigma) if prediction == "epsilon" else 1.0
        found = prior(X0 + sigma * N, sigma)
        torch.testing.assert_close(found.double(), expected.double(), atol=close_enough * scale, rtol=close_enough)


def test_zero_terminal_snr_has_its_levels_and_an_end() -> None:
    prior = read(
        {
            "_class_name": "DDIMScheduler",
            "beta_schedule": "linear",
            "prediction_type": "v_prediction",
            "rescale_betas_zero_snr": True,
        },
        "here",
    ).prior(network)
    assert prior.sigmas[990].item() == pytest.approx(1650, rel=1e-2)
    assert prior.sigmas[0].item() == pytest.approx(0.01, rel=1e-3)
    assert prior.sigmas[-1].item() == INFINITE
    assert prior.time_of(INFINITE) == 999  # type: ignore[union-attr]
    # Of noise alone, v = -x0: the estimate is the network's, and finite.
    close(prior(INFINITE * N, INFINITE), -network(N, torch.tensor([999.0])))


def test_noise_alone_says_nothing_to_epsilon() -> None:
    with pytest.raises(PellucidError, match="epsilon says nothing"):
        read({"_class_name": "DDPMScheduler", "trained_betas": [0.1, 1.0]}, "here")


def test_defaults_are_those_of_each_class() -> None:
    # Two samplers are empty classes where scipy or torchsde is not installed.
    optional = {"LMSDiscreteScheduler", "DPMSolverSDEScheduler"}
    for name, (schedule, first, last) in BETAS.items():
        fields = inspect.signature(made(name).__init__).parameters
        if name in optional and "beta_schedule" not in fields:
            continue
        defaults = (fields["beta_schedule"].default, fields["beta_start"].default, fields["beta_end"].default)
        assert defaults == (schedule, first, last), name
        # And every field of theirs is known here.
        read({"_class_name": name, **{k: v.default for k, v in fields.items() if k not in ("self", "kwargs")}}, name)


# --- continuous levels ---


@pytest.mark.parametrize("name", ["EDMEulerScheduler", "EDMDPMSolverMultistepScheduler"])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("schedule", ["karras", "exponential"])
def test_edm_is_the_librarys(name: str, prediction: str, schedule: str) -> None:
    own, config = scheduler_of(
        name, prediction_type=prediction, sigma_schedule=schedule, num_train_timesteps=300, sigma_data=0.7
    )
    prior = read(config, "here").prior(network)
    own.set_timesteps(300)
    torch.testing.assert_close(prior.sigmas.float().flip(0), own.sigmas[:300], rtol=1e-5, atol=0)
    for sigma in prior.sigmas.tolist():
        x = X0 + sigma * N
        level = torch.tensor(sigma)
        output = network(own.precondition_inputs(x, level), own.precondition_noise(level[None]))
        close(prior(x, sigma), own.precondition_outputs(x, output, level))


def test_a_network_of_edm_that_says_nothing() -> None:
    prior = read({"_class_name": "EDMEulerScheduler"}, "here").prior(lambda x, t: torch.zeros_like(x))
    assert (prior(N, 5.0) / N).mean().item() == pytest.approx(0.25 / 25.25, rel=1e-5)
    assert (prior.sigmas[0].item(), prior.sigmas[-1].item(), len(prior.sigmas)) == (0.002, 80.0, 1000)


def test_variance_exploding_steps_are_the_librarys() -> None:
    """Its pipeline's images lie in [0, 1]: half as wide as those here, and its levels with them."""
    own, config = scheduler_of("ScoreSdeVeScheduler", num_train_timesteps=100)
    prior = read(config, "here").prior(network)
    own.set_timesteps(100)
    own.set_sigmas(100)
    torch.testing.assert_close(prior.sigmas.float() / 2, own.discrete_sigmas, rtol=1e-4, atol=0)
    for i in range(1, 100):
        sigma, before = (own.discrete_sigmas[j].double().item() for j in (i, i - 1))
        x = (X0 + 1) / 2 + sigma * N
        output = network(x, torch.tensor([sigma]))
        step = own.step_pred(output, i / 99 + 1e-6, x, generator=torch.Generator().manual_seed(0)).prev_sample_mean
        x0 = (prior(2 * x - 1, 2 * sigma) + 1) / 2
        # The mean of their step is on the way from x to x0, as far as the variance falls.
        expected = x + (1 - (before / sigma) ** 2) * (x0 - x)
        torch.testing.assert_close(step, expected, atol=1e-4 * sigma, rtol=1e-4)


def test_karras_steps_of_the_same_networks_are_the_librarys() -> None:
    own, config = scheduler_of("KarrasVeScheduler")
    prior = read(config, "here").prior(network)
    assert (prior.sigmas[0].item(), prior.sigmas[-1].item()) == (0.02, 100.0)
    own.set_timesteps(50)
    for sigma in prior.sigmas[::10].tolist():
        x = X0 + sigma * N
        output = sigma / 2 * network((x + 1) / 2, torch.tensor([sigma / 2]))
        close(prior(x, sigma), own.step(output, sigma, sigma / 2, x).pred_original_sample)


def test_continuous_steps_are_the_librarys() -> None:
    own, config = scheduler_of("ScoreSdeVpScheduler", num_train_timesteps=100)
    prior = read(config, "here").prior(network)
    own.set_timesteps(100)
    for t, sigma in zip(own.timesteps.double().flip(0).tolist(), prior.sigmas.tolist(), strict=True):
        log_mean = -0.25 * t * t * 19.9 - 0.05 * t
        assert sigma == pytest.approx(math.sqrt(math.expm1(-2 * log_mean)), rel=1e-4)
        assert isinstance(prior, Formed)
        assert prior.form.at(sigma, sigma).time == pytest.approx(999 * t, rel=1e-5)
        x = X0 + sigma * N
        noisy, deviation = x * math.exp(log_mean), math.sqrt(-math.expm1(2 * log_mean))
        x0 = prior(x, sigma)
        beta = 0.1 + t * 19.9
        score = (math.exp(log_mean) * x0 - noisy) / deviation**2
        expected = noisy + (0.5 * beta * noisy + beta * score) / 100
        output = network(noisy, torch.tensor([999 * t]))
        mean = own.step_pred(output, noisy, torch.tensor([t]), generator=torch.Generator().manual_seed(0))[1]
        torch.testing.assert_close(mean, expected, atol=2e-4, rtol=2e-4)


def test_consistency_steps_are_the_librarys() -> None:
    own, config = scheduler_of("CMStochasticIterativeScheduler", clip_denoised=False)
    prior = read(config, "here").prior(network)
    own.set_timesteps(40)
    torch.testing.assert_close(prior.sigmas.float().flip(0), own.sigmas[:40], rtol=1e-4, atol=0)
    for t, sigma in zip(own.timesteps, prior.sigmas.flip(0).tolist(), strict=True):
        x, own._step_index = X0 + sigma * N, None
        output = network(own.scale_model_input(x, t), t[None].float())
        skip, out = own.get_scalings_for_boundary_condition(torch.tensor(sigma))
        close(prior(x, sigma), out * output + skip * x)


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("FlowMatchEulerDiscreteScheduler", {}),
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
        ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0, "use_dynamic_shifting": True}),
        ("FlowMatchHeunDiscreteScheduler", {"shift": 2.0}),
    ],
)
def test_flow_matching_steps_are_the_librarys(name: str, fields: dict[str, Any]) -> None:
    own, config = scheduler_of(name, num_train_timesteps=200, **fields)
    prior = read(config, "here").prior(network)
    shares, times = own.sigmas[:200].flip(0), own.timesteps[:200].flip(0)
    assert len(prior.sigmas) == 200
    assert prior.sigmas[-1].item() == INFINITE
    for share, t, sigma in zip(shares.double().tolist(), times, prior.sigmas.tolist(), strict=True):
        assert sigma / (1 + sigma) == pytest.approx(share, abs=2e-6)
        noisy = (X0 + sigma * N) / (1 + sigma)
        # One step of theirs to no noise at all is the estimate.
        expected = noisy - share * network(noisy, t[None])
        close(prior(X0 + sigma * N, sigma), expected)


def test_samplers_that_turn_to_flow_matching() -> None:
    fields = {"use_flow_sigmas": True, "prediction_type": "flow_prediction", "flow_shift": 3.0}
    for name in ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler"):
        training = read({"_class_name": name, **fields}, "here")
        flow = read({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}, "here")
        assert torch.equal(training.sigmas, flow.sigmas)
        assert training.form == flow.form
        for lacking in ("use_flow_sigmas", "prediction_type"):
            with pytest.raises(PellucidError, match="use_flow_sigmas goes with"):
                read({"_class_name": name, **{k: v for k, v in fields.items() if k != lacking}}, "here")


def test_a_level_for_each_image_is_the_level_of_each() -> None:
    for name in ("EDMEulerScheduler", "ScoreSdeVeScheduler", "FlowMatchEulerDiscreteScheduler", "ScoreSdeVpScheduler"):
        prior = read({"_class_name": name}, "here").prior(network)
        x, sigma = draw(2, 3, 4, 4), torch.tensor([0.3, 4.0])
        both = prior(x, sigma)
        for i in range(2):
            torch.testing.assert_close(both[i : i + 1], prior(x[i : i + 1], sigma[i].item()), atol=1e-5, rtol=1e-5)


# --- what is not known ---


@pytest.mark.parametrize(
    "name",
    [
        "IPNDMScheduler", "UnCLIPScheduler", "VQDiffusionScheduler", "CogVideoXDDIMScheduler", "SCMScheduler",
        "DDPMWuerstchenScheduler", "LCMScheduler", "FlowMapEulerDiscreteScheduler", "InventedScheduler", 3,
    ],
)  # fmt: skip
def test_unknown_classes_are_refused(name: Any) -> None:
    says = r"^here: scheduler_config\.json: the scheduler '.*' is not known"
    with pytest.raises(PellucidError, match=says) as caught:
        read({"_class_name": name}, "here")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "field", "says"),
    [
        ("DDPMScheduler", {"snr_shift_scale": 3.0}, "its field 'snr_shift_scale' is not known"),
        ("DDIMScheduler", {"sigma_data": 0.5}, "its field 'sigma_data' is not known"),
        ("EDMEulerScheduler", {"beta_start": 0.1}, "its field 'beta_start' is not known"),
        ("EDMEulerScheduler", {"prediction_type": "sample"}, "epsilon or v_prediction is needed"),
        ("EDMEulerScheduler", {"sigma_data": 1e308}, "sigma_data must be a number from 0.001 to 1000"),
        ("EDMEulerScheduler", {"sigma_min": 90.0}, "sigma_max 80.0 is not above sigma_min 90.0"),
        ("EDMEulerScheduler", {"sigma_schedule": "mine"}, "unknown sigma_schedule 'mine'"),
        ("EulerDiscreteScheduler", {"timestep_type": "continuous"}, "timestep_type 'continuous' is not known"),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "invert_sigmas is not known"),
        ("DDPMScheduler", {"num_train_timesteps": 10**12}, "num_train_timesteps must be from 2 to 100000"),
        ("DDPMScheduler", {"num_train_timesteps": "9"}, "num_train_timesteps must be from 2 to 100000, not '9'"),
        ("DDPMScheduler", {"beta_end": float("nan")}, "beta_end must be a number"),
        ("DDPMScheduler", {"trained_betas": [0.1, "x"]}, "trained_betas must be a number from 0 to 1, not 'x'"),
        ("DDPMScheduler", {"trained_betas": 3}, "trained_betas are 2 to 100000 numbers"),
        ("DDPMScheduler", {"rescale_betas_zero_snr": "yes"}, "must be true or false, not 'yes'"),
        ("DDPMScheduler", {"prediction_type": ["epsilon"]}, "its network predicts"),
        ("DDPMScheduler", {"beta_start": 0.5, "beta_end": 1.0}, "its noise levels do not ascend"),
    ],
)
def test_unknown_fields_and_numbers_are_refused(kind: str, field: dict[str, Any], says: str) -> None:
    with pytest.raises(PellucidError, match=says) as caught:
        read({"_class_name": kind, **field}, "here")
    assert "\n" not in str(caught.value)


def test_fields_of_sampling_change_nothing() -> None:
    plain = read({"_class_name": "DDPMScheduler"}, "here").sigmas
    fields: dict[str, Any] = dict.fromkeys(SAMPLING - {"use_dynamic_shifting"})
    assert torch.equal(read({"_class_name": "DDPMScheduler", **fields}, "here").sigmas, plain)


def test_old_files_say_what_they_predict_in_their_own_way() -> None:
    old = {"_class_name": "DDPMScheduler", "timesteps": 500, "predict_epsilon": False, "timestep_values": None}
    training = read(old, "here")
    assert (training.prediction, len(training.sigmas)) == ("x0", 500)


# --- folders ---


@pytest.mark.parametrize("name", ["EDMEulerScheduler", "ScoreSdeVeScheduler", "FlowMatchEulerDiscreteScheduler"])
def test_a_folder_is_the_prior_that_its_scheduler_says(name: str, tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    torch.manual_seed(0)
    fourier = {"time_embedding_type": "fourier"} if "Ve" in name else {}
    unet: Any = UNet2DModel(
        sample_size=8, block_out_channels=(8, 16), layers_per_block=1, norm_num_groups=4, add_attention=False,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, **fourier,
    )  # fmt: skip
    unet.eval()
    unet.save_pretrained(tmp_path / "unet")
    scheduler, config = scheduler_of(name)
    scheduler.save_pretrained(tmp_path / "scheduler")
    prior = load_prior(tmp_path)
    expected = read(config, "here").prior(lambda x, t: unet(x, t, return_dict=False)[0])
    assert torch.equal(prior.sigmas, expected.sigmas)
    with torch.no_grad():
        for sigma in (prior.sigmas[10].item(), 1.0):
            close(prior(draw(2, 3, 8, 8), sigma), expected(draw(2, 3, 8, 8), sigma))
    config_file = tmp_path / "scheduler" / "scheduler_config.json"
    config_file.write_text(json.dumps(json.loads(config_file.read_text()) | {"invented": 1}))
    with pytest.raises(PellucidError, match="its field 'invented' is not known"):
        load_prior(tmp_path)


def test_an_unknown_transformer_of_latents_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "transformer").mkdir()
    (tmp_path / "transformer" / "config.json").write_text('{"_class_name": "Mine"}')
    with pytest.raises(PellucidError, match="holds a Mine; known are SD3Transformer2DModel and Flux"):
        load_prior(tmp_path)
