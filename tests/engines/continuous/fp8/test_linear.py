"""A linear layer in FP8: a product worked out by hand, and how far it is from the layer that it replaces."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from yanshou.engines.continuous.fp8 import linear as module
from yanshou.engines.continuous.fp8.activations import FP8, Fp8Rows
from yanshou.engines.continuous.fp8.linear import REFUSED, Fp8Linear


def linear(weight: list[list[float]], bias: list[float] | None = None) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), bias=bias is not None)
    layer.weight.data = torch.tensor(weight)
    if bias is not None:
        layer.bias.data = torch.tensor(bias)
    return layer


def test_a_product_is_that_of_the_rounded_factors() -> None:
    """Weights (448, 17) and (0.5, -1) with scales 1 and 1/448; the activations (2, 1) have the scale 2/448."""
    layer = Fp8Linear.of(linear([[448.0, 17.0], [0.5, -1.0]]))
    assert layer.values.float().tolist() == [[448.0, 16.0], [224.0, -448.0]]
    assert layer.scales.tolist() == [[1.0], [torch.tensor(1 / 448).item()]]
    found = layer(torch.tensor([[2.0, 1.0]]))
    assert torch.allclose(found, torch.tensor([[2 * 448.0 + 16.0, 2 * 0.5 - 1.0]]), atol=1e-5)


def test_the_bias_is_added_after_the_scales_and_the_result_is_rounded_once() -> None:
    layer = Fp8Linear.of(linear([[1.0]], bias=[256.0]).bfloat16())
    found = layer(torch.tensor([[0.75], [1.25]]).bfloat16())
    assert found.dtype == torch.bfloat16
    assert found.tolist() == [[256.0], [258.0]]  # bf16 holds every second number there


def test_stored_values_and_scales_are_used_as_they_are() -> None:
    values = torch.tensor([[2.0, -3.0]]).to(FP8)
    layer = Fp8Linear(values, torch.tensor([[0.5]]), dtype=torch.float32)
    assert layer.values.data_ptr() == values.data_ptr()
    assert layer(torch.tensor([[448.0, 0.0], [0.0, 448.0]])).tolist() == [[448.0], [-672.0]]


def test_leading_dimensions_stay() -> None:
    layer = Fp8Linear.of(nn.Linear(16, 24))
    assert layer(torch.randn(2, 3, 16)).shape == (2, 3, 24)


def test_a_product_is_about_4_percent_away_from_the_exact_one() -> None:
    torch.manual_seed(0)
    exact, x = nn.Linear(512, 256), torch.randn(64, 512)
    found, expected = Fp8Linear.of(exact)(x).detach(), exact(x).detach()
    assert 0.01 < float((found - expected).norm() / expected.norm()) < 0.045


def test_no_weight_stays_in_16_bits() -> None:
    layer = Fp8Linear.of(nn.Linear(16, 24).bfloat16())
    assert {name: buffer.dtype for name, buffer in layer.named_buffers()} == {
        "values": FP8, "scales": torch.float32, "bias": torch.bfloat16
    }  # fmt: skip
    assert list(layer.parameters()) == []


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each product that torch is asked for. With fewer than 200 it is refused, as by cuBLAS."""
    rows, scaled_mm = list[int](), torch._scaled_mm

    def refusing(x: Tensor, *arguments: Any, **named: Any) -> Tensor:
        rows.append(len(x))
        if len(x) < 200:
            raise RuntimeError(f"CUDA error: {REFUSED} when calling `cublasLtMatmulAlgoGetHeuristic( ltHandle, …`")
        return scaled_mm(x, *arguments, **named)

    monkeypatch.setattr(torch, "_scaled_mm", refusing)
    return rows


@pytest.mark.parametrize(("rows", "asked"), [(1, [1, 64, 256]), (64, [64, 256]), (200, [200]), (300, [300])])
def test_a_product_of_too_few_rows_is_repeated_with_more(seen: list[int], rows: int, asked: list[int]) -> None:
    torch.manual_seed(0)
    x, weight = Fp8Rows.of(torch.randn(rows, 32)), Fp8Rows.of(torch.randn(48, 32))
    found = module._scaled_mm(x, weight.values, weight.scales, None, torch.bfloat16)
    assert seen == asked
    exact = x.dequantized() @ weight.dequantized().t()
    torch.testing.assert_close(found.float(), exact, rtol=0.01, atol=0.01)


def test_other_errors_of_a_product_stay(seen: list[int]) -> None:
    weight = Fp8Rows.of(torch.randn(48, 32))
    for wrong in (Fp8Rows.of(torch.randn(200, 16)), Fp8Rows.of(torch.randn(600, 16))):
        with pytest.raises(RuntimeError, match="cannot be multiplied"):
            module._scaled_mm(wrong, weight.values, weight.scales, None, torch.bfloat16)
    assert seen == [200, 600]
