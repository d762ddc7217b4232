"""3×3 convolutions from a quarter of the products: Winograd's method with tiles of 4×4 outputs.

Such a tile depends on 6×6 inputs. Matrices turn them into 36 other numbers, and the nine weights of a filter
into 36 as well. The products of both, one by one, are added over the channels, which is 36 matrix products.
Another matrix turns the 36 sums into the 16 outputs. So an output takes 36/16 products for each input channel
instead of 9. See Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (arXiv:1509.09308).

The matrices evaluate polynomials at the points 0, ±5/8, ±3/2 and infinity. Their coefficients for inputs and
outputs are exact in bfloat16, and these points lose less precision than the usual 0, ±1, ±2 and infinity.

Images are [B, H, W, C] here, with H and W multiples of four. A few images at a time are computed, so that the
numbers of all their tiles stay in a processor's cache.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

S, L = 5 / 8, 3 / 2  # the points
SS, LL = S**2, L**2
NUMBERS_AT_A_TIME = 4_000_000
SMALLEST = 1e-30  # any two numbers that occur are equal or further apart

FROM_INPUTS = [  # a point for each row, one of six inputs of a line for each column
    [SS * LL, 0, -SS - LL, 0, 1, 0],
    [0, -S * LL, -LL, S, 1, 0],
    [0, S * LL, -LL, -S, 1, 0],
    [0, -L * SS, -SS, L, 1, 0],
    [0, L * SS, -SS, -L, 1, 0],
    [0, SS * LL, 0, -SS - LL, 0, 1],
]
AT_S, AT_L = 2 * SS * (SS - LL), 2 * LL * (LL - SS)
FROM_WEIGHTS = [  # one of three weights of a line for each column
    [1 / (SS * LL), 0, 0],
    [1 / AT_S, S / AT_S, SS / AT_S],
    [1 / AT_S, -S / AT_S, SS / AT_S],
    [1 / AT_L, L / AT_L, LL / AT_L],
    [1 / AT_L, -L / AT_L, LL / AT_L],
    [0, 0, 1],
]
TO_OUTPUTS = [  # one of four outputs of a line for each row, a point for each column
    [1, 1, 1, 1, 1, 0],
    [0, S, -S, L, -L, 0],
    [0, SS, SS, LL, LL, 0],
    [0, S * SS, -S * SS, L * LL, -L * LL, 1],
]


class Winograd(nn.Module):
    """Convolution of images [B, H, W, I] with weights [9, O, I], in a border of zeros: [B, H, W, O].

    If `pooled`, the maximum of every 2×2 outputs: [B, H/2, W/2, O].
    """

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.pooled = pooled
        self.register_buffer("from_inputs", torch.tensor(FROM_INPUTS))
        one_way = torch.tensor(FROM_WEIGHTS)
        self.register_buffer("from_weights", torch.kron(one_way, one_way))
        self.register_buffer("to_outputs", torch.tensor(TO_OUTPUTS))

    def forward(self, images: Tensor, weights: Tensor) -> Tensor:
        _, outputs, inputs = weights.shape
        _, height, width, _ = images.shape
        filters = (self.from_weights @ weights.flatten(1)).to(images.dtype).view(36, outputs, inputs).mT
        numbers_of_an_image = 36 * (height // 4) * (width // 4) * max(outputs, inputs)
        at_a_time = max(1, NUMBERS_AT_A_TIME // numbers_of_an_image)
        return torch.cat([self.outputs(some, filters) for some in images.split(at_a_time)])

    def outputs(self, images: Tensor, filters: Tensor) -> Tensor:
        """Outputs of a few images [B, H, W, I], with filters as [36, I, O] numbers."""
        tiles: Tensor = Tiles.apply(images)
        _, _, count, rows, columns, inputs = tiles.shape
        numbers = both_ways(self.from_inputs.to(images.dtype), tiles.flatten(2))
        sums = numbers.view(36, -1, inputs) @ filters
        outputs = both_ways(self.to_outputs.to(images.dtype), sums.view(6, 6, -1))
        side = 4
        if self.pooled:
            outputs = Pooling.apply(outputs)
            side = 2
        outputs = outputs.view(side, side, count, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
        return outputs.reshape(count, side * rows, side * columns, -1)


def both_ways(matrix: Tensor, lines: Tensor) -> Tensor:
    """Multiply the columns and then the rows of [C, C, N] by a matrix [R, C]: [R, R, N]."""
    size, before = matrix.shape
    half = (matrix @ lines.flatten(1)).view(size, before, -1)
    return torch.bmm(matrix.expand(size, size, before), half)


class Pooling(torch.autograd.Function):
    """Maxima of 2×2 windows: [2 R, 2 C, N] -> [R, C, N]. Each of several equal maxima gets the gradient."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        of_columns = torch.maximum(values[:, 0::2], values[:, 1::2])
        maxima = torch.maximum(of_columns[0::2], of_columns[1::2])
        context.save_for_backward(values, maxima)
        return maxima

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradients: Tensor) -> Tensor:
        values, maxima = context.saved_tensors
        rows, columns, _ = maxima.shape
        windows = values.view(rows, 2, columns, 2, -1)
        below = windows - maxima.view(rows, 1, columns, 1, -1)
        gradients = gradients.reshape(rows, 1, columns, 1, -1).expand_as(windows)
        return torch.ops.aten.threshold_backward(gradients, below, -SMALLEST).view_as(values)


class Tiles(torch.autograd.Function):
    """The inputs of all tiles, which overlap by two: images [B, H, W, C] -> [6, 6, B, H/4, W/4, C]."""

    @staticmethod
    def forward(_: Any, images: Tensor) -> Tensor:
        bordered = functional.pad(images, (0, 0, 1, 1, 1, 1))
        return bordered.unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3).contiguous()

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradients: Tensor) -> Tensor:
        """Add up the gradients that the tiles have for each input."""
        _, _, count, rows, columns, channels = gradients.shape
        tiles = gradients.permute(2, 3, 0, 4, 1, 5)
        bordered = tiles.new_zeros(count, rows + 1, 4, columns + 1, 4, channels)
        bordered[:, :-1, :, :-1].copy_(tiles[:, :, :4, :, :4])
        bordered[:, 1:, :2, :-1].add_(tiles[:, :, 4:, :, :4])
        bordered[:, :-1, :, 1:, :2].add_(tiles[:, :, :4, :, 4:])
        bordered[:, 1:, :2, 1:, :2].add_(tiles[:, :, 4:, :, 4:])
        images = bordered.view(count, 4 * rows + 4, 4 * columns + 4, channels)
        return images[:, 1 : 4 * rows + 1, 1 : 4 * columns + 1]
