"""A linear layer in FP8: weights with one scale per output channel, activations with one scale per row."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from yanshou.engines.continuous.fp8.activations import FP8, Fp8Rows
from yanshou.engines.continuous.ops import quantize_rows

FAST_ACCUMULATION = True  # sums in the tensor cores' own precision, which is a little less than that of float32
REFUSED = "CUBLAS_STATUS_NOT_SUPPORTED"
PADDED_ROWS = (64, 256, 512)  # of a product that is refused with fewer rows


def fp8_product(x: Fp8Rows, values: Tensor, scales: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """x (rows, inputs) × weights (outputs, inputs), each with its scales → (rows, outputs) in `dtype`, rounded once."""
    if values.is_cuda:
        return _scaled_mm(x, values, scales, bias, dtype)
    product = (x.values.float() @ values.float().t()) * x.scales * scales.t()
    return (product if bias is None else product + bias).to(dtype)


def _scaled_mm(x: Fp8Rows, values: Tensor, scales: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The product on a GPU.

    cuBLAS has no kernel for some products of few rows with wide inputs: 1 × 9,728 → 2,560 is refused, 64 rows are not.
    Which products are refused depends on its version. A refused product is padded with rows of zeros, which are
    cut off again.
    """
    try:
        product: Tensor = torch._scaled_mm(
            x.values, values.t(), scale_a=x.scales, scale_b=scales.t(), bias=bias, out_dtype=dtype,
            use_fast_accum=FAST_ACCUMULATION,
        )  # fmt: skip
    except RuntimeError as error:
        more = next((rows for rows in PADDED_ROWS if rows > len(x)), 0)
        if REFUSED not in str(error) or not more:
            raise
        return _scaled_mm(_padded(x, more), values, scales, bias, dtype)[: len(x)]
    return product


def _padded(x: Fp8Rows, rows: int) -> Fp8Rows:
    """x, followed by rows of zeros."""
    more = (0, 0, 0, rows - len(x))
    return Fp8Rows(F.pad(x.values.view(torch.uint8), more).view(FP8), F.pad(x.scales, more))


class Fp8Linear(nn.Module):
    """Takes the place of an nn.Linear of a checkpoint."""

    values: Tensor  # (outputs, inputs) float8_e4m3fn
    scales: Tensor  # (outputs, 1) float32
    bias: Tensor | None  # (outputs,) in the dtype of the run

    def __init__(
        self, values: Tensor, scales: Tensor, bias: Tensor | None = None, dtype: torch.dtype = torch.bfloat16
    ) -> None:
        """`dtype` is that of the results."""
        super().__init__()
        self.out_features, self.in_features = values.shape
        self.dtype = dtype
        for name, tensor in (("values", values), ("scales", scales), ("bias", bias)):
            self.register_buffer(name, None if tensor is None else tensor.detach())

    @classmethod
    def of(cls, linear: nn.Linear) -> "Fp8Linear":
        """A linear layer of 16 bits, rounded where it is."""
        rows = quantize_rows(linear.weight.detach())
        return cls(rows.values, rows.scales, linear.bias, linear.weight.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x (…, inputs) → (…, outputs)."""
        rows = quantize_rows(x.reshape(-1, self.in_features))
        return fp8_product(rows, self.values, self.scales, self.bias, self.dtype).view(*x.shape[:-1], -1)
