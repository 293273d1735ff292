"""The fast cosine transform against its definition."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from pellucid.operators.cosine import dct, idct


@given(n=st.integers(1, 17))
def test_the_transform_is_the_definition_and_orthonormal(n: int) -> None:
    place = torch.arange(n, dtype=torch.float64)
    matrix = torch.cos(math.pi * (place + 0.5) * place[:, None] / n) * math.sqrt(2 / n)
    matrix[0] /= math.sqrt(2)
    x = torch.randn(2, 3, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    torch.testing.assert_close(dct(x), x @ matrix.T)
    torch.testing.assert_close(idct(x), x @ matrix)
