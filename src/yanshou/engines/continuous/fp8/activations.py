"""Rows of numbers in FP8, each with a scale of its own."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FP8 = torch.float8_e4m3fn
MAX = 448.0  # the largest number of e4m3
SMALLEST_PEAK = 1e-12  # of a row: a row of zeros needs a scale, too


@dataclass(frozen=True, slots=True)
class Fp8Rows:
    """Activations (rows, inputs), or cached keys or values (rows, key heads, head_dim): values × scales."""

    values: Tensor  # (…, inputs) float8_e4m3fn
    scales: Tensor  # (…, 1) float32: the largest absolute value of the last dimension ÷ 448

    @classmethod
    def of(cls, x: Tensor) -> "Fp8Rows":
        """x (rows, inputs) rounded by torch. As the kernels do it, a row with NaN is the only one with NaN."""
        x = x.float()
        peak = x.abs().amax(-1, keepdim=True).clamp(min=SMALLEST_PEAK)
        return cls((x * (MAX / peak)).to(FP8), peak / MAX)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> "Fp8Rows":
        return Fp8Rows(self.values[index], self.scales[index])

    def __setitem__(self, index: Any, rows: "Fp8Rows") -> None:
        self.values.view(torch.uint8)[index] = rows.values.view(torch.uint8)  # torch indexes no floats of 8 bits
        self.scales[index] = rows.scales

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    @property
    def device(self) -> torch.device:
        return self.values.device

    def unflatten(self, dim: int, sizes: tuple[int, ...]) -> "Fp8Rows":
        """The same with dimensions of these sizes in place of one."""
        return Fp8Rows(self.values.unflatten(dim, sizes), self.scales.unflatten(dim, sizes))

    def dequantized(self) -> Tensor:
        """(…, inputs) float32."""
        return self.values.float() * self.scales


Activations = Tensor | Fp8Rows  # (rows, inputs): in the dtype of the run, or in FP8


def put(target: Activations, index: Any, rows: Tensor) -> None:
    """target[index] = rows, rounded if the target is in FP8."""
    if isinstance(target, Fp8Rows):
        target[index] = Fp8Rows.of(rows)
    else:
        target[index] = rows
