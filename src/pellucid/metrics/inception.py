"""Inception-v3 for the Fréchet inception distance: TensorFlow's network of 2015.

It differs from torchvision's: average pools ignore the padding, and the last block has a max pool.
Tensors have the names of `pt_inception-2015-12-05-6726825d.pth`, the port of its weights in nearly all papers.

References:
    Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.
        https://arxiv.org/abs/1512.00567
    https://github.com/mseitzer/pytorch-fid
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FEATURES = 2048

# A convolution: its name, output channels, kernel (one side or two), stride, padding (likewise).
_Conv = tuple[str, int, int | tuple[int, int], int, int | tuple[int, int]]


class InceptionV3(nn.Module):
    """The network up to its last average pool, without the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Convolution(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = _Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = _Convolution(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = _Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = _Convolution(80, 192, 3)
        self.Mixed_5b = _A(192, 32)
        self.Mixed_5c = _A(256, 64)
        self.Mixed_5d = _A(288, 64)
        self.Mixed_6a = _B(288)
        self.Mixed_6b = _C(768, 128)
        self.Mixed_6c = _C(768, 160)
        self.Mixed_6d = _C(768, 160)
        self.Mixed_6e = _C(768, 192)
        self.Mixed_7a = _D(768)
        self.Mixed_7b = _E(1280, "average")
        self.Mixed_7c = _E(2048, "max")

    def forward(self, x: Tensor) -> Tensor:
        """Features of images (B, 3, H, W) in [-1, 1], H and W at least 75: (B, 2048)."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return x.mean((2, 3))


class _Normalised(nn.Module):
    """Batch normalisation of a trained network; torch's own has a counter that the file lacks."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=0.001)


class _Convolution(nn.Module):
    def __init__(
        self,
        before: int,
        after: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding, bias=False)
        self.bn = _Normalised(after)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Block(nn.Module):
    """Parallel branches, whose results are concatenated along the channels."""

    def _chain(self, before: int, *convolutions: _Conv) -> nn.Sequential:
        """Convolutions in a row, named directly in this block, since the file has no name for the row."""
        row = []
        for name, after, kernel, stride, padding in convolutions:
            self.add_module(name, _Convolution(before, after, kernel, stride, padding))
            row.append(self.get_submodule(name))
            before = after
        return nn.Sequential(*row)

    def _keep(self, *branches: nn.Module) -> None:
        # In a tuple, so that their tensors are not counted a second time.
        self._branches = branches

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self._branches], 1)


class _Pooled(nn.Module):
    """A 3 x 3 pool before a convolution."""

    def __init__(self, kind: Literal["average", "max"], then: nn.Module) -> None:
        super().__init__()
        self._kind, self._then = kind, then

    def forward(self, x: Tensor) -> Tensor:
        if self._kind == "max":
            return self._then(F.max_pool2d(x, 3, 1, 1))  # type: ignore[no-any-return]
        return self._then(F.avg_pool2d(x, 3, 1, 1, count_include_pad=False))  # type: ignore[no-any-return]


class _Split(nn.Module):
    """A row of convolutions that ends in two parallel ones."""

    def __init__(self, first: nn.Module, *ends: nn.Module) -> None:
        super().__init__()
        self._first, self._ends = first, ends

    def forward(self, x: Tensor) -> Tensor:
        h = self._first(x)
        return torch.cat([end(h) for end in self._ends], 1)


class _A(_Block):
    def __init__(self, before: int, pooled: int) -> None:
        super().__init__()
        self._keep(
            self._chain(before, ("branch1x1", 64, 1, 1, 0)),
            self._chain(before, ("branch5x5_1", 48, 1, 1, 0), ("branch5x5_2", 64, 5, 1, 2)),
            self._chain(
                before, ("branch3x3dbl_1", 64, 1, 1, 0), ("branch3x3dbl_2", 96, 3, 1, 1),
                ("branch3x3dbl_3", 96, 3, 1, 1),
            ),
            _Pooled("average", self._chain(before, ("branch_pool", pooled, 1, 1, 0))),
        )  # fmt: skip


class _B(_Block):
    def __init__(self, before: int) -> None:
        super().__init__()
        self._keep(
            self._chain(before, ("branch3x3", 384, 3, 2, 0)),
            self._chain(
                before, ("branch3x3dbl_1", 64, 1, 1, 0), ("branch3x3dbl_2", 96, 3, 1, 1),
                ("branch3x3dbl_3", 96, 3, 2, 0),
            ),
            nn.MaxPool2d(3, 2),
        )  # fmt: skip


class _C(_Block):
    def __init__(self, before: int, inside: int) -> None:
        super().__init__()
        row: tuple[tuple[int, int], tuple[int, int]] = ((1, 7), (0, 3))
        column: tuple[tuple[int, int], tuple[int, int]] = ((7, 1), (3, 0))
        self._keep(
            self._chain(before, ("branch1x1", 192, 1, 1, 0)),
            self._chain(
                before, ("branch7x7_1", inside, 1, 1, 0), ("branch7x7_2", inside, row[0], 1, row[1]),
                ("branch7x7_3", 192, column[0], 1, column[1]),
            ),
            self._chain(
                before, ("branch7x7dbl_1", inside, 1, 1, 0), ("branch7x7dbl_2", inside, column[0], 1, column[1]),
                ("branch7x7dbl_3", inside, row[0], 1, row[1]), ("branch7x7dbl_4", inside, column[0], 1, column[1]),
                ("branch7x7dbl_5", 192, row[0], 1, row[1]),
            ),
            _Pooled("average", self._chain(before, ("branch_pool", 192, 1, 1, 0))),
        )  # fmt: skip


class _D(_Block):
    def __init__(self, before: int) -> None:
        super().__init__()
        self._keep(
            self._chain(before, ("branch3x3_1", 192, 1, 1, 0), ("branch3x3_2", 320, 3, 2, 0)),
            self._chain(
                before, ("branch7x7x3_1", 192, 1, 1, 0), ("branch7x7x3_2", 192, (1, 7), 1, (0, 3)),
                ("branch7x7x3_3", 192, (7, 1), 1, (3, 0)), ("branch7x7x3_4", 192, 3, 2, 0),
            ),
            nn.MaxPool2d(3, 2),
        )  # fmt: skip


class _E(_Block):
    def __init__(self, before: int, pool: Literal["average", "max"]) -> None:
        super().__init__()
        self._keep(
            self._chain(before, ("branch1x1", 320, 1, 1, 0)),
            _Split(
                self._chain(before, ("branch3x3_1", 384, 1, 1, 0)),
                self._chain(384, ("branch3x3_2a", 384, (1, 3), 1, (0, 1))),
                self._chain(384, ("branch3x3_2b", 384, (3, 1), 1, (1, 0))),
            ),
            _Split(
                self._chain(before, ("branch3x3dbl_1", 448, 1, 1, 0), ("branch3x3dbl_2", 384, 3, 1, 1)),
                self._chain(384, ("branch3x3dbl_3a", 384, (1, 3), 1, (0, 1))),
                self._chain(384, ("branch3x3dbl_3b", 384, (3, 1), 1, (1, 0))),
            ),
            _Pooled(pool, self._chain(before, ("branch_pool", 192, 1, 1, 0))),
        )
