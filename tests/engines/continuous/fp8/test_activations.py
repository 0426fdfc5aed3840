"""Rows in FP8: numbers worked out by hand, and no row that another row changes."""

import math

import torch

from yanshou.engines.continuous.fp8.activations import FP8, Fp8Rows

INF, NAN = math.inf, math.nan


def test_values_are_rounded_to_the_nearest_number_of_e4m3_and_ties_to_even() -> None:
    """From 16 on, e4m3 holds every second number, from 32 on every fourth; 0.25 to 0.5 in steps of 1/32."""
    rows = Fp8Rows.of(torch.tensor([[448.0, 17.0, 19.0, 33.0, 34.0, 38.0, 0.3, -224.0]]))
    assert rows.values.float().tolist() == [[448.0, 16.0, 20.0, 32.0, 32.0, 40.0, 0.3125, -224.0]]
    assert rows.values.dtype == FP8
    assert rows.scales.tolist() == [[1.0]]


def test_the_largest_number_of_a_row_becomes_448() -> None:
    rows = Fp8Rows.of(torch.tensor([[-2.0, 1.0], [0.0, 7e-8], [1e30, 1e28]]).bfloat16())
    assert rows.values.float().tolist() == [[-448.0, 224.0], [0.0, 448.0], [448.0, 4.5]]
    assert torch.allclose(rows.dequantized(), torch.tensor([[-2.0, 1.0], [0.0, 7e-8], [1e30, 1e28]]), rtol=0.01)


def test_a_row_of_zeros_stays_one() -> None:
    assert Fp8Rows.of(torch.zeros(2, 3)).dequantized().tolist() == [[0.0] * 3] * 2


def test_a_row_depends_on_no_other_row() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 32)
    alone = Fp8Rows.of(x[:1])
    for other in (0.0, 1e9, INF, NAN):
        rows = Fp8Rows.of(torch.cat([x[:1], torch.full((3, 32), other)]))
        assert torch.equal(rows.values[:1].view(torch.uint8), alone.values.view(torch.uint8))
        assert torch.equal(rows.scales[:1], alone.scales)


def test_a_number_that_is_not_finite_shows_in_its_row() -> None:
    rows = Fp8Rows.of(torch.tensor([[1.0, NAN], [INF, 1.0], [1.0, 2.0]]))
    assert rows.dequantized().isnan().any(-1).tolist() == [True, True, False]
    assert len(rows) == 3
