"""Compares the kernels that write FP8 with the same operations in torch, interpreted on a CPU; the others, too.

TRITON_INTERPRET=1 python tests/support/interpreted_fp8.py   → status 0: equal
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from transformers.activations import GELUTanh, SiLUActivation
from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLTextRMSNorm
from triton import language as tl
from triton.runtime import interpreter

sys.path.insert(0, str(Path(__file__).parents[1]))
from support import interpreted_elementwise
from support.interpreted_elementwise import ROWS, both, weighted
from yanshou.engines.continuous import ops
from yanshou.engines.continuous.fp8.activations import Fp8Rows

NEAR_STEPS = 1e-3  # share of values that may be the next number of e4m3: their exact values lie between two

convert_float = interpreter._convert_float


def rounded(values: Any, source: Any, target: Any, rounding_mode: Any) -> Any:
    """As a GPU rounds to e4m3, to the nearest number. The interpreter cuts off bits."""
    if target != tl.float8e4nv:
        return convert_float(values, source, target, rounding_mode)
    numbers = torch.from_numpy(np.array(values, dtype=np.float32))
    return numbers.to(torch.float8_e4m3fn).view(torch.uint8).numpy()


def assert_equal(found: Fp8Rows, expected: Fp8Rows) -> None:
    """The same scales, and the same values but for few that are one step of e4m3 away."""
    torch.testing.assert_close(found.scales, expected.scales, rtol=1e-5, atol=0)
    steps = (ordered(found.values) - ordered(expected.values)).abs()
    assert steps.max() <= 1, steps.max()
    assert steps.float().mean() <= NEAR_STEPS, steps.float().mean()


def ordered(values: Tensor) -> Tensor:
    """e4m3 as integers in the order of the numbers."""
    bits = values.view(torch.uint8).int()
    return torch.where(bits < 128, bits, 128 - bits)


def check(work: Callable[..., Any], *arguments: Any) -> None:
    """Results, and the arguments that have changed, are equal, whether torch or the kernel did the work."""
    results: list[Any] = []
    plain, kernel = both(lambda *copies: results.append(work(*copies)), *arguments)
    for one, other in zip(plain, kernel, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-5)
    if isinstance(results[0], Fp8Rows):
        assert_equal(results[1], results[0])
    else:
        torch.testing.assert_close(results[1], results[0], rtol=1e-5, atol=1e-5)


def check_norms(width: int) -> None:
    norm, x, added = weighted(Qwen3VLTextRMSNorm(width)), torch.randn(ROWS, width), torch.randn(ROWS, width)
    check(lambda x: ops.rms_norm(x, norm, None, True), x)
    check(lambda x, added: ops.rms_norm(x, norm, added, True), x, added)
    check(lambda x, added: ops.rms_norm(x, norm, added), x, added)
    layer_norm, bias = weighted(nn.LayerNorm(width, eps=1e-6)), torch.randn(width)
    check(lambda x: ops.layer_norm(x, layer_norm, bias, None, True), x + 3)
    check(lambda x, added: ops.layer_norm(x, layer_norm, bias, added, True), x + 3, added)


def check_activations(width: int) -> None:
    x = 3 * torch.randn(ROWS, width)
    check(ops.quantize_rows, x)
    check(lambda x: ops.bias_gelu(x, torch.linspace(-2, 2, width), GELUTanh()), x)
    check(lambda x: ops.act_and_mul(x, SiLUActivation(), True), 3 * torch.randn(ROWS, 2 * width))


def check_extremes() -> None:
    """Rows of zeros, of very small and very large numbers, and with NaN: each has a scale of its own."""
    rows = torch.randn(6, 80)
    rows[0], rows[1, 3], rows[5, 79] = 0.0, torch.nan, torch.inf
    rows[2] *= 1e-20
    rows[3] *= 1e30
    rows[4] *= 1e-8
    with mock.patch.object(ops, "triton_ops", return_value=True):
        found = ops.quantize_rows(rows)
    finite = [0, 2, 3, 4]
    expected = Fp8Rows.of(rows)
    assert_equal(Fp8Rows(found.values[finite], found.scales[finite]), Fp8Rows.of(rows[finite]))
    for each in (found, expected):
        assert each.dequantized().isnan().any(-1).tolist() == [False, True, False, False, False, True]


def main() -> None:
    interpreted_elementwise.main()
    with mock.patch.object(interpreter, "_convert_float", rounded):
        for width in (64, 80, 2_560):
            check_norms(width)
        for width in (48, 1_500, 4_096):
            check_activations(width)
        check_extremes()


if __name__ == "__main__":
    main()
