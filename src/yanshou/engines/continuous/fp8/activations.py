"""Rows of numbers in FP8, each with a scale of its own."""

from dataclasses import dataclass

import torch
from torch import Tensor

FP8 = torch.float8_e4m3fn
MAX = 448.0  # the largest number of e4m3
SMALLEST_PEAK = 1e-12  # of a row: a row of zeros needs a scale, too


@dataclass(frozen=True, slots=True)
class Fp8Rows:
    """Activations (rows, inputs): values × scales."""

    values: Tensor  # (rows, inputs) float8_e4m3fn
    scales: Tensor  # (rows, 1) float32: the largest absolute value of the row ÷ 448

    @classmethod
    def of(cls, x: Tensor) -> "Fp8Rows":
        """x (rows, inputs) rounded by torch. As the kernels do it, a row with NaN is the only one with NaN."""
        x = x.float()
        peak = x.abs().amax(-1, keepdim=True).clamp(min=SMALLEST_PEAK)
        return cls((x * (MAX / peak)).to(FP8), peak / MAX)

    def __len__(self) -> int:
        return len(self.values)

    def dequantized(self) -> Tensor:
        """(rows, inputs) float32."""
        return self.values.float() * self.scales


Activations = Tensor | Fp8Rows  # (rows, inputs): in the dtype of the run, or in FP8
