"""The signs that tell noise from texture."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pellucid.degradations import gaussian_blur
from pellucid.diagnosis.noise import signs
from pellucid.diagnosis.noise.blocks import blocks
from pellucid.diagnosis.noise.stationary import Spectrum, simulated
from pellucid.maths.noise import Streams

NOISE = Spectrum.white(0.1, 3)
FLAT = torch.zeros(1, 3, 128, 128)


def drawn(seed: int) -> Tensor:
    return simulated(FLAT, NOISE, Streams([seed]))


def read(left: Tensor, told: Spectrum = NOISE) -> dict[str, float]:
    taken, usual = blocks(left, centred=False), blocks(drawn(2), centred=False)
    own, drawn_ = (signs.calmness(FLAT, power, told, 3) for power in (taken, usual))
    return {**signs.read(FLAT + left, FLAT, taken, told, told, 3), "calm": own - drawn_}


def test_noise_is_even_everywhere_and_in_all_directions() -> None:
    found = read(drawn(1))
    assert found["spread"] < math.log(0.2)
    assert found["calm"] == pytest.approx(0, abs=0.1)
    assert found["direction"] < math.log(0.3)
    assert found["bound"] == pytest.approx(1)
    assert found["level"] == pytest.approx(math.log(12.75), rel=1e-5)
    assert signs.probability({"share": 0.85, **found}, "colour") > 0.8


def test_a_grey_picture_needs_more_evidence_and_a_compressed_one_less() -> None:
    found = {"share": 0.7, **read(drawn(1))}
    colour, grey, curved, compressed = (
        math.log(share / (1 - share))
        for share in (signs.probability(found, kind) for kind in ("colour", "grey", "curved", "compressed"))
    )
    assert curved == pytest.approx(colour - 1.42)
    assert grey == pytest.approx(colour - 1.02)
    assert compressed == pytest.approx(colour - 0.32)


def fur(seed: int, stroke: tuple[int, int]) -> Tensor:
    """Grey noise in strokes of a size."""
    grey = simulated(FLAT, Spectrum.white(0.1, 3, 1), Streams([seed]))
    return torch.nn.functional.avg_pool2d(grey, stroke, 1, (stroke[0] // 2, stroke[1] // 2)) * 5**0.5


def test_in_a_grey_file_the_grid_tells_nothing_and_drawn_noise_is_the_measure() -> None:
    found = {"share": 0.8, **read(drawn(1))}
    for one in ({"grid": 0.4}, {"peaks": 0.9}):
        assert signs.probability(found | one, "pressed") == signs.probability(found, "pressed")
    assert signs.probability(found | {"peaks": 0.9}, "colour") == signs.probability(found, "colour")
    assert signs.probability(found | {"grid": 0.4}, "grey") < signs.probability(found, "grey")
    told = Spectrum.white(0.1, 3, 1)
    grain, again = (simulated(FLAT, told, Streams([seed])) for seed in (1, 2))
    places = torch.cat([grain[..., :64], 3 * grain[..., 64:]], -1)
    turning = torch.cat([fur(3, (1, 5))[..., :64], fur(3, (5, 1))[..., 64:]], -1)
    even, uneven, turned = (
        signs.beside_drawn(
            {**signs.read(left, FLAT, blocks(left, centred=False), told, told, 1)},
            again, FLAT, blocks(again, centred=False), told,
        )
        for left in (grain, places, turning)
    )  # fmt: skip
    assert even["uneven"] == pytest.approx(0, abs=0.2)
    assert even["peaked"] == pytest.approx(0, abs=0.1)
    assert even["turning"] == pytest.approx(0, abs=0.01)
    assert signs.calmer(-0.1, -0.2) == pytest.approx(0.1)
    assert signs.calmer(-0.1, -0.5) == 0.2, "what is calmer than drawn noise is not the surer noise"
    assert uneven["uneven"] > 0.5
    assert uneven["peaked"] > 0.5
    assert turned["turning"] > 0.1, "each half has a direction of its own"
    both = {"peaked": 0.2, "turning": 0.05}
    assert signs.beyond(both, signs.UNEVEN["grey"]) == pytest.approx(40 * 0.1 + 100 * 0.038)
    # Faint noise has peaks at edges; loud noise has none.
    assert even["bursts"] == pytest.approx(even["peaked"] * 12.75 * told.level, rel=1e-3)
    both |= {"bursts": 0.5}
    assert signs.beyond(both, signs.UNEVEN["colour"]) == pytest.approx(150 * 0.038 + 5 * 0.2)
    # The drawn noise has no tones.
    assert signs.beyond(both, signs.UNEVEN["curved"]) == pytest.approx(100 * 0.038)


def test_what_is_taken_of_texture_follows_the_picture() -> None:
    """It has the form of what is left and is strong where that is; of noise a prior takes as much as of drawn noise."""
    told = Spectrum.white(0.1, 3, 1)
    grain, again = (simulated(FLAT, told, Streams([seed])) for seed in (1, 2))
    picture = 2 * simulated(FLAT, told, Streams([3])) * torch.linspace(0.1, 2, 128)
    assert signs.echo(grain, picture) == pytest.approx(0, abs=0.05)
    assert signs.tied(grain, picture) == pytest.approx(0, abs=0.1)
    assert signs.echo(0.3 * picture, picture) == pytest.approx(1)
    assert signs.tied(0.3 * picture, picture) > 0.5
    usual = signs.follows(picture + grain, picture, picture + again, picture, math.log(16))
    assert all(abs(usual[name]) < 0.1 for name in ("tied", "echo", "lacking"))
    assert usual["texture"] == pytest.approx(usual["follows"] + 6 * (usual["lacking"] - 0.1))
    left = 0.3 * picture + 0.5 * grain
    weakened = signs.follows(picture + left, picture, picture + again, picture, math.log(16))
    assert weakened["follows"] > usual["follows"] + 2
    louder = signs.follows(picture + left, picture, picture + again, picture, math.log(32))
    assert louder["follows"] == pytest.approx(weakened["follows"] + 0.6 * math.log(2))
    less = signs.follows(picture + 0.8 * grain, picture, picture + again, picture, math.log(16))
    assert less["lacking"] == pytest.approx(usual["lacking"] - math.log(0.8), abs=0.01)
    for kind in ("grey", "curved", "pressed"):
        assert signs.beyond({"texture": 0.8}, signs.UNEVEN[kind]) == pytest.approx(20 * 0.2)
    assert signs.beyond({"follows": 0.89}, signs.UNEVEN["compressed"]) == pytest.approx(20 * 0.1)
    assert signs.beyond({"texture": 0.8}, signs.UNEVEN["colour"]) == pytest.approx(5 * 0.5)
    # A hole in what is taken, wherever the picture has an edge, is no noise either.
    assert signs.beyond({"tied": -0.25}, signs.BEYOND) == pytest.approx(20 * 0.1)


def test_texture_comes_in_lumps() -> None:
    """Grains, blades and hairs are strong in small places; noise is as strong in all, and colours are not asked."""
    told = Spectrum.white(0.1, 3, 1)
    grain, again = (simulated(FLAT, told, Streams([seed])) for seed in (1, 2))
    assert signs.lumps(grain, again, told, 3)["lumpy"] == pytest.approx(0, abs=0.03)
    places = torch.nn.functional.avg_pool2d(simulated(FLAT, told, Streams([3])), 3, 1, 1).exp()
    assert signs.lumps(grain * places**9, again, told, 3)["lumpy"] > 0.1
    assert signs.lumps(grain, again, NOISE, 3) == {}
    for kind in ("grey", "reduced", "compressed"):
        assert signs.beyond({"lumpy": 0.2}, signs.UNEVEN[kind]) > 2
        assert signs.beyond({"lumpy": 0.08}, signs.UNEVEN[kind]) == 0


def test_a_thumbnail_has_few_blocks_to_tell_noise_by() -> None:
    whole = read(drawn(1))
    small = FLAT[..., :64, :88]
    left = drawn(1)[..., :64, :88]
    few = signs.read(left, small, blocks(left, centred=False), NOISE, NOISE, 3)["few"]
    assert whole["few"] == 0
    assert few == pytest.approx(math.log(121 / 70))
    usual = {"share": 0.85, **whole}
    assert signs.beside({**usual, "few": few}, "colour") == pytest.approx(signs.beside(usual, "colour") - 3 * few)


def test_grain_of_a_grey_picture_is_as_even_as_grain_of_a_coloured_one() -> None:
    grain = simulated(FLAT, Spectrum.white(0.1, 3, 1), Streams([1]))
    taken = blocks(grain, centred=False)
    told = Spectrum.white(0.1, 3, 1)
    grey, coloured = (signs.read(grain, FLAT, taken, told, told, axes)["spread"] for axes in (1, 3))
    assert grey == pytest.approx(coloured, abs=1e-3)


def test_texture_is_in_places() -> None:
    patchy = drawn(1)
    patchy[..., :64] *= 0.2
    found, even = read(patchy), read(drawn(1))
    assert found["spread"] > even["spread"] + 1
    assert found["calm"] < even["calm"] - 1
    assert signs.probability({"share": 0.85, **found}, "colour") < 0.2


def test_drawn_noise_changes_nothing_where_all_else_speaks_against_noise() -> None:
    patchy = drawn(1)
    patchy[..., :64] *= 0.02
    for left, told in ((patchy, True), (drawn(1), False)):
        own = signs.calmness(FLAT, blocks(left, centred=False), NOISE, 3)
        assert signs.hopeless({"share": 0.75, **read(left)}, own, "colour", 0.45) == told


def test_texture_has_a_direction() -> None:
    striped = torch.nn.functional.avg_pool2d(drawn(1), (1, 5), 1, (0, 2)) * 5**0.5
    assert read(striped)["direction"] > read(drawn(1))["direction"] + 1


@pytest.mark.parametrize("period", [4.0, 6.0])
def test_the_dots_of_a_print_and_a_weave_repeat_and_no_noise_does(period: float) -> None:
    """Each channel of a print in colours has its dots at an angle of its own."""
    down, across = torch.meshgrid(torch.arange(128.0), torch.arange(128.0), indexing="ij")

    def dots(angle: float) -> Tensor:
        turned = (math.cos(angle) * across + math.sin(angle) * down, math.cos(angle) * down - math.sin(angle) * across)
        return sum((torch.cos(2 * math.pi / period * at) for at in turned), torch.zeros(128, 128))

    prints = torch.stack([dots(math.radians(angle)) for angle in (0, 15, 75)])[None]
    usual = {"share": 0.85, **read(drawn(1))}
    for pattern in (prints, prints[:, :1].expand(1, 3, -1, -1)):
        found = read(0.1 * pattern + 0.3 * drawn(1))
        assert found["recurrence"] > 2.5
        assert signs.probability({**usual, "recurrence": found["recurrence"]}, "colour") < 0.05
    for noise in (drawn(1), torch.nn.functional.avg_pool2d(drawn(1), 5, 1, 2), gaussian_blur(drawn(1), 1.5)):
        assert read(noise)["recurrence"] < 1.5
    small = drawn(1)[..., :24, :24]
    power = blocks(small, centred=False)
    assert "recurrence" not in signs.read(small, FLAT[..., :24, :24], power, NOISE, NOISE, 3)


def test_noise_is_gaussian() -> None:
    """The excess kurtosis of a Laplace distribution is 3, the skewness of an exponential one 2."""
    grey = Spectrum.white(0.1, 3, 1)
    found = read(drawn(1), grey)
    assert found["peaks"] == pytest.approx(0, abs=0.1)
    assert found["skew"] == pytest.approx(0, abs=0.05)
    chance = torch.rand(1, 1, 128, 128, generator=torch.Generator().manual_seed(0)).clamp_min(1e-6)
    one_sided = 0.1 * (-chance.log() - 1).expand(1, 3, -1, -1)
    grains = read(one_sided, grey)
    assert grains["peaks"] == 3
    assert grains["skew"] == 1
    assert read(-one_sided, grey)["skew"] == 1
    # Texture has no colour of its own, so that coloured noise is not asked.
    assert read(one_sided)["skew"] == read(one_sided)["peaks"] == 0
    usual = {"share": 0.85, **found}
    assert signs.beyond(usual, signs.BEYOND) == 0
    assert signs.beyond({**usual, "peaks": 1.0}, signs.BEYOND) == pytest.approx(1.8)
    assert signs.beyond({**usual, "skew": 0.26}, signs.BEYOND) == pytest.approx(1.2)
    assert signs.probability({**usual, "peaks": 3.0, "skew": 1.0}, "colour") < 0.01


def test_texture_with_colours_has_one_colour_in_a_place() -> None:
    """Colour noise has independent axes; brown earth is red and yellow where it is bright."""
    apart = read(drawn(1))["apart"]
    assert apart > 2.5
    earth = drawn(1)[:, :1] * torch.tensor([1.0, 0.5, -0.8]).view(1, 3, 1, 1)
    assert read(earth)["apart"] == pytest.approx(0, abs=1e-3)
    usual = {"share": 0.7, **read(earth)}
    low, high = (signs.probability({**usual, "apart": value}, "colour") for value in (0.0, apart))
    assert math.log(high / (1 - high)) == pytest.approx(math.log(low / (1 - low)) + 6 * (apart - 1.6))


def test_grey_texture_goes_with_its_colour_and_grain_does_not() -> None:
    """Where a picture has a single tint, its noise has it as well; a JPEG mixes the colours of its own noise."""
    grain = Spectrum.white(0.1, 3, 1)
    tinge = 0.02 * drawn(3)
    grey = drawn(1)[:, :1].expand(1, 3, -1, -1)
    found = read(grey + tinge, grain)["together"]
    assert found < -2.5
    earth = grey * torch.tensor([1.1, 1.0, 0.9]).view(1, 3, 1, 1)
    texture = read(earth + 0.4 * tinge + 0.2 * drawn(4), grain)["together"]
    assert -1.5 < texture < 0
    assert "together" not in read(earth, grain)
    taken = blocks(grey, centred=False)
    assert not {"together", "apart"} & set(signs.read(grey, FLAT, taken, grain, grain, 3, compressed=True))
    assert signs.beyond({"together": texture}, signs.BEYOND) == pytest.approx(5 * (texture + 1.2))


def test_texture_is_uneven_and_has_calm_places() -> None:
    """Noise is nowhere calmer than elsewhere; what is counts against it, below its limit, unless it is coloured."""
    usual = {"share": 0.85, **read(drawn(1), Spectrum.white(0.1, 3, 1))}
    assert all(signs.beyond(usual, limits) == 0 for limits in signs.UNEVEN.values())
    texture = {**usual, "calm": -0.42, "share": 0.6, "direction": -0.8, "together": -1.3, "pale": 0.2}
    assert signs.beyond(texture, signs.UNEVEN["colour"]) == pytest.approx(6 * 0.3 + 4 * 0.1)
    assert signs.beyond(texture, signs.UNEVEN["grey"]) == pytest.approx(10 * 0.34 + 6 * 0.1)
    assert signs.beyond(texture, signs.UNEVEN["compressed"]) == pytest.approx(
        10 * 0.34 + 12 * 0.06 + 12 * 0.6 + 6 * 0.3
    )
    assert signs.beyond(texture, signs.UNEVEN["reduced"]) == pytest.approx(10 * 0.34 + 6 * 0.1)
    waves = {**usual, "peaks": 0.3, "waves": 0.9}
    assert signs.beyond(waves, signs.UNEVEN["reduced"]) == pytest.approx(8 * 0.1 + 12 * 0.5)
    less = signs.beside(texture, "colour")
    assert signs.beside({**texture, "apart": 0.0}, "colour") == pytest.approx(less + 6 * 0.3 + 4 * 0.1)


def test_noise_from_before_a_jpeg_is_flat() -> None:
    assert signs.flat(NOISE)["flat"] == pytest.approx(0, abs=1e-6)
    rising = NOISE.power.clone()
    rising[0, 6:] *= 4
    assert signs.flat(Spectrum(rising)) == {"flat": 0.0}, "sharpened texture is not the surer noise"
    power = NOISE.power.clone()
    power[0, 6:] /= 4
    assert signs.flat(Spectrum(power))["flat"] == pytest.approx(-math.log(2))
    assert signs.beyond({"flat": 0.2}, signs.BESIDE) == pytest.approx(1.5)


def test_the_grid_of_a_jpeg() -> None:
    steps = (torch.arange(128) // 8 % 2).expand(1, 3, 128, 128) * 0.1
    assert read(steps + 0.1 * drawn(1))["grid"] > 1
    assert read(drawn(1))["grid"] < 0.3


def test_a_line_through_the_power_of_blocks() -> None:
    light = torch.rand(500, generator=torch.Generator().manual_seed(0))
    a, b, fit = signs.line(0.3 + 0.7 * light, light)
    assert (a, b) == pytest.approx((0.3, 0.7), abs=1e-4)
    torch.testing.assert_close(fit, 0.3 + 0.7 * light, atol=1e-4, rtol=0)


def test_deep_colours_are_told_from_pale_ones() -> None:
    colours = torch.tensor([[170.0, 25, 30], [130, 180, 230], [5, 4, 2], [120, 120, 120]])
    picture = (colours / 127.5 - 1).T.repeat_interleave(16, 1)[None, :, None].expand(1, 3, 16, 64)
    marks = signs.pale(picture, torch.ones(7, dtype=torch.bool))
    assert marks[::2].tolist() == [0, 1, 1, 1]
    assert signs.pale(picture, torch.arange(7) > 3).tolist() == marks[4:].tolist()
