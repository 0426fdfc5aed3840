"""Promises of the attention kernels that need no GPU; `support/interpreted_kernels.py` runs the kernels themselves."""

import pytest

from yanshou.engines.continuous.kernels.attention import LEAST_ROWS, ROWS, tiles

KIB = 1024
H100, A100, ADA, TURING = 227 * KIB, 163 * KIB, 99 * KIB, 64 * KIB


@pytest.mark.parametrize("shared", [H100, A100, ADA, TURING])
@pytest.mark.parametrize("row", [64, 128, 256, 512])
def test_queries_keys_and_values_fit_the_memory_of_every_gpu(row: int, shared: int) -> None:
    keys, stages = tiles(row, shared)
    assert (ROWS + 2 * keys * stages) * row < shared
    assert keys >= LEAST_ROWS


def test_what_was_measured_fastest_is_taken_where_it_fits() -> None:
    assert tiles(128 * 2, H100) == tiles(64 * 2, H100) == (64, 3)
    assert tiles(128 * 2, ADA) == (64, 2)
    assert tiles(128 * 4, H100) == (64, 2)


def test_the_smallest_tiles_where_nothing_fits() -> None:
    assert tiles(10_000, ADA) == (LEAST_ROWS, 1)
