from __future__ import annotations

import torch

from pellucid import degradations
from pellucid.maths.noise import Streams


def test_a_restoration_with_the_same_seed_does_not_draw_the_damages_noise() -> None:
    image = torch.full((2, 1, 64, 64), 0.5)
    added = degradations.gaussian_noise(image, 0.1, seed=3) - image
    drawn = Streams.of(3, 2).like(image)
    for i in range(2):
        assert abs(torch.corrcoef(torch.stack([added[i].flatten(), drawn[i].flatten()]))[0, 1]) < 0.06
